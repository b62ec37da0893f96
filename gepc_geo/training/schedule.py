"""Learning rates of the training stages, and when the first of them has converged."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Share of a stage's steps in which the learning rate rises, and the floor it falls to.
_WARMUP, _FLOOR = 0.05, 0.01
# What the loss has to drop by within the patience, and the rate's share where it first does not.
_DROP, _REDUCED = 0.01, 0.1


def cosine(step: int, total: int) -> float:
    """Share of the peak learning rate in a stage of known length: it rises, then falls as a cosine.

    Args:
        step: Steps before this one.
        total: Steps of the stage.
    """
    rise = max(1, round(_WARMUP * total))
    if step < rise:
        return (step + 1) / rise
    phase = (step - rise) / max(1, total - rise)
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * phase))


@dataclass
class Convergence:
    """A stage that goes on until its loss does not fall any more.

    The learning rate rises until the first look at the loss and stays. Once the lowest loss has not
    dropped by 1 % over ``patience`` steps the rate falls to a tenth; the next time the stage ends.

    Args:
        patience: Steps.

    Attributes:
        best: The lowest loss so far.
        reference: The loss that has to be undercut by 1 %.
        since: The step at which that was the loss.
        reduced: Whether the rate is a tenth.
        ended: Whether the stage is over.
    """

    patience: int
    best: float = math.inf
    reference: float = math.inf
    since: int = 0
    reduced: bool = False
    ended: bool = False

    @property
    def interval(self) -> int:
        """Steps between two looks at the loss."""
        return max(1, self.patience // 4)

    def rate(self, step: int) -> float:
        """Share of the peak learning rate; ``step`` counts the steps before this one."""
        return min(1.0, (step + 1) / self.interval) * (_REDUCED if self.reduced else 1.0)

    def look(self, step: int, loss: float) -> bool:
        """Takes the loss after so many steps; true where it is the lowest so far."""
        lowest = loss < self.best
        self.best = min(loss, self.best)
        if loss < (1 - _DROP) * self.reference:
            self.reference, self.since = loss, step
        elif step - self.since >= self.patience:
            self.ended, self.reduced = self.reduced, True
            self.reference, self.since = self.best, step
        return lowest
