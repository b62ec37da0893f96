"""Splits of classes: packaged, from a file, drawn."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from itertools import cycle, islice
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError
from gepc_geo.experiments import (
    DIRECTIONS,
    PACKAGED,
    Coarse,
    Split,
    choose_splits,
    random_splits,
    read_splits,
)
from gepc_geo.io import read
from gepc_geo.options import Options

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


def test_names_and_numbers_of_kinetics_are_the_same_classes():
    """Both in alphabetical order: the numbers are places in the list of all names."""
    numbers, names = PACKAGED["kinetics"], PACKAGED["kinetics_names"]
    assert [split.name for split in names] == [split.name for split in numbers]
    pairs = [
        (int(number), name)
        for by_number, by_name in zip(numbers, names, strict=True)
        for number, name in zip(by_number.classes, by_name.classes, strict=True)
    ]
    assert len(pairs) == 15
    assert [name for _, name in sorted(pairs)] == sorted(name for _, name in pairs)
    few = {number: name for number, name in pairs if number in (6, 75, 183, 255, 348, 399)}
    assert few == {
        6: "arm wrestling",
        75: "country line dancing",
        183: "lunge",
        255: "pull ups",
        348: "tango dancing",
        399: "zumba",
    }


def normal_clips(tracks, splits):
    """The names of normal clips by split and direction, of the paper's experiment."""
    coarse = Coarse(tracks, splits, DIRECTIONS, Options())
    names = np.array(tracks.clip_names)
    return {
        (one.split, one.direction): set(names[coarse.normal(one)].tolist())
        for one in coarse.conditions()
    }


def both_sides(splits, clips):
    """What :func:`normal_clips` should find among names of clips by class."""
    everything = set().union(*clips.values())
    few = {split.name: set().union(*(clips[name] for name in split.classes)) for split in splits}
    return {
        (name, direction): inside if direction == "few-vs-many" else everything - inside
        for direction in DIRECTIONS
        for name, inside in few.items()
    }


def test_ntu_splits_are_of_the_classes_in_pyskls_files(tmp_path):
    """Answer phone (28) to pushing (52), and their neighbours in the list."""
    actions = [1, *range(27, 35), *range(49, 55)]
    clips = {str(a): {f"S001C001P{p:03}R001A{a:03}" for p in (1, 3)} for a in actions}
    names = sorted(set().union(*clips.values()))
    annotations = [
        {
            "frame_dir": name,
            "label": int(name[-3:]) - 1,
            "total_frames": 2,
            "keypoint": np.ones((1, 2, 25, 3), dtype=np.float32),
        }
        for name in names
    ]
    split = {
        "xsub_train": [name for name in names if "P001" in name],
        "xsub_val": [name for name in names if "P003" in name],
    }
    path = tmp_path / "ntu60_3danno.pkl"
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}))
    splits = choose_splits("ntu", "mine.npz")
    found = normal_clips(read(path), splits)
    assert found == both_sides(splits, clips)
    assert {name[-3:] for name in found["office", "few-vs-many"]} == {"028", "029", "030", "033"}
    assert {name[-3:] for name in found["fighting", "few-vs-many"]} == {"050", "051", "052", "053"}


def test_ntu_splits_are_of_the_classes_in_ntus_own_files(tmp_path):
    """Files with nobody in them: their names say it all."""
    actions = [1, *range(27, 35), *range(49, 55)]
    clips = {str(a): {f"S001C001P{p:03}R001A{a:03}" for p in (1, 3)} for a in actions}
    for name in set().union(*clips.values()):
        (tmp_path / f"{name}.skeleton").write_text("1\n0\n")
    splits = choose_splits("ntu", "mine.npz")
    assert normal_clips(read(tmp_path), splits) == both_sides(splits, clips)


