"""Splits of classes into normal and abnormal ones: packaged, from a file, or random."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.utils.files import read_yaml

#: The classes of a split are normal, or all other classes are (section 4.2.1 of the paper).
DIRECTIONS = ("few-vs-many", "many-vs-few")
# Draws without a new set of classes after which drawing stops.
_TRIES = 1000


@dataclass(frozen=True)
class Split:
    """A set of classes by name.

    Attributes:
        name: Name of letters, digits, ``_`` and ``-``, as it is part of file names.
        classes: Class names of the data.
    """

    name: str
    classes: tuple[str, ...]

    def normal(self, direction: str, classes: Sequence[str]) -> list[str]:
        """The normal classes.

        Args:
            direction: One of :data:`DIRECTIONS`.
            classes: All classes of the data.
        """
        inside = direction == "few-vs-many"
        return [name for name in classes if (name in self.classes) == inside]

    def check(self, classes: Sequence[str], origin: str) -> None:
        """Checks that the split divides the classes of a data set.

        Args:
            classes: All classes of the data.
            origin: Name of the data, for messages.

        Raises:
            InputError: The data does not have a class of the split, or has no other classes.
        """
        unknown = [name for name in self.classes if name not in classes]
        if unknown:
            raise InputError(
                f"split {self.name!r} must have classes of {origin} "
                f"({', '.join(classes) or 'no class labels'}), got {unknown[0]!r}"
            )
        if len(self.classes) == len(classes):
            raise InputError(
                f"split {self.name!r} must have some of the {len(classes)} classes of {origin}, "
                "got all"
            )


def _splits(separator: str | None = None, /, **classes: str) -> tuple[Split, ...]:
    """Splits from texts of class names; ``None`` separates names at spaces."""
    return tuple(Split(name, tuple(text.split(separator))) for name, text in classes.items())


#: Splits by data set. Those of Kinetics and NTU are from table 3 of the paper, by class number
#: (Kinetics: from 0 in the alphabetical list of 400 classes; NTU: from 1). ``kinetics_names`` has
#: the splits of Kinetics by class name.
PACKAGED = {
    "penn_action": _splits(
        swings="baseball_swing golf_swing tennis_forehand tennis_serve",
        gym="squat pullup pushup situp bench_press",
        throws="baseball_pitch bowl tennis_serve",
        jumps="jumping_jacks jump_rope clean_and_jerk",
    ),
    "nw_ucla": _splits(
        pick_and_drop="1 2 3",
        whole_body="4 5 6",
        clothing="8 9",
        throw_and_carry="11 12",
    ),
    "kinetics": _splits(
        random="6 77 254 336",
        dancing="18 43 75 283 348 399",
        gym="183 255 260 305 330",
    ),
    "kinetics_names": _splits(
        ", ",
        random="arm wrestling, crawling baby, presenting weather forecast, surfing crowd",
        dancing="belly dancing, capoeira, country line dancing, salsa dancing, tango dancing, "
        "zumba",
        gym="lunge, pull ups, push up, situp, squat",
    ),
    "ntu": _splits(office="28 29 30 33", fighting="50 51 52 53"),
}


def choose_splits(text: str, dataset: str) -> list[Split]:
    """The splits of ``--splits``.

    Args:
        text: ``packaged`` (splits of the data set), ``two`` (the first two of them), a data set of
            :data:`PACKAGED`, a YAML file (``.yaml``, ``.yml``) of lists of classes by name, names
            of packaged splits of the data set separated by commas, or ``none``.
        dataset: Name of the data set.

    Raises:
        InputError: The text is none of these, or the file cannot be used.
    """
    packaged = {split.name: split for split in PACKAGED.get(dataset, ())}
    if text == "none":
        return []
    if text in ("packaged", "two") and packaged:
        return list(packaged.values())[: 2 if text == "two" else None]
    if text in PACKAGED:
        return list(PACKAGED[text])
    if Path(text).suffix in (".yaml", ".yml"):
        return read_splits(text)
    names = [name.strip() for name in text.split(",")]
    if any(name not in packaged for name in names):
        choices = ", ".join(["packaged", *packaged] if packaged else PACKAGED)
        raise InputError(
            f"--splits must be a YAML file, none or, for {dataset}, {choices}, got {text!r}"
        )
    return [packaged[name] for name in names]


def read_splits(path: str | Path) -> list[Split]:
    """The splits in a YAML file: lists of classes by name.

    Raises:
        InputError: The file is missing, or does not have lists of classes by name.
    """
    splits = []
    for name, classes in read_yaml(path, "file of splits (lists of classes by name)").items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", str(name)):
            raise InputError(
                f"name of a split of {path} must be letters, digits, _ and -, got {name!r}"
            )
        if not isinstance(classes, list) or not classes:
            raise InputError(f"split {name!r} of {path} must be a list of classes, got {classes!r}")
        texts = tuple(map(str, classes))
        if len(set(texts)) < len(texts):
            raise InputError(
                f"split {name!r} of {path} must have each class once, got {', '.join(texts)}"
            )
        splits.append(Split(str(name), texts))
    if not splits:
        raise InputError(f"{path} must have lists of classes by name, got none")
    return splits


def random_splits(
    classes: Sequence[str], count: int, random_state: int, packaged: Sequence[Split] = ()
) -> list[Split]:
    """Draws random splits, different from each other and from the packaged splits.

    Splits have 3, 4, 5, 3, ... classes (section 4.2.1 of the paper: "sets of 3-5 classes"). If the
    data has fewer than 6 classes, they have 2, 3, ... up to all but one.

    Args:
        classes: All classes of the data.
        count: Number of splits.
        random_state: Seed; a larger ``count`` with the same seed starts with the same splits.
        packaged: Splits that are not drawn. (default: none)

    Raises:
        InputError: There are fewer different splits.
    """
    generator = np.random.default_rng(random_state)
    sizes = range(3, 6) if len(classes) >= 6 else range(2, len(classes))
    taken = {frozenset(split.classes) for split in packaged}
    splits: list[Split] = []
    for size in islice(cycle(sizes), count):
        for _ in range(_TRIES):
            drawn = sorted(generator.permutation(len(classes))[:size].tolist())
            names = tuple(classes[position] for position in drawn)
            if frozenset(names) not in taken:
                break
        else:
            break
        taken.add(frozenset(names))
        splits.append(Split(f"random_{len(splits) + 1}", names))
    if len(splits) < count:
        data = f"data with {len(classes)} class{'es' * (len(classes) != 1)}"
        if not splits:
            raise InputError(
                f"--random must be 0 for {data}, as no split can be drawn, got {count}"
            )
        raise InputError(f"--random must be at most {len(splits)} for {data}, got {count}")
    return splits
