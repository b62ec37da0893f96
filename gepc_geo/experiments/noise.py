"""Abnormal clips among the training clips (figure 5 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.experiments.coarse import Coarse
from gepc_geo.experiments.results import Condition, Result
from gepc_geo.experiments.tables import Table, mean_table, means

#: Percentages of abnormal training clips.
SHARES = (0, 1, 2, 5, 10, 20)
# The variant of a condition is this prefix and the percentage.
_PREFIX = "noise="


@dataclass
class Noise(Coarse):
    """:class:`Coarse` with abnormal clips of the training half mixed into training.

    The clips are drawn with the training seed; a larger share contains the clips of a smaller one.

    Args:
        shares: Percentages of abnormal training clips, rising from 0.
            (default: :data:`SHARES`)

    Raises:
        InputError: Shares do not rise from 0 to less than 100, or a split has too few abnormal
            clips for the largest share.
    """

    name = "noise"
    # Class labels would reveal the abnormal clips.
    supervised = False
    about = "whole clips, with a share of abnormal training clips"
    shares: tuple[int, ...] = SHARES

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = all(low < high for low, high in pairwise(self.shares))
        if not rising or self.shares[0] != 0 or self.shares[-1] >= 100 or len(self.shares) < 2:
            raise InputError(
                "shares of abnormal clips must be whole percentages, rising from 0 to below 100, "
                f"got {', '.join(map(str, self.shares))}"
            )
        for condition in self.conditions():
            needed, available = self._needed(condition), int(self._pool(condition).sum())
            if needed > available:
                raise InputError(
                    f"split {condition.split!r} ({condition.direction}) must have at least "
                    f"{needed} abnormal training clips for a share of {share(condition)} %, "
                    f"got {available}"
                )

    def conditions(self) -> list[Condition]:
        """Every split and direction with every share."""
        return [
            Condition(base.split, base.direction, f"{_PREFIX}{percent}")
            for base in super().conditions()
            for percent in self.shares
        ]

    def training_clips(self, condition: Condition, random_state: int) -> np.ndarray:
        """Mask of the normal clips of the training half and of abnormal clips drawn at random."""
        clips = super().training_clips(condition, random_state)
        pool = np.flatnonzero(self._pool(condition))
        drawn = np.random.default_rng(random_state).permutation(pool)[: self._needed(condition)]
        clips[drawn] = True
        return clips

    def _pool(self, condition: Condition) -> np.ndarray:
        return self.half("train") & self.abnormal(condition)

    def _needed(self, condition: Condition) -> int:
        """Number of abnormal clips for the share of the condition's variant."""
        abnormal = share(condition) / 100
        normal = int((self.half("train") & self.normal(condition)).sum())
        return round(abnormal / (1 - abnormal) * normal)

    def tables(self, results: Sequence[Result]) -> list[Table]:
        """Loss of AUC against clean training, then the tables of every protocol."""
        lost = [result for result in losses(results) if not result.mode]
        table = mean_table("Loss of AUC", "method", lost, self.row, self.column)
        return [table, *super().tables(results)]

    def remarks(self, results: Sequence[Result]) -> list[str]:
        """Remarks of every protocol, and shares that are less than one clip of a split."""
        return [
            *super().remarks(results),
            *(
                f"{condition.split}, {condition.direction}: {share(condition)} % of its clips are "
                "less than one clip; the same as clean training"
                for condition in self.conditions()
                if share(condition) and not self._needed(condition)
            ),
        ]

    def curves(self, results: Sequence[Result]) -> tuple[list[int], dict[str, list[float]]]:
        """The shares, and each method's mean loss of AUC for each share."""
        lost = [result for result in losses(results) if not result.mode]
        spreads = means(lost, self.row, lambda result: str(share(result.condition)))
        shares = [percent for percent in self.shares if percent]
        return [0, *shares], {
            name: [0.0, *(cells[str(percent)].mean for percent in shares)]
            for name, cells in spreads.items()
        }


def losses(results: Sequence[Result]) -> list[Result]:
    """Loss of AUC against clean training with the same split, direction and seed."""

    def key(result: Result) -> tuple[object, ...]:
        condition = result.condition
        return result.row, condition.split, condition.direction, result.seed

    clean = {key(result): result.value for result in results if not share(result.condition)}
    return [
        replace(result, metric="loss", value=clean[key(result)] - result.value)
        for result in results
        if share(result.condition)
    ]


def share(condition: Condition) -> int:
    """Percentage of abnormal training clips."""
    return int(condition.variant.removeprefix(_PREFIX))
