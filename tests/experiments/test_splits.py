"""Splits of classes: packaged, from a file, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.experiments import (
    DIRECTIONS,
    PACKAGED,
    Split,
    choose_splits,
    random_splits,
    read_splits,
)

LETTERS = tuple("abcdefghij")


def test_directions_are_the_two_sides_of_a_split():
    split = Split("vowels", ("e", "a"))
    few, many = (split.normal(direction, LETTERS[:6]) for direction in DIRECTIONS)
    assert few == ["a", "e"]
    assert many == ["b", "c", "d", "f"]


def test_packaged_splits_are_those_of_the_papers_table_3():
    kinetics = {split.name: set(map(int, split.classes)) for split in PACKAGED["kinetics"]}
    assert kinetics["dancing"] == {18, 43, 75, 283, 348, 399}
    assert kinetics["gym"] == {183, 255, 260, 305, 330}
    assert kinetics["random"] == {6, 77, 254, 336}
    ntu = {split.name: set(map(int, split.classes)) for split in PACKAGED["ntu"]}
    assert ntu == {"office": {28, 29, 30, 33}, "fighting": {50, 51, 52, 53}}


def test_packaged_splits_fit_the_real_data(real_data):
    from gepc_geo.datasets import NWUCLA, PennAction

    for name, kind in (("penn_action", PennAction), ("nw_ucla", NWUCLA)):
        classes = sorted(set(kind(real_data(name)).tracks().clip_label))
        for split in PACKAGED[name]:
            split.check(classes, name)


def test_what_a_command_line_can_ask_for(tmp_path):
    assert choose_splits("packaged", "nw_ucla") == list(PACKAGED["nw_ucla"])
    assert choose_splits("two", "nw_ucla") == list(PACKAGED["nw_ucla"][:2])
    assert choose_splits("ntu", "mine.npz") == list(PACKAGED["ntu"])
    assert [s.name for s in choose_splits("gym, jumps", "penn_action")] == ["gym", "jumps"]
    assert choose_splits("none", "penn_action") == []
    path = tmp_path / "mine.yaml"
    path.write_text("small: [1, 2]\nlarge: [walk, run, 3]\n")
    wanted = [Split("small", ("1", "2")), Split("large", ("walk", "run", "3"))]
    assert choose_splits(str(path), "nw_ucla") == wanted
    with pytest.raises(InputError, match=r"^--splits is 'gim', expected .* packaged, swings, gym"):
        choose_splits("gim", "penn_action")
    with pytest.raises(InputError, match="'packaged', expected .* penn_action, nw_ucla, kinetics"):
        choose_splits("packaged", "mine.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a: walk", "split 'a' is 'walk', expected a list"),
        ("a: []", "split 'a' is \\[\\], expected a list"),
        ("a: [x, y, x]", "split 'a' has a class twice"),
        ("a: [x]\na: [y]", "cannot be read, expected .*: 'a' is there twice"),
        ("a/b: [x]", "has split 'a/b', expected a name of letters"),
        ("- x", "holds a list"),
    ],
)
def test_files_of_something_else(text, message, tmp_path):
    path = tmp_path / "splits.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_splits(path)
    assert str(path) in str(error.value)


def test_splits_that_do_not_divide_the_classes():
    with pytest.raises(InputError, match="split 's' has class 'z', expected one of the data: a, b"):
        Split("s", ("a", "z")).check(["a", "b"], "the data")
    with pytest.raises(InputError, match="split 's' has all 2 classes"):
        Split("s", ("a", "b")).check(["a", "b"], "the data")


def test_drawn_splits_have_the_packaged_sizes_and_are_all_different():
    packaged = [Split("p", ("a", "b", "c")), Split("q", ("d", "e"))]
    drawn = random_splits(LETTERS, 12, 3, packaged)
    assert [len(split.classes) for split in drawn] == [3, 2] * 6
    assert [split.name for split in drawn] == [f"random_{i}" for i in range(1, 13)]
    sets = {frozenset(split.classes) for split in [*packaged, *drawn]}
    assert len(sets) == 14
    assert all(set(split.classes) < set(LETTERS) for split in drawn)
    assert random_splits(LETTERS, 5, 3, packaged) == drawn[:5]
    assert random_splits(LETTERS, 12, 4, packaged) != drawn


def test_drawn_splits_without_packaged_ones_have_three_to_five_classes():
    sizes = [len(split.classes) for split in random_splits(LETTERS, 9, 0)]
    assert sorted(set(sizes)) == [3, 4, 5]


def test_every_class_is_drawn_about_as_often():
    drawn = random_splits(LETTERS, 90, 0, [Split("p", ("a", "b", "c"))])
    counts = np.array([sum(name in split.classes for split in drawn) for name in LETTERS])
    # 90 of the 120 sets of 3: each class is in 27 on average.
    assert counts.sum() == 270 and counts.min() > 15


def test_more_splits_than_there_are():
    with pytest.raises(InputError, match="--random is 4, expected at most 3, .* 3 classes"):
        random_splits(["a", "b", "c"], 4, 0)
