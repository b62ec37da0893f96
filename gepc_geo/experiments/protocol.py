"""A protocol: its conditions, and the training and test poses of each condition."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.experiments.methods import METHODS
from gepc_geo.experiments.results import Condition, Result
from gepc_geo.experiments.splits import Split
from gepc_geo.experiments.tables import Spread, Table, comparison_lines, mean_table, means
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.checksums import checksum

#: Options for whole clips (section 4.2.4 of the paper: one graph per clip).
CLIPS: dict[str, Any] = {"frames": 24, "batch_size": 32, "stride": 1, "budget": 12_000}
#: Options for frames of recordings.
FRAMES: dict[str, Any] = {"batch_size": 256, "budget": 350_000}


class Task(NamedTuple):
    """Poses and labels of a condition.

    Attributes:
        train: Poses to train on.
        test: Poses to test on.
        labels: Labels of the test clips, or at frame level of their frames, clip after clip,
            :math:`[N]` int8: 1 abnormal, 0 normal, -1 unknown.
    """

    train: PoseTracks
    test: PoseTracks
    labels: np.ndarray


def fingerprint(*data: PoseTracks) -> int:
    """A checksum of all arrays of poses, with labels and splits of clips."""
    arrays = []
    for tracks in data:
        for field in fields(tracks):
            value = getattr(tracks, field.name)
            value = json.dumps(value.to_dict()) if field.name == "skeleton" else value
            array = np.zeros(0) if value is None else np.asarray(value)
            # Name, type and shape distinguish arrays with the same bytes.
            arrays += [np.array(f"{field.name} {array.dtype.str} {array.shape}"), array]
    return checksum(*arrays)


class Protocol(ABC):
    """An experiment: its conditions, and the training and test poses of each condition.

    Attributes:
        name: Name of the experiment.
        about: Description of the experiment, for the heading of its tables.
        level: ``"clip"`` or ``"frame"``: what is scored.
        base: Options that differ from the detector's defaults.
        supervised: Whether the training poses have classes.
        options: The detector's options.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    level: ClassVar[str]
    base: ClassVar[dict[str, Any]]
    supervised: ClassVar[bool] = True
    options: Options

    @abstractmethod
    def conditions(self) -> list[Condition]:
        """All conditions, in the order of the table's columns."""

    @abstractmethod
    def task(self, condition: Condition, random_state: int) -> Task:
        """The poses and labels of a condition.

        Args:
            condition: The condition.
            random_state: Seed of the training.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Values, apart from options, that determine the results, for ``config.yaml``."""

    @property
    @abstractmethod
    def dims(self) -> int:
        """Number of coordinates of a key point, 2 or 3."""

    def options_of(self, condition: Condition) -> Options:
        """The detector's options under a condition."""
        return self.options

    def row(self, result: Result) -> str:
        """Name of the table's row of a result; supervised methods are marked."""
        marked = not result.mode and METHODS[result.row].supervised
        return f"{result.row} (supervised)" if marked else result.row

    def column(self, result: Result) -> str:
        """Name of the table's column of a result: direction, variant and metric."""
        direction, variant = result.condition.direction, result.condition.variant
        metric = "" if direction and result.metric == "AUC" else result.metric
        return ", ".join(part for part in (direction, variant, metric) if part)

    def means(self, results: Sequence[Result]) -> dict[str, dict[str, Spread]]:
        """Mean and standard deviation by row and column, without rows of scoring modes."""
        return means([result for result in results if not result.mode], self.row, self.column)

    def tables(self, results: Sequence[Result]) -> list[Table]:
        """Means of methods, means of the detector's scoring modes, and every split."""
        modes = [result for result in results if result.mode]
        plain = [result for result in results if not result.mode]
        tables = [mean_table("Means", "method", plain, self.row, self.column)]
        if modes:
            tables.append(mean_table("Scoring modes", "mode", modes, self.row, self.column))
        return tables + self.split_tables(results)

    def split_tables(self, results: Sequence[Result]) -> list[Table]:
        """One table per column with its splits, without rows of scoring modes."""
        if len({result.condition.split for result in results}) == 1:
            return []
        plain = [result for result in results if not result.mode]
        return [
            mean_table(
                f"Splits, {column}",
                "method",
                [result for result in plain if self.column(result) == column],
                self.row,
                lambda result: result.condition.split,
            )
            for column in dict.fromkeys(map(self.column, results))
        ]

    def remarks(self, results: Sequence[Result]) -> list[str]:
        """Sentences that compare our detector with the best unsupervised baseline."""
        return comparison_lines(results, self.column)


