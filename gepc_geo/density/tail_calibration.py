"""Tail probabilities of scores of normal behaviour."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gepc_geo.errors import InputError

# Share of the largest held-out scores that the exponential tail models.
_TAIL = 0.1
# Fewest scores in the tail; a mean excess of one or two scores is unreliable.
_LEAST = 5
# Largest number of knots of the empirical distribution below the tail.
_KNOTS = 512
# Quantiles that represent the old distribution in an update, and most new scores.
_SCORES = 2000


class TailCalibrator:
    r"""Calibration: maps a score :math:`s` to the probability that a normal sample reaches it.

    Up to the 90 % quantile (with fewer than 50 scores, up to the sixth largest score) the
    probability is the empirical survival function, linear between knots. Above, it is an
    exponential tail with the mean excess of the scores above the last knot, so higher scores always
    have lower probabilities. Below the smallest calibration score it approaches 1 exponentially,
    which keeps the order of very normal samples.

    Attributes:
        knots\_: Scores, rising, :math:`(M)` float64.
        log_survival\_: Log survival probability at the knots, falling, :math:`(M)`.
        excess\_: Mean excess over the last knot.
    """

    knots_: Tensor
    log_survival_: Tensor
    excess_: Tensor

    def fit(self, scores: Tensor) -> TailCalibrator:
        """Fits the calibration to scores of normal samples.

        Args:
            scores: Anomaly scores, :math:`(N)`, of samples held out from training.

        Returns:
            The fitted calibrator.

        Raises:
            InputError: There are no scores, or a score is NaN or infinite.
        """
        scores = scores.detach().double().sort().values
        count = len(scores)
        if not count or not bool(scores.isfinite().all()):
            raise InputError(
                f"calibration must have at least one score, all finite, got {count} scores"
            )
        body = max(1, min(math.ceil(count * (1 - _TAIL)), count - _LEAST))
        # Ranks of the knots among the sorted scores. On average, a normal sample exceeds the i-th
        # smallest of n scores with probability 1 - i / (n + 1).
        rank = torch.linspace(0, body - 1, min(body, _KNOTS), device=scores.device).round().long()
        knots, survival = scores[rank], 1 - (rank + 1).double() / (count + 1)
        # The last of equal scores has their tail probability.
        last = torch.ones_like(knots, dtype=torch.bool)
        last[:-1] = knots[1:] > knots[:-1]
        self.knots_, self.log_survival_ = knots[last], survival[last].log()
        spread = (scores[-1] - scores[0]).clamp(min=1e-12)
        self.excess_ = (scores[body - 1 :] - scores[body - 1]).mean().clamp(min=0.01 * spread)
        return self

    def extended(self, scores: Tensor) -> TailCalibrator:
        """Returns a calibrator of this distribution pooled with new scores.

        New scores weigh at most as much as the old distribution. No tail probability falls: lower
        new scores change nothing, so normal behaviour does not become more abnormal.

        Args:
            scores: New anomaly scores of normal samples, :math:`(N)`, at least one.
        """
        level = (torch.arange(_SCORES, dtype=torch.float64) + 0.5) / _SCORES
        old = torch.tensor([self.quantile(q) for q in level.tolist()], dtype=torch.float64)
        new = scores.detach().double().cpu().sort().values
        if len(new) > _SCORES:
            new = new[torch.linspace(0, len(new) - 1, _SCORES).round().long()]
        pooled = torch.cat([old, new]).sort().values
        pooled = pooled[(level * len(pooled)).long()]
        if bool((pooled <= old).all()):
            return self
        return TailCalibrator().fit(torch.maximum(old, pooled).to(self.knots_.device))

    def log_tail(self, scores: Tensor) -> Tensor:
        r"""Log probability that a normal sample reaches each score.

        Values are at most 0 and finite, and fall strictly above the first knot. Differentiable.

        Args:
            scores: Anomaly scores of any shape.

        Returns:
            Log tail probabilities of the same shape, float64.
        """
        x = scores.double()
        knots, value = self.knots_, self.log_survival_
        above = value[-1] - (x - knots[-1]) / self.excess_
        # Below the first knot the value rises towards 0.
        below = value[0] * torch.exp(-(knots[0] - x).clamp(min=0) / self.excess_)
        if len(knots) == 1:
            return torch.where(x >= knots[-1], above, below)
        right = torch.searchsorted(knots, x.detach()).clamp(1, len(knots) - 1)
        left = right - 1
        share = (x - knots[left]) / (knots[right] - knots[left])
        inside = value[left] + share * (value[right] - value[left])
        return torch.where(x >= knots[-1], above, torch.where(x <= knots[0], below, inside))

    def quantile(self, level: float) -> float:
        """Score that a normal sample stays below with probability ``level``.

        Args:
            level: Probability, between 0 and 1.

        Raises:
            InputError: ``level`` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise InputError(f"quantile level must be between 0 and 1, got {level}")
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
        """Returns the fitted tensors."""
        return {
            "knots": self.knots_,
            "log_survival": self.log_survival_,
            "excess": self.excess_,
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> TailCalibrator:
        """Rebuilds a calibrator from the result of :meth:`state_dict`."""
        self = cls()
        self.knots_, self.log_survival_ = state["knots"], state["log_survival"]
        self.excess_ = state["excess"]
        return self

    def to(self, device: torch.device | str) -> TailCalibrator:
        """Moves the fitted tensors to a device."""
        self.knots_, self.log_survival_ = self.knots_.to(device), self.log_survival_.to(device)
        self.excess_ = self.excess_.to(device)
        return self


def correct_for_people(log_tail: Tensor, people: Tensor) -> Tensor:
    r"""Log probability that the smallest of :math:`n` normal tail probabilities is <= :math:`p`.

    It is :math:`\log(1 - (1 - p)^n)`: among more people, a high score by chance is more likely.

    Args:
        log_tail: Log of the smallest tail probability :math:`p`, of any shape.
        people: Number of people :math:`n`, at least 1, of the same shape.

    Returns:
        Log probabilities of the same shape.
    """
    log_tail = log_tail.clamp(max=-1e-12)
    # n log(1 - p), then log(1 - exp(.)), both with functions that keep precision near 0.
    none = people * torch.log1p(-log_tail.exp())
    exact = torch.log(-torch.expm1(none))
    # For tiny p, log1p would give 0; the result is then log(n p).
    return torch.where(log_tail < -30, log_tail + people.to(log_tail).log(), exact)