def test_kinetics_splits_are_of_the_texts_in_its_files(tmp_path):
    """All classes of the packaged splits, and two others."""
    splits = choose_splits("kinetics_names", "mine.npz")
    classes = [name for split in splits for name in split.classes] + ["abseiling", "pushing car"]
    person = {"pose": [0.5] * 36, "score": [0.5] * 18}
    clips: dict[str, set[str]] = {name: set() for name in classes}
    for folder in ("kinetics_train", "kinetics_val"):
        (tmp_path / folder).mkdir()
        for number, name in enumerate(classes):
            content = {
                "data": [{"frame_index": 1, "skeleton": [person]}],
                "label": name,
                "label_index": number,
            }
            clip = f"{folder[-3:]}_{number}"
            clips[name].add(clip)
            (tmp_path / folder / f"{clip}.json").write_text(json.dumps(content))
    tracks = read(tmp_path)
    assert tracks.num_clips == 2 * len(classes) == 34
    found = normal_clips(tracks, splits)
    assert found == both_sides(splits, clips)
    assert {len(found[name, "few-vs-many"]) for name in ("random", "gym", "dancing")} == {8, 10, 12}
    known = ", ".join(sorted(classes))
    with pytest.raises(
        InputError, match=rf"split 'random' must have classes of the data \({known}\), got '6'"
    ):
        Coarse(tracks, choose_splits("kinetics", "mine.npz"), DIRECTIONS, Options())


def test_packaged_splits_fit_the_real_data(real_data):
    from gepc_geo.datasets import NWUCLA, PennAction

    for name, kind in (("penn_action", PennAction), ("nw_ucla", NWUCLA)):
        classes = sorted(set(kind(real_data(name)).tracks().clip_label))
        for split in PACKAGED[name]:
            split.check(classes, name)


def test_splits_are_chosen_by_name_or_from_a_file(tmp_path):
    assert choose_splits("packaged", "nw_ucla") == list(PACKAGED["nw_ucla"])
    assert choose_splits("two", "nw_ucla") == list(PACKAGED["nw_ucla"][:2])
    assert choose_splits("ntu", "mine.npz") == list(PACKAGED["ntu"])
    assert [s.name for s in choose_splits("gym, jumps", "penn_action")] == ["gym", "jumps"]
    assert choose_splits("none", "penn_action") == []
    path = tmp_path / "mine.yaml"
    path.write_text("small: [1, 2]\nlarge: [walk, run, 3]\n")
    wanted = [Split("small", ("1", "2")), Split("large", ("walk", "run", "3"))]
    assert choose_splits(str(path), "nw_ucla") == wanted
    with pytest.raises(
        InputError,
        match="^--splits must be a YAML file, none or, for penn_action, packaged, swings, "
        "gym, throws, jumps, got 'gim'",
    ):
        choose_splits("gim", "penn_action")
    with pytest.raises(
        InputError,
        match=r"must be a YAML file, none or, for mine\.npz, penn_action, nw_ucla, kinetics, "
        "kinetics_names, ntu, got 'packaged'",
    ):
        choose_splits("packaged", "mine.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have lists of classes by name, got none"),
        ("a: walk", r"^split 'a' of .*splits\.yaml must be a list of classes, got 'walk'$"),
        ("a: []", r"^split 'a' of .*splits\.yaml must be a list of classes, got \[\]$"),
        ("a: [x, y, x]", r"^split 'a' of .*splits\.yaml must have each class once, got x, y, x$"),
        (
            "a: [x]\na: [y]",
            r"must be a file of splits \(lists of classes by name\) in YAML, "
            "got an error: names must be different, got 'a' twice",
        ),
        ("a/b: [x]", "must be letters, digits, _ and -, got 'a/b'"),
        (
            "- x",
            r"must be a file of splits \(lists of classes by name\) with values by name, "
            "got a list",
        ),
    ],
)
def test_files_that_are_not_splits_are_refused(text, message, tmp_path):
    path = tmp_path / "splits.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_splits(path)
    assert str(path) in str(error.value)


