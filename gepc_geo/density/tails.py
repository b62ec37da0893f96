"""Scores as tail probabilities of normal behaviour, and what can be done with them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gepc_geo.errors import InputError

# The share of the largest held-out scores that an exponential tail replaces.
_TAIL = 0.1
# Of few scores the tail begins below so many of the largest: a mean excess of one or two tells nothing.
_LEAST = 5
# Knots that the empirical distribution below it is kept at.
_KNOTS = 512
# Scores that stand for an old distribution, and the most new ones that are weighed against them.
_SCORES = 2000


class TailCalibrator:
    r"""Learns how probable it is that a normal sample scores at least :math:`s`.

    Up to the 90 % quantile (of fewer than 50 scores up to the sixth largest) this is the empirical survival
    function, linear between knots; above it an exponential tail with the mean excess of those beyond, so that no two scores beyond the
    largest known one are equal. Below the smallest known score it falls off exponentially too, to
    keep the order of very normal samples.

    Attributes:
        knots\_: Scores, rising, :math:`(M)` float64.
        log_survival\_: Log survival probability at the knots, falling.
        excess\_: Mean excess over the last knot.
    """

    knots_: Tensor
    log_survival_: Tensor
    excess_: Tensor

    def fit(self, scores: Tensor) -> TailCalibrator:
        """Learns from anomaly scores of normal samples that were not trained on.

        Raises:
            InputError: No scores, or NaN or infinity among them.
        """
        scores = scores.detach().double().sort().values
        count = len(scores)
        if not count or not bool(scores.isfinite().all()):
            raise InputError(f"calibration got {count} scores, expected some, all finite numbers")
        body = max(1, min(math.ceil(count * (1 - _TAIL)), count - _LEAST))
        # Positions of the knots among the sorted scores; of n normal samples the i-th smallest is
        # exceeded with probability 1 - i / (n + 1) on average.
        rank = torch.linspace(0, body - 1, min(body, _KNOTS), device=scores.device).round().long()
        knots, survival = scores[rank], 1 - (rank + 1).double() / (count + 1)
        # Of equal scores the last has the tail probability that counts samples above them.
        last = torch.ones_like(knots, dtype=torch.bool)
        last[:-1] = knots[1:] > knots[:-1]
        self.knots_, self.log_survival_ = knots[last], survival[last].log()
        spread = (scores[-1] - scores[0]).clamp(min=1e-12)
        self.excess_ = (scores[body - 1 :] - scores[body - 1]).mean().clamp(min=0.01 * spread)
        return self

    def extended(self, scores: Tensor) -> TailCalibrator:
        """A calibrator of this distribution and new scores together, which weigh no more than it.

        No score becomes less probable by it: where the new ones are lower, all stays as it is. So what was
        normal before is not more abnormal afterwards.

        Args:
            scores: New anomaly scores of normal samples, at least one.
        """
        level = (torch.arange(_SCORES, dtype=torch.float64) + 0.5) / _SCORES
        old = torch.tensor([self.quantile(one) for one in level.tolist()], dtype=torch.float64)
        new = scores.detach().double().cpu().sort().values
        if len(new) > _SCORES:
            new = new[torch.linspace(0, len(new) - 1, _SCORES).round().long()]
        both = torch.cat([old, new]).sort().values
        both = both[(level * len(both)).long()]
        if bool((both <= old).all()):
            return self
        return TailCalibrator().fit(torch.maximum(old, both).to(self.knots_.device))

    def log_tail(self, scores: Tensor) -> Tensor:
        r"""Log probability that a normal sample scores at least this: 0 and below, never infinite.

        Falls strictly above the smallest known score; differentiable.
        """
        x = scores.double()
        knots, value = self.knots_, self.log_survival_
        above = value[-1] - (x - knots[-1]) / self.excess_
        # Below the first knot: from its value up towards 0, never reaching it.
        below = value[0] * torch.exp(-(knots[0] - x).clamp(min=0) / self.excess_)
        if len(knots) == 1:
            return torch.where(x >= knots[-1], above, below)
        right = torch.searchsorted(knots, x.detach()).clamp(1, len(knots) - 1)
        left = right - 1
        share = (x - knots[left]) / (knots[right] - knots[left])
        inside = value[left] + share * (value[right] - value[left])
        return torch.where(x >= knots[-1], above, torch.where(x <= knots[0], below, inside))

    def quantile(self, level: float) -> float:
        """The score that a normal sample stays under with probability ``level``.

        Raises:
            InputError: A level outside (0, 1).
        """
        if not 0 < level < 1:
            raise InputError(f"quantile level is {level}, expected between 0 and 1")
        wanted = math.log(1 - level)
        knots, value = self.knots_.cpu(), self.log_survival_.cpu()
        if wanted <= float(value[-1]):
            return float(knots[-1]) + (float(value[-1]) - wanted) * float(self.excess_)
        if wanted >= float(value[0]):
            return float(knots[0]) - float(self.excess_) * math.log(float(value[0]) / wanted)
        right = int(torch.searchsorted(-value, torch.tensor(-wanted, dtype=value.dtype)))
        left = right - 1
        share = (wanted - float(value[left])) / float(value[right] - value[left])
        return float(knots[left]) + share * float(knots[right] - knots[left])

    def state_dict(self) -> dict[str, Any]:
        """Plain tensors."""
        return {
            "knots": self.knots_,
            "log_survival": self.log_survival_,
            "excess": self.excess_,
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> TailCalibrator:
        """Rebuilds what :meth:`state_dict` gave."""
        self = cls()
        self.knots_, self.log_survival_ = state["knots"], state["log_survival"]
        self.excess_ = state["excess"]
        return self

    def to(self, device: torch.device | str) -> TailCalibrator:
        """Moves everything learned to a device."""
        self.knots_, self.log_survival_ = self.knots_.to(device), self.log_survival_.to(device)
        self.excess_ = self.excess_.to(device)
        return self


def correct_for_people(log_tail: Tensor, people: Tensor) -> Tensor:
    r"""Log probability that the smallest of :math:`n` normal tail probabilities is this small.

    :math:`\log(1 - (1 - p)^n)`: with more people somebody scores high by chance.

    Args:
        log_tail: Log of the smallest tail probability :math:`p`.
        people: :math:`n`, at least 1.
    """
    log_tail = log_tail.clamp(max=-1e-12)
    # n log(1 - p), then log(1 - exp(.)), each in the form that keeps its digits.
    none = people * torch.log1p(-log_tail.exp())
    exact = torch.log(-torch.expm1(none))
    # For tiny p the power is linear: log(n p). Its log1p would be 0.
    return torch.where(log_tail < -30, log_tail + people.to(log_tail).log(), exact)
