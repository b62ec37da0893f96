"""Dirichlet components, for rows that are proportions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gepc_geo.density.mixture.simplex import FLOOR

# Gamma prior of each concentration: wide, with mode (SHAPE - 1) / RATE = 50.
_SHAPE, _RATE = 2.0, 0.02
# Newton's method converges quadratically, and each M step starts from the previous result.
_NEWTON_STEPS, _HALVINGS = 10, 30


class DirichletComponents:
    r"""MAP concentrations of :math:`K` Dirichlet distributions in :math:`D` dimensions.

    Each concentration has a Gamma prior (shape 2, rate 0.02). Rows are proportions; their
    logarithms are clamped at -30.
    """

    tensors = ("concentrations",)

    def prepare(self, x: Tensor) -> None:
        """Clears the concentrations; the first M step initialises them from the data."""
        self.concentrations = x.new_zeros(0, x.size(1))

    def maximize(self, x: Tensor, responsibilities: Tensor) -> None:
        """M step: Newton steps (Minka 2000), halved until the objective does not fall."""
        log_x = _log(x)
        count = responsibilities.sum(0)
        total = responsibilities.T @ log_x
        alpha = self.concentrations
        if not len(alpha):
            alpha = _start(x, responsibilities)
        value = _objective(alpha, count, total)
        scales = torch.pow(0.5, torch.arange(_HALVINGS, dtype=x.dtype, device=x.device))
        scales = scales.view(-1, 1, 1)
        # A fixed number of steps, with all halvings at once, does not synchronise the GPU.
        for _ in range(_NEWTON_STEPS):
            candidates = alpha + scales * _newton(alpha, count, total)  # [halvings, K, D]
            positive = (candidates > 0).all(2)
            candidates = torch.where(positive.unsqueeze(2), candidates, alpha)
            values = _objective(candidates, count, total)
            values = torch.where(positive & (values > value), values, -torch.inf)
            best, halving = values.max(0)
            # A component that no halving improves keeps its concentrations.
            better = best > value
            chosen = candidates[halving, torch.arange(len(alpha), device=x.device)]
            alpha = torch.where(better.unsqueeze(1), chosen, alpha)
            value = torch.where(better, best, value)
        self.concentrations = alpha

    def log_likelihood(self, x: Tensor) -> Tensor:
        r"""Log density of each row under each component, :math:`(N, K)`."""
        alpha = self.concentrations
        constant = torch.lgamma(alpha.sum(1)) - torch.lgamma(alpha).sum(1)
        return constant + self.exponent(x)

    def exponent(self, x: Tensor) -> Tensor:
        r"""Part of :meth:`log_likelihood` that depends on the rows, :math:`(N, K)`."""
        return _log(x) @ (self.concentrations - 1).T

    def log_predictive(self, x: Tensor) -> Tensor:
        """Same as :meth:`log_likelihood`: concentrations are point estimates."""
        return self.log_likelihood(x)

    def penalty(self, count: Tensor) -> Tensor:
        """Penalty of the bound: minus the log prior of the concentrations."""
        return -_log_prior(self.concentrations).sum()

    def sample(self, component: Tensor, generator: torch.Generator) -> Tensor:
        r"""Draws one row from each given component, :math:`(n, D)`.

        Args:
            component: Component of each row, :math:`(n)`, on the CPU.
            generator: Random numbers, on the CPU.
        """
        alpha = self.concentrations.cpu()[component]
        # torch.distributions.Dirichlet uses this function, but has no generator argument.
        drawn = torch._sample_dirichlet(alpha, generator=generator)
        return drawn.to(self.concentrations.device)

    def state_dict(self) -> dict[str, Any]:
        """Returns the fitted tensors."""
        return {name: getattr(self, name) for name in self.tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the result of :meth:`state_dict`."""
        for name in self.tensors:
            setattr(self, name, state[name])


def _log(x: Tensor) -> Tensor:
    return x.log().clamp(min=FLOOR)


def _log_prior(alpha: Tensor) -> Tensor:
    return ((_SHAPE - 1) * alpha.log() - _RATE * alpha).sum(-1)


def _objective(alpha: Tensor, count: Tensor, total: Tensor) -> Tensor:
    """Part of the bound of each component, given its concentrations [..., K, D]."""
    constant = torch.lgamma(alpha.sum(-1)) - torch.lgamma(alpha).sum(-1)
    return count * constant + ((alpha - 1) * total).sum(-1) + _log_prior(alpha)


def _newton(alpha: Tensor, count: Tensor, total: Tensor) -> Tensor:
    """Newton step; the Hessian is diagonal plus rank one, so its inverse has a closed form."""
    n = count.unsqueeze(1)
    gradient = (
        n * (torch.digamma(alpha.sum(1, keepdim=True)) - torch.digamma(alpha))
        + total
        + (_SHAPE - 1) / alpha
        - _RATE
    )
    diagonal = -n * torch.polygamma(1, alpha) - (_SHAPE - 1) / alpha.square()
    rank = n * torch.polygamma(1, alpha.sum(1, keepdim=True))
    ratio = (gradient / diagonal).sum(1, keepdim=True)
    shift = ratio / (1 / rank.clamp(min=1e-300) + (1 / diagonal).sum(1, keepdim=True))
    return -(gradient - shift) / diagonal


def _start(x: Tensor, responsibilities: Tensor) -> Tensor:
    """Concentrations that match the mean and the variance of each component."""
    weight = responsibilities / responsibilities.sum(0).clamp(min=1e-12)
    mean = weight.T @ x
    variance = (weight.T @ x.square() - mean.square()).clamp(min=1e-9)
    precision = (mean * (1 - mean)).sum(1) / variance.sum(1) - 1
    return (mean * precision.clamp(0.5, 1e4).unsqueeze(1)).clamp(min=1e-2)