def test_splits_of_unknown_or_all_classes_are_refused():
    with pytest.raises(
        InputError, match=r"split 's' must have classes of the data \(a, b\), got 'z'"
    ):
        Split("s", ("a", "z")).check(["a", "b"], "the data")
    with pytest.raises(
        InputError, match="split 's' must have some of the 2 classes of the data, got all"
    ):
        Split("s", ("a", "b")).check(["a", "b"], "the data")


def test_drawn_splits_alternate_between_three_four_and_five_classes():
    """Whatever the packaged ones have."""
    packaged = [Split("p", ("a", "b", "c")), Split("q", ("d", "e"))]
    drawn = random_splits(LETTERS, 12, 3, packaged)
    assert [len(split.classes) for split in drawn] == [3, 4, 5] * 4
    assert [split.name for split in drawn] == [f"random_{i}" for i in range(1, 13)]
    assert random_splits(LETTERS, 5, 3, packaged) == drawn[:5]
    assert random_splits(LETTERS, 12, 4, packaged) != drawn


@pytest.mark.parametrize(
    ("classes", "sizes"),
    [(3, [2, 2]), (4, [2, 3, 2, 3]), (5, [2, 3, 4, 2]), (6, [3, 4, 5, 3]), (7, [3, 4, 5, 3])],
)
def test_splits_of_few_classes_leave_one_outside(classes, sizes):
    drawn = random_splits(LETTERS[:classes], len(sizes), 0)
    assert [len(split.classes) for split in drawn] == sizes


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_drawn_splits_are_within_bounds_and_all_different(data):
    """As many as there are, and a refusal where there are fewer."""
    classes = LETTERS[: data.draw(st.integers(1, 10), "classes")]
    count, seed = data.draw(st.integers(0, 20), "count"), data.draw(st.integers(0, 99), "seed")
    sets = st.frozensets(st.sampled_from(classes), min_size=1)
    taken = data.draw(st.sets(sets, max_size=5), "packaged")
    packaged = [Split(f"p{i}", tuple(one)) for i, one in enumerate(taken)]
    sizes = (3, 4, 5) if len(classes) >= 6 else tuple(range(2, len(classes)))
    wanted = Counter(islice(cycle(sizes), count))
    free = {n: comb(len(classes), n) - sum(len(one) == n for one in taken) for n in sizes}
    # Sizes take turns: the first that is short ends the drawing.
    most = min((free[n] * len(sizes) + turn for turn, n in enumerate(sizes)), default=0)
    if count > most:
        data = "data with 1 class" if len(classes) == 1 else f"data with {len(classes)} classes"
        limit = f"at most {most} for {data}" if most else f"0 for {data}, as no split can be drawn"
        with pytest.raises(InputError, match=f"^--random must be {limit}, got {count}$"):
            random_splits(classes, count, seed, packaged)
        return
    drawn = random_splits(classes, count, seed, packaged)
    assert Counter(len(split.classes) for split in drawn) == wanted
    assert all(set(split.classes) < set(classes) for split in drawn)
    assert len(taken | {frozenset(split.classes) for split in drawn}) == len(taken) + count


def test_every_class_is_drawn_about_as_often():
    drawn = random_splits(LETTERS, 90, 0, [Split("p", ("a", "b", "c"))])
    counts = np.array([sum(name in split.classes for split in drawn) for name in LETTERS])
    # 30 sets each of 3, 4 and 5 of 10 classes: each class is in 36 on average.
    assert counts.sum() == 360 and counts.min() > 22


def test_more_drawn_splits_than_exist_are_refused():
    with pytest.raises(
        InputError, match="--random must be at most 3 for data with 3 classes, got 4"
    ):
        random_splits(["a", "b", "c"], 4, 0)
    with pytest.raises(
        InputError,
        match="^--random must be 0 for data with 2 classes, as no split can be drawn, got 1$",
    ):
        random_splits(["a", "b"], 1, 0)
