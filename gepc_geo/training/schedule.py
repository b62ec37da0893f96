"""Lengths and learning rates of the training stages, and convergence of the first stage."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Share of the steps in which the rate rises, and share of the peak that it falls to.
_WARMUP, _FLOOR = 0.05, 0.01
# Relative drop of the loss that counts as progress, and factor of the rate without progress.
_DROP, _REDUCED = 0.01, 0.1


def steps_of_budget(budget: int, batch_size: int, cluster_share: float) -> dict[str, int]:
    """Steps of each stage that together take a budget.

    Args:
        budget: Windows that both stages process, repeats included.
        batch_size: Windows of a step.
        cluster_share: Share of the steps in the second stage.
    """
    total = math.ceil(budget / batch_size)
    second = round(total * cluster_share)
    return {"reconstruction": total - second, "clustering": second}


def steps_of_first(first: int, cluster_share: float) -> dict[str, int]:
    """Steps of each stage after the first has ended.

    Args:
        first: Steps that the first stage took.
        cluster_share: Share of all steps in the second stage.
    """
    return {
        "reconstruction": first,
        "clustering": int(first * (cluster_share / (1 - cluster_share))),
    }


def cosine(step: int, total: int) -> float:
    """Learning rate as a share of its peak: it rises linearly, then falls as a cosine.

    Args:
        step: Number of the step, from 0.
        total: Steps of the stage.
    """
    rise = max(1, round(_WARMUP * total))
    if step < rise:
        return (step + 1) / rise
    phase = (step - rise) / max(1, total - rise)
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * phase))


@dataclass
class Convergence:
    """Learning rate and end of a stage without a fixed length.

    The learning rate rises for ``interval`` steps and stays. If the loss does not drop by 1 %
    within ``patience`` steps the rate falls to a tenth; the second time the stage ends.

    Args:
        patience: Steps.

    Attributes:
        best: The lowest loss so far.
        reference: The loss that the next one is compared with.
        since: The step of that loss.
        reduced: Whether the rate has fallen to a tenth.
        ended: Whether the stage has ended.
    """

    patience: int
    best: float = math.inf
    reference: float = math.inf
    since: int = 0
    reduced: bool = False
    ended: bool = False

    @property
    def interval(self) -> int:
        """Steps between two measurements of the loss."""
        return max(1, self.patience // 4)

    def rate(self, step: int) -> float:
        """Learning rate as a share of its peak in a step, numbered from 0."""
        return min(1.0, (step + 1) / self.interval) * (_REDUCED if self.reduced else 1.0)

    def update(self, step: int, loss: float) -> bool:
        """Takes the loss after ``step`` steps; returns whether it is the lowest so far."""
        lowest = loss < self.best
        self.best = min(loss, self.best)
        if loss < (1 - _DROP) * self.reference:
            self.reference, self.since = loss, step
        elif step - self.since >= self.patience:
            self.ended, self.reduced = self.reduced, True
            self.reference, self.since = self.best, step
        return lowest