@dataclass
class ClassProtocol(Protocol):
    """A protocol over splits of classes: trains on one official half of clips, tests on the other.

    Args:
        tracks: Clips with classes and the splits ``train`` and ``test``.
        splits: Sets of classes.
        directions: Some of :data:`~gepc_geo.experiments.splits.DIRECTIONS`.
        options: The detector's options.

    Raises:
        InputError: The clips have no official halves, a direction or a split is given twice, or a
            condition has no clips for training or testing.
    """

    tracks: PoseTracks
    splits: Sequence[Split]
    directions: Sequence[str]
    options: Options

    def __post_init__(self) -> None:
        self._check_halves()
        if not self.splits:
            raise InputError("splits must be given by --splits or --random, got none")
        names = [split.name for split in self.splits]
        _check_different("names of splits", names)
        _check_different("directions", self.directions)
        for split in self.splits:
            split.check(self.classes, "the data")
            for direction in self.directions:
                self._check_clips(Condition(split.name, direction))

    @property
    def dims(self) -> int:
        """Number of coordinates of a key point, 2 or 3."""
        return self.tracks.dims

    @property
    def classes(self) -> list[str]:
        """The classes of the data, sorted."""
        return sorted(set(self.tracks.clip_label) - {""})

    def conditions(self) -> list[Condition]:
        """Every split in every direction."""
        return [
            Condition(split.name, direction)
            for direction in self.directions
            for split in self.splits
        ]

    def settings(self) -> dict[str, Any]:
        """A checksum of the poses, and the classes of the splits."""
        return {
            "checksum": fingerprint(self.tracks),
            "splits": {split.name: list(split.classes) for split in self.splits},
        }

    def normal(self, condition: Condition) -> np.ndarray:
        """Mask of the clips of normal classes, :math:`[N]` bool."""
        split = next(split for split in self.splits if split.name == condition.split)
        return np.isin(self.tracks.clip_label, split.normal(condition.direction, self.classes))

    def abnormal(self, condition: Condition) -> np.ndarray:
        """Mask of the clips of abnormal classes, :math:`[N]` bool."""
        return ~self.normal(condition) & np.isin(self.tracks.clip_label, self.classes)

    def half(self, name: str) -> np.ndarray:
        """Mask of the clips of an official half (``"train"`` or ``"test"``), :math:`[N]` bool."""
        return np.array(self.tracks.clip_split) == name

    def _check_halves(self) -> None:
        halves = set(self.tracks.clip_split)
        if not {"train", "test"} <= halves:
            got = ", ".join(sorted(halves - {""})) or "no splits"
            raise InputError(f"the data must have clips of splits train and test, got {got}")

    def _check_clips(self, condition: Condition) -> None:
        normal, abnormal = self.normal(condition), self.abnormal(condition)
        for half, clips, kind in (
            ("train", normal, "normal"),
            ("test", normal, "normal"),
            ("test", abnormal, "abnormal"),
        ):
            if not (self.half(half) & clips).any():
                raise InputError(
                    f"split {condition.split!r} ({condition.direction}) must have {kind} clips in "
                    f"the {half} half, got none"
                )


def _check_different(kind: str, names: Sequence[str]) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise InputError(f"{kind} must be different, got {name!r} twice")
