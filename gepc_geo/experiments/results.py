"""What is measured, and the numbers that come of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """What is measured: a split of the classes, which side of it is normal, a variant."""

    split: str
    direction: str = ""
    variant: str = ""


@dataclass(frozen=True)
class Result:
    """A number of a table.

    Attributes:
        row: The method's name, ``method:mode`` for a detector's scoring mode.
        condition: What was measured.
        seed: Of the training.
        metric: ``"AUC"``, ``"AUC smoothed"``.
        value: The number.
    """

    row: str
    condition: Condition
    seed: int
    metric: str
    value: float

    @property
    def mode(self) -> str:
        """The detector's scoring mode; empty for the default one and for other methods."""
        return self.row.partition(":")[2]
