"""What a protocol is: conditions to measure under, and for each of them poses to train and test on."""

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

#: Options of whole clips (section 4.2.4 of the paper: one graph a clip), and their training budget.
CLIPS: dict[str, Any] = {"frames": 24, "batch_size": 32, "stride": 1, "budget": 12_000}
#: Options of frames of long recordings, and their training budget.
FRAMES: dict[str, Any] = {"batch_size": 256, "budget": 350_000}


class Task(NamedTuple):
    """Poses to train and to test on, and the truth: 1 abnormal, 0 normal, -1 unknown.

    Labels are of test clips or, at frame level, of their frames, clip after clip.
    """

    train: PoseTracks
    test: PoseTracks
    labels: np.ndarray


def fingerprint(*data: PoseTracks) -> int:
    """A checksum of everything that poses hold, labels and splits of clips included."""
    arrays = []
    for tracks in data:
        for field in fields(tracks):
            value = getattr(tracks, field.name)
            value = json.dumps(value.to_dict()) if field.name == "skeleton" else value
            array = np.zeros(0) if value is None else np.asarray(value)
            # Its name and shape keep apart what would be the same bytes in a row.
            arrays += [np.array(f"{field.name} {array.dtype.str} {array.shape}"), array]
    return checksum(*arrays)


class Protocol(ABC):
    """An experiment: its conditions, and what is trained and tested under each.

    Attributes:
        name: The experiment's.
        about: What its tables are measured on, for their heading.
        level: ``"clip"`` or ``"frame"``: what is scored.
        base: Options that differ from the detector's defaults.
        supervised: Whether there are classes that a method can learn from.
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
        """Everything that is measured, in the order of the table's columns."""

    @abstractmethod
    def task(self, condition: Condition, random_state: int) -> Task:
        """The poses of a condition."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the results depend on, beside options, as plain values for ``config.yaml``."""

    @property
    @abstractmethod
    def dims(self) -> int:
        """Coordinates of the poses."""

    def options_of(self, condition: Condition) -> Options:
        """The detector's options under a condition."""
        return self.options

    def row(self, result: Result) -> str:
        """The name of the table's row that a number stands in; who learns from classes is marked."""
        marked = not result.mode and METHODS[result.row].supervised
        return f"{result.row} (supervised)" if marked else result.row

    def column(self, result: Result) -> str:
        """The name of the column that it is averaged in: direction, variant, metric."""
        one = result.condition
        metric = "" if one.direction and result.metric == "AUC" else result.metric
        return ", ".join(part for part in (one.direction, one.variant, metric) if part)

    def means(self, results: Sequence[Result]) -> dict[str, dict[str, Spread]]:
        """Mean and deviation by row and column, without single scoring modes."""
        return means([result for result in results if not result.mode], self.row, self.column)

    def tables(self, results: Sequence[Result]) -> list[Table]:
        """Means of the methods, the detector's scoring modes, and every split."""
        modes = [result for result in results if result.mode]
        plain = [result for result in results if not result.mode]
        tables = [mean_table("Means", "method", plain, self.row, self.column)]
        if modes:
            tables.append(mean_table("Scoring modes", "mode", modes, self.row, self.column))
        return tables + self.split_tables(results)

    def split_tables(self, results: Sequence[Result]) -> list[Table]:
        """For each column the splits it is made of, without single scoring modes."""
        if len({result.condition.split for result in results}) == 1:
            return []
        return [
            mean_table(
                f"Splits, {column}",
                "method",
                [one for one in results if self.column(one) == column and not one.mode],
                self.row,
                lambda one: one.condition.split,
            )
            for column in dict.fromkeys(map(self.column, results))
        ]

    def remarks(self, results: Sequence[Result]) -> list[str]:
        """Sentences under the tables: our detector beside the best unsupervised competitor."""
        return comparison_lines(results, self.column)


@dataclass
class ClassProtocol(Protocol):
    """A protocol over splits of the classes of clips, trained on one official half, tested on the other.

    Args:
        tracks: Clips with classes and the splits ``train`` and ``test``.
        splits: Sets of classes.
        directions: Of :data:`~gepc_geo.experiments.splits.DIRECTIONS`.
        options: The detector's options.

    Raises:
        InputError: No official halves, a direction or a name of splits twice, or a condition without
            clips to train or test on.
    """

    tracks: PoseTracks
    splits: Sequence[Split]
    directions: Sequence[str]
    options: Options

    def __post_init__(self) -> None:
        self._check_halves()
        if not self.splits:
            raise InputError("there are no splits, expected --splits or --random")
        names = [split.name for split in self.splits]
        _check_different("split", names, "each name once (--random draws random_1, random_2, ...)")
        _check_different("direction", self.directions, "each once")
        for split in self.splits:
            split.check(self.classes, "the data")
            for direction in self.directions:
                self._check_clips(Condition(split.name, direction))

    @property
    def dims(self) -> int:
        """Coordinates of the poses."""
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
        """The poses (as a checksum) and the classes of the splits."""
        return {
            "checksum": fingerprint(self.tracks),
            "splits": {split.name: list(split.classes) for split in self.splits},
        }

    def normal(self, condition: Condition) -> np.ndarray:
        """Which clips are of a normal class, :math:`[N]` bool."""
        split = next(split for split in self.splits if split.name == condition.split)
        return np.isin(self.tracks.clip_label, split.normal(condition.direction, self.classes))

    def abnormal(self, condition: Condition) -> np.ndarray:
        """Which clips are of a class that is not normal, :math:`[N]` bool."""
        return ~self.normal(condition) & np.isin(self.tracks.clip_label, self.classes)

    def half(self, name: str) -> np.ndarray:
        """Which clips are of an official half (``"train"``, ``"test"``), :math:`[N]` bool."""
        return np.array(self.tracks.clip_split) == name

    def _check_halves(self) -> None:
        there = set(self.tracks.clip_split)
        if not {"train", "test"} <= there:
            names = sorted(there - {""})
            found = f"clips of {', '.join(names)} only" if names else "no splits of clips"
            raise InputError(f"the data has {found}, expected the official halves train and test")

    def _check_clips(self, condition: Condition) -> None:
        normal, abnormal = self.normal(condition), self.abnormal(condition)
        for half, clips, what in (
            ("train", normal, "normal"),
            ("test", normal, "normal"),
            ("test", abnormal, "abnormal"),
        ):
            if not (self.half(half) & clips).any():
                raise InputError(
                    f"split {condition.split!r} ({condition.direction}) has no {what} clip in the "
                    f"{half} half, expected some"
                )


def _check_different(kind: str, names: Sequence[str], wanted: str) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise InputError(f"{kind} {name!r} is asked for twice, expected {wanted}")
