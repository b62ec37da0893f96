"""Conditions and results of an experiment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """A condition of an experiment.

    Attributes:
        split: Name of the split of classes.
        direction: The normal side of the split; empty where it does not apply.
        variant: Name of a variant; empty where there are none.
    """

    split: str
    direction: str = ""
    variant: str = ""


@dataclass(frozen=True)
class Result:
    """A number of a table.

    Attributes:
        row: Name of the method, or ``method:mode`` for a detector's scoring mode.
        condition: The condition.
        seed: Seed of the training.
        metric: Name of the metric, e.g. ``"AUC"`` or ``"AUC smoothed"``.
        value: Value of the metric.
    """

    row: str
    condition: Condition
    seed: int
    metric: str
    value: float

    @property
    def mode(self) -> str:
        """The detector's scoring mode; empty for the default mode and for other methods."""
        return self.row.partition(":")[2]
