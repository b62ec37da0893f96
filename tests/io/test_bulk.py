"""AlphaPose files read in bulk: the same as read with care, or left to the careful reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read
from gepc_geo.io._common import bulk
from gepc_geo.io.formats import alphapose

FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PATH = Path("some.json")
WAYS = {
    "results": (alphapose.bulk_results, alphapose.careful_results),
    "tracks": (alphapose.bulk_tracks, alphapose.careful_tracks),
}
POINTS = [1.5, 2, -3e2] * 17


def results(**changes: object) -> str:
    """Three entries, the second with other fields."""
    pose = {"image_id": "7.jpg", "category_id": 1, "keypoints": POINTS, "score": 2.5, "idx": 3}
    entries = [pose, {**pose, "idx": 4, **changes}, {**pose, "image_id": 8, "box": [1, {"a": "é"}]}]
    return json.dumps(entries, ensure_ascii=False)


def tracks(points: object = POINTS) -> str:
    """Two people, one of them as a list; ``points`` of one pose."""
    pose = {"keypoints": POINTS, "scores": 1}
    people = {"1": {"0001": pose, "2": {"keypoints": points}}, "02": [{"1": pose}, {"3": pose}]}
    return json.dumps(people)


def assert_bulk_is_careful(form: str, text: str) -> bool:
    """Whatever the bulk reader reads, the careful one reads too, and the same; whether it did."""
    in_bulk, careful = WAYS[form]
    try:
        found = in_bulk(text, PATH)
    except InputError:
        # The careful reader says what the first fault is.
        with pytest.raises(InputError):
            careful(text, PATH)
        return True
    if found is not None:
        expected = careful(text, PATH)
        assert found[:2] == expected[:2] and found[3:] == expected[3:]
        np.testing.assert_array_equal(found[2], expected[2])
        assert found[2].dtype == expected[2].dtype == np.float32
    return found is not None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"idx": [[4]]},
        {"idx": [[4.0], [4.0]]},
        {"idx": 4.0},
        {"idx": 4.5},
        {"idx": "4"},
        {"idx": []},
        {"idx": 2**70},
        {"image_id": "none"},
        {"score": 3},
        # A second pose of a person in a frame.
        {"idx": 3, "score": 9, "keypoints": [7] * 51},
        {"idx": 3, "keypoints": [7] * 51},
    ],
)
def test_usual_result_lists_are_read_in_bulk(changes):
    assert assert_bulk_is_careful("results", results(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"keypoints": [*POINTS, 1, 2, 3]},
        {"keypoints": POINTS[:50]},
        {"keypoints": []},
        {"keypoints": None},
        {"keypoints": [True, *POINTS[1:]]},
        {"keypoints": ["1.5", *POINTS[1:]]},
        {"keypoints": [float("nan"), *POINTS[1:]]},
        {"keypoints": [10**400, *POINTS[1:]]},
        {"score": float("nan")},
        {"score": None},
        {"idx": None},
        {"idx": True},
        {"image_id": None},
        {"extra": float("inf")},
    ],
)
def test_unusual_result_lists_are_left_to_the_careful_reader(changes):
    assert not assert_bulk_is_careful("results", results(**changes))


def test_usual_tracked_persons_are_read_in_bulk_and_unusual_ones_carefully():
    assert assert_bulk_is_careful("tracks", tracks())
    assert assert_bulk_is_careful("tracks", tracks().replace('"02"', '"x"'))
    for points in (POINTS[:50], [*POINTS, 1, 2, 3], [], None, ["1.5", *POINTS[1:]]):
        assert not assert_bulk_is_careful("tracks", tracks(points))


def test_of_repeated_names_in_an_object_the_last_counts():
    pose = json.dumps({"keypoints": POINTS})
    other = json.dumps({"keypoints": [9] * 51})
    text = f'{{"1": {{"5": {other}}}, "1": {{"0": {other}, "0": {pose}}}}}'
    assert assert_bulk_is_careful("tracks", text)
    text = f'[{{"image_id": 1, "idx": 1, "idx": 2, "keypoints": [1], "keypoints": {POINTS}}}]'
    assert assert_bulk_is_careful("results", text)


def test_files_of_several_batches_are_read_in_bulk(tmp_path):
    count = 2 * bulk.BATCH + 3
    poses = [[float(i)] * 51 for i in range(count)]
    entries = [{"image_id": i, "idx": 0, "keypoints": pose} for i, pose in enumerate(poses)]
    assert assert_bulk_is_careful("results", json.dumps(entries))
    # The odd one stands in the last batch.
    assert not assert_bulk_is_careful(
        "results", json.dumps([*entries, {**entries[0], "idx": None}])
    )
    entries[-1]["keypoints"] = [1.0] * 54
    (tmp_path / "a.json").write_text(json.dumps(entries))
    with pytest.raises(
        InputError,
        match=r"a\.json must have poses of one number of joints, got poses of 17 and of 18",
    ):
        read(tmp_path / "a.json")


@FUZZ
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=51, max_size=51))
def test_both_readers_round_numbers_alike(numbers):
    assert assert_bulk_is_careful("tracks", tracks(numbers))


@pytest.mark.parametrize("form", WAYS)
@FUZZ
@given(data=st.data())
def test_damaged_files_are_not_read_in_bulk(form, data):
    """Characters changed, inserted and removed anywhere, also in unused fields."""
    text = results() if form == "results" else tracks()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        put = data.draw(st.sampled_from(list('[]{}",:\\0123456789.eE+-tfn\x01\n é')) | st.just(""))
        text = text[:at] + put + text[at + data.draw(st.integers(0, 2)) :]
    assert_bulk_is_careful(form, text)


@pytest.mark.parametrize("value", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_deep_nesting_in_unused_fields_is_refused(value, tmp_path):
    (tmp_path / "a.json").write_text(results().replace('"é"', value))
    with pytest.raises(
        InputError, match="a.json must be an AlphaPose result list, got invalid JSON"
    ):
        read(tmp_path / "a.json")


def test_invalid_utf_8_in_unused_fields_is_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(results().encode().replace("é".encode(), b"\xff"))
    with pytest.raises(
        InputError,
        match="a.json must be an AlphaPose result list in UTF-8, or in UTF-16 with a byte order "
        "mark, got byte 0xff at position 1068, which",
    ):
        read(tmp_path / "a.json")


def test_too_long_numbers_in_unused_fields_are_skipped(tmp_path):
    """These alone are read now and were not: Python refuses to make a number of so many digits."""
    (tmp_path / "a.json").write_text(results().replace('"é"', "9" * 5000))
    # The second entry is a copy of the first one's body.
    with pytest.warns(InputWarning, match="1 of 3 are left out"):
        assert read(tmp_path / "a.json").num_frames == 2
