"""Dirichlet components: the honest density for proportions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gepc_geo.density.mixture.simplex import FLOOR

# The Gamma prior of every concentration: wide, its mode at (SHAPE - 1) / RATE = 50.
_SHAPE, _RATE = 2.0, 0.02
# Newton converges quadratically, and each M step starts where the last one ended.
_NEWTON_STEPS, _HALVINGS = 10, 30


class DirichletComponents:
    r"""MAP concentrations :math:`\alpha` of :math:`K` Dirichlet distributions over :math:`D` parts.

    Every concentration has a Gamma prior (shape 2, rate 0.02). Rows are proportions; they are used
    through their logarithms, clamped at -30.
    """

    tensors = ("concentrations",)

    def prepare(self, x: Tensor) -> None:
        """Starts flat; the first M step takes its start from the data."""
        self.concentrations = x.new_zeros(0, x.size(1))

    def maximize(self, x: Tensor, responsibilities: Tensor) -> None:
        """The M step: guarded Newton steps (Minka 2000) that never lower the objective."""
        log_x = _log(x)
        count = responsibilities.sum(0)
        total = responsibilities.T @ log_x
        alpha = self.concentrations
        if not len(alpha):
            alpha = _start(x, responsibilities)
        value = _objective(alpha, count, total)
        scales = torch.pow(0.5, torch.arange(_HALVINGS, dtype=x.dtype, device=x.device))
        scales = scales.view(-1, 1, 1)
        # A fixed number of steps with all their halvings at once: nothing here waits for the device.
        for _ in range(_NEWTON_STEPS):
            candidates = alpha + scales * _newton(alpha, count, total)  # [halvings, K, D]
            positive = (candidates > 0).all(2)
            candidates = torch.where(positive.unsqueeze(2), candidates, alpha)
            values = _objective(candidates, count, total)
            values = torch.where(positive & (values > value), values, -torch.inf)
            best, halving = values.max(0)
            # A component that no halving improves keeps what it has.
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
        r"""What of :meth:`log_likelihood` depends on the rows, :math:`(N, K)`."""
        return _log(x) @ (self.concentrations - 1).T

    def log_predictive(self, x: Tensor) -> Tensor:
        """As :meth:`log_likelihood`: concentrations are point estimates."""
        return self.log_likelihood(x)

    def penalty(self, count: Tensor) -> Tensor:
        """What the bound loses: minus the log prior of the concentrations."""
        return -_log_prior(self.concentrations).sum()

    def sample(self, component: Tensor, generator: torch.Generator) -> Tensor:
        r"""One draw of each named component, :math:`(n, D)`.

        Args:
            component: :math:`(n)`, on the CPU.
            generator: Random numbers, on the CPU.
        """
        alpha = self.concentrations.cpu()[component]
        # What torch.distributions.Dirichlet draws with; that class takes no generator.
        drawn = torch._sample_dirichlet(alpha, generator=generator)
        return drawn.to(self.concentrations.device)

    def state_dict(self) -> dict[str, Any]:
        """Plain tensors."""
        return {name: getattr(self, name) for name in self.tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` gave."""
        for name in self.tensors:
            setattr(self, name, state[name])


def _log(x: Tensor) -> Tensor:
    return x.log().clamp(min=FLOOR)


def _log_prior(alpha: Tensor) -> Tensor:
    return ((_SHAPE - 1) * alpha.log() - _RATE * alpha).sum(-1)


def _objective(alpha: Tensor, count: Tensor, total: Tensor) -> Tensor:
    """Each component's share of the bound, as a function of its concentrations [..., K, D]."""
    constant = torch.lgamma(alpha.sum(-1)) - torch.lgamma(alpha).sum(-1)
    return count * constant + ((alpha - 1) * total).sum(-1) + _log_prior(alpha)


def _newton(alpha: Tensor, count: Tensor, total: Tensor) -> Tensor:
    """The Newton step; the Hessian is diagonal plus rank one, so its inverse costs nothing."""
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
    """Moments: concentrations that fit each component's mean and the spread around it."""
    weight = responsibilities / responsibilities.sum(0).clamp(min=1e-12)
    mean = weight.T @ x
    variance = (weight.T @ x.square() - mean.square()).clamp(min=1e-9)
    precision = (mean * (1 - mean)).sum(1) / variance.sum(1) - 1
    return (mean * precision.clamp(0.5, 1e4).unsqueeze(1)).clamp(min=1e-2)
