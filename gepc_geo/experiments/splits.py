"""Which classes are normal: packaged splits, a user's file, random draws."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.utils.files import read_yaml

#: Section 4.2.1 of the paper: the classes of the split are normal, or those outside of it are.
DIRECTIONS = ("few-vs-many", "many-vs-few")
# Draws without a new set of classes after which there is none.
_TRIES = 1000


@dataclass(frozen=True)
class Split:
    """A set of classes by name.

    Attributes:
        name: Letters, digits, ``_`` and ``-``: it becomes part of file names.
        classes: Class names as the data has them.
    """

    name: str
    classes: tuple[str, ...]

    def normal(self, direction: str, classes: Sequence[str]) -> list[str]:
        """The normal ones of all ``classes``, in one of the :data:`DIRECTIONS`."""
        inside = direction == "few-vs-many"
        return [name for name in classes if (name in self.classes) == inside]

    def check(self, classes: Sequence[str], origin: str) -> None:
        """Makes sure that the split divides the classes of a data set.

        Raises:
            InputError: A class that the data lacks, or no class left on either side.
        """
        lost = [name for name in self.classes if name not in classes]
        if lost:
            raise InputError(
                f"split {self.name!r} has class {lost[0]!r}, expected one of {origin}: "
                f"{', '.join(classes) or 'no class labels at all'}"
            )
        if len(self.classes) == len(classes):
            raise InputError(
                f"split {self.name!r} has all {len(classes)} classes of {origin}, "
                "expected some outside of it"
            )


def _splits(separator: str | None = None, /, **classes: str) -> tuple[Split, ...]:
    """Sets of classes by name, the classes of each in one text, between spaces unless told otherwise."""
    return tuple(Split(name, tuple(text.split(separator))) for name, text in classes.items())


#: By data set. Kinetics and NTU: table 3 of the paper, by class number (Kinetics' from 0 in the
#: alphabetical list of its 400 classes, NTU's from 1); ``kinetics_names``: the same by the data's names.
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
        dancing="belly dancing, capoeira, country line dancing, salsa dancing, tango dancing, zumba",
        gym="lunge, pull ups, push up, situp, squat",
    ),
    "ntu": _splits(office="28 29 30 33", fighting="50 51 52 53"),
}


def choose_splits(text: str, dataset: str) -> list[Split]:
    """The splits that a command line asks for.

    Args:
        text: ``packaged`` (those of the data set), ``two`` (the first two of them), a data set of
            :data:`PACKAGED`, a YAML file (``.yaml``, ``.yml``) of lists of classes by name, names of
            packaged splits of the data set separated by commas, or ``none``.
        dataset: The data set's name.

    Raises:
        InputError: None of these.
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
    lost = [name for name in names if name not in packaged]
    if lost:
        there = ", ".join(["packaged", *packaged] if packaged else PACKAGED)
        raise InputError(
            f"--splits is {text!r}, expected a YAML file, none or, for {dataset}, {there}"
        )
    return [packaged[name] for name in names]


def read_splits(path: str | Path) -> list[Split]:
    """The splits in a YAML file: lists of classes by name.

    Raises:
        InputError: No such file, or something else in it.
    """
    splits = []
    for name, classes in read_yaml(path, "file of splits (lists of classes by name)").items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", str(name)):
            raise InputError(
                f"{path} has split {name!r}, expected a name of letters, digits, _ and -"
            )
        if not isinstance(classes, list) or not classes:
            raise InputError(f"{path}: split {name!r} is {classes!r}, expected a list of classes")
        texts = tuple(map(str, classes))
        if len(set(texts)) < len(texts):
            raise InputError(f"{path}: split {name!r} has a class twice, expected each once")
        splits.append(Split(str(name), texts))
    if not splits:
        raise InputError(f"{path} is empty, expected lists of classes by name")
    return splits


def random_splits(
    classes: Sequence[str], count: int, random_state: int, packaged: Sequence[Split] = ()
) -> list[Split]:
    """Sets of classes drawn at random, different from each other and from the packaged ones.

    They have 3, 4, 5, 3, ... classes (section 4.2.1 of the paper: "sets of 3-5 classes"); of fewer
    than 6 classes 2 and so on up to all but one.

    Args:
        classes: All classes of the data.
        count: How many sets.
        random_state: Seed of the draws; of more draws with the same seed the first are the same.
        packaged: Sets that are not drawn.

    Raises:
        InputError: Not that many different sets.
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
        raise InputError(
            f"--random is {count}, expected at most {len(splits)}, as the data has "
            f"{len(classes)} classes"
        )
    return splits
