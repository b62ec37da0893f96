r"""Stick-breaking weights of a truncated Dirichlet process (Blei and Jordan 2006).

Component :math:`k` breaks a share off the rest of the stick. The share has prior
:math:`Beta(1, \gamma)` and posterior :math:`Beta(a_k, b_k)`. ``sticks`` are both parameters of the
posteriors, each :math:`(K)`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stick_posterior(count: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    r"""M step: the sticks given the sum of each component's responsibilities, :math:`(K)`."""
    later = count.flip(0).cumsum(0).flip(0) - count
    return 1 + count, gamma + later


def expected_weights(sticks: tuple[Tensor, Tensor]) -> Tensor:
    r"""Expected weights :math:`(K)`, scaled to a sum of one."""
    a, b = sticks
    rest = (b / (a + b)).cumprod(0)
    weights = a / (a + b) * torch.cat([torch.ones_like(rest[:1]), rest[:-1]])
    return weights / weights.sum()


def expected_log_weights(sticks: tuple[Tensor, Tensor]) -> Tensor:
    r"""Expected log weights :math:`(K)`."""
    a, b = sticks
    total = torch.digamma(a + b)
    rest = (torch.digamma(b) - total).cumsum(0)
    return torch.digamma(a) - total + torch.cat([torch.zeros_like(rest[:1]), rest[:-1]])


def stick_penalty(sticks: tuple[Tensor, Tensor], gamma: float) -> Tensor:
    """Penalty of the bound: KL divergence of the posteriors from the prior."""
    a, b = sticks
    prior = torch.full_like(b, gamma)
    log_beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    total = torch.digamma(a + b)
    divergence = -prior.log() - log_beta
    divergence = divergence + (a - 1) * (torch.digamma(a) - total)
    return (divergence + (b - prior) * (torch.digamma(b) - total)).sum()
