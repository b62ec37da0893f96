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

#: Shares of the training clips that are abnormal, in percent.
SHARES = (0, 1, 2, 5, 10, 20)
# Before the share in a condition's variant.
_PREFIX = "noise="


@dataclass
class Noise(Coarse):
    """:class:`Coarse` with clips of other classes of the training half mixed into training.

    The clips are drawn with the training seed; those of a smaller share are among those of a larger.

    Args:
        shares: Percent of the training clips that are abnormal, rising from 0.

    Raises:
        InputError: Shares that do not rise from 0 to less than 100, a split with too few abnormal
            clips for the largest one.
    """

    name = "noise"
    # The classes of mixed-in clips would tell which they are.
    supervised = False
    about = "whole clips, trained on clips of which a share is abnormal"
    shares: tuple[int, ...] = SHARES

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = all(low < high for low, high in pairwise(self.shares))
        if not rising or self.shares[0] != 0 or self.shares[-1] >= 100 or len(self.shares) < 2:
            raise InputError(
                f"shares of abnormal clips are {', '.join(map(str, self.shares))}, expected whole "
                "percent, 0 first, rising to less than 100"
            )
        for condition in self.conditions():
            wanted, there = self._wanted(condition), int(self._pool(condition).sum())
            if wanted > there:
                raise InputError(
                    f"split {condition.split!r} ({condition.direction}) has {there} abnormal "
                    f"training clips, expected at least {wanted} for {share(condition)} % of all "
                    "(smaller shares, or other splits)"
                )

    def conditions(self) -> list[Condition]:
        """Every split and direction with every share."""
        return [
            Condition(one.split, one.direction, f"{_PREFIX}{percent}")
            for one in super().conditions()
            for percent in self.shares
        ]

    def training_clips(self, condition: Condition, random_state: int) -> np.ndarray:
        """The normal clips of the training half and, drawn at random, the abnormal ones."""
        clips = super().training_clips(condition, random_state)
        pool = np.flatnonzero(self._pool(condition))
        drawn = np.random.default_rng(random_state).permutation(pool)[: self._wanted(condition)]
        clips[drawn] = True
        return clips

    def _pool(self, condition: Condition) -> np.ndarray:
        return self.half("train") & self.abnormal(condition)

    def _wanted(self, condition: Condition) -> int:
        """How many abnormal clips make up the share of the condition's variant."""
        abnormal = share(condition) / 100
        normal = int((self.half("train") & self.normal(condition)).sum())
        return round(abnormal / (1 - abnormal) * normal)

    def tables(self, results: Sequence[Result]) -> list[Table]:
        """What AUC loses against clean training, then the usual ones."""
        lost = [result for result in losses(results) if not result.mode]
        table = mean_table("Loss of AUC", "method", lost, self.row, self.column)
        return [table, *super().tables(results)]

    def remarks(self, results: Sequence[Result]) -> list[str]:
        """Those of every protocol, and shares of which a split is too small to have a clip."""
        return [
            *super().remarks(results),
            *(
                f"{one.split}, {one.direction}: {share(one)} % of its clips are none; the same as "
                "clean training"
                for one in self.conditions()
                if share(one) and not self._wanted(one)
            ),
        ]

    def curves(self, results: Sequence[Result]) -> tuple[list[int], dict[str, list[float]]]:
        """The shares, and each method's mean loss at each of them."""
        lost = [result for result in losses(results) if not result.mode]
        spreads = means(lost, self.row, lambda one: str(share(one.condition)))
        shares = [percent for percent in self.shares if percent]
        return [0, *shares], {
            name: [0.0, *(cells[str(percent)].mean for percent in shares)]
            for name, cells in spreads.items()
        }


def losses(results: Sequence[Result]) -> list[Result]:
    """What AUC loses against clean training, for the same split, direction and seed."""

    def key(result: Result) -> tuple[object, ...]:
        one = result.condition
        return result.row, one.split, one.direction, result.seed

    clean = {key(result): result.value for result in results if not share(result.condition)}
    return [
        replace(result, metric="loss", value=clean[key(result)] - result.value)
        for result in results
        if share(result.condition)
    ]


def share(condition: Condition) -> int:
    """Percent of the training clips that are abnormal."""
    return int(condition.variant.removeprefix(_PREFIX))
