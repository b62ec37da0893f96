"""Ultralytics labels and JSON: known answers, ids and scores after key points, broken files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.io import read, read_all
from gepc_geo.poses.skeleton import SKELETONS


def line(*tail: object, joints: int = 17, x: float = 0.25, width: int = 3) -> str:
    """A person as ``Results.save_txt`` writes one: numbers with %g."""
    values: list[object] = [0, x, 0.5, 0.1, 0.4]
    for j in range(joints):
        values += [x + j / 1000, 0.3 + j / 100, 0.875][:width]
    return " ".join(f"{value:g}" for value in [*values, *tail]) + "\n"


def fill(folder, frames: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in frames.items():
        (folder / f"{name}.txt").write_text(content)


def test_labels_of_a_tracked_video_are_read(tmp_path):
    """``yolo pose track save_txt=True save_conf=True`` of gate.mp4: box score, then id."""
    fill(
        tmp_path / "track" / "labels",
        {"gate_1": line(0.9, 4) + line(0.8, 2, x=0.6), "gate_2": line(0.9, 4, x=0.252)},
    )
    tracks = read(tmp_path)
    assert tracks.clip_names == ("gate",)
    assert tracks.skeleton == SKELETONS["coco17"]
    np.testing.assert_array_equal(tracks.track, [2, 4, 4])
    # The video's first frame is number 1.
    np.testing.assert_array_equal(tracks.frame, [0, 0, 1])
    np.testing.assert_array_equal(tracks.clip_length, [2])
    np.testing.assert_allclose(tracks.keypoints[1, 3], [0.253, 0.33], rtol=1e-6)
    assert tracks.confidence[0, 0] == 0.875
    np.testing.assert_array_equal(tracks.image_size, [[1, 1]])
    assert read_all(tmp_path).formats == {"ultralytics-labels": 2}


def test_an_image_size_makes_pixels_of_shares(tmp_path):
    fill(tmp_path, {"gate_1": line(4)})
    tracks = read(tmp_path, image_size=(1920, 1080))
    np.testing.assert_allclose(tracks.keypoints[0, 3], [0.253 * 1920, 0.33 * 1080], rtol=1e-6)
    np.testing.assert_array_equal(tracks.image_size, [[1920, 1080]])


@pytest.mark.parametrize(
    ("tails", "people"),
    [
        ([(), ()], [0, 0]),
        ([(0.9,), (0.8,)], [0, 0]),
        ([(3,), (8,)], [3, 8]),
        ([(0.9, 3), (0.8, 8)], [3, 8]),
        # Frames before the tracker is sure of anybody have no ids.
        ([(0.9,), (0.8, 8)], [9, 8]),
        ([(), (8,)], [9, 8]),
    ],
)
def test_scores_and_ids_after_the_key_points_are_read(tails, people, tmp_path):
    fill(tmp_path, {f"a_{i}": line(*tail) for i, tail in enumerate(tails)})
    tracks = read(tmp_path)
    assert dict(zip(tracks.frame.tolist(), tracks.track.tolist(), strict=True)) == dict(
        enumerate(people)
    )


def test_frames_with_nobody_have_an_empty_file_or_none(tmp_path):
    fill(tmp_path / "labels", {"a_0": "", "a_1": line(1), "a_5": line(1), "a_9": ""})
    tracks = read(tmp_path)
    np.testing.assert_array_equal(tracks.frame, [1, 5])
    np.testing.assert_array_equal(tracks.clip_length, [10])


def test_images_named_by_numbers_are_of_the_runs_clip(tmp_path):
    fill(tmp_path / "gate" / "labels", {"0001": line(1), "0002": line(1)})
    assert read(tmp_path / "gate" / "labels").clip_names == ("gate",)


def test_other_numbers_of_joints_need_a_skeleton(tmp_path):
    own = {"name": "dog", "joints": list("abcde"), "center": 0}
    own["bones"] = [[0, i] for i in range(1, 5)]
    (tmp_path / "dog.json").write_text(json.dumps(own))
    fill(tmp_path / "three", {"a_1": line(0.5, 7, joints=5)})
    fill(tmp_path / "two", {"a_1": line(7, joints=5, width=2)})
    for folder in ("three", "two"):
        tracks = read(tmp_path / folder, skeleton=tmp_path / "dog.json")
        assert (tracks.num_joints, tracks.track[0]) == (5, 7)
    assert tracks.confidence[0, 0] == 1
    with pytest.raises(
        InputError,
        match="lines of 56 to 58 values for 17 joints, or a skeleton of another number "
        r"\(--skeleton\), got 22 values",
    ):
        read(tmp_path / "three")
    assert read(tmp_path / "three", skeleton=tmp_path / "dog.json").skeleton.name == "dog"
    fill(tmp_path / "seventeen", {"a_1": line(1)})
    assert read(tmp_path / "seventeen", skeleton="coco18").num_joints == 18


def test_joints_at_the_origin_are_missing(tmp_path):
    values = line(1).split()
    values[5:8] = ["0", "0", "0.1"]
    fill(tmp_path, {"a_1": " ".join(values)})
    assert np.flatnonzero(read(tmp_path).confidence[0] == 0).tolist() == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            line(0.9, 4)[:90],
            "must have lines of 56 to 58 values for 17 joints, or a skeleton of another number "
            r"\(--skeleton\), got 18 values",
        ),
        (
            line(0.9, 4, joints=14),
            "must have lines of 56 to 58 values for 17 joints, or a skeleton of another number "
            r"\(--skeleton\), got 49 values",
        ),
        (line(0.9, 4).replace("0.875", "nan", 1), "values must be finite, got NaN"),
        (line(0.9, 4).replace("0.875", "x", 1), "must have numbers only, got"),
        (line(0.9, 4.5), "track id must be a whole number, got 4.5"),
    ],
)
def test_broken_labels_are_named(content, message, tmp_path):
    fill(tmp_path, {"a_1": line(0.9, 4), "a_2": content})
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def summary(track: int | None = None, x: float = 10.0, joints: int = 17) -> dict:
    """A person as ``Results.summary()`` gives one."""
    one = {
        "name": "person",
        "class": 0,
        "confidence": 0.9,
        "box": {"x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0},
        "keypoints": {
            "x": [x + j for j in range(joints)],
            "y": [20.0 + 2 * j for j in range(joints)],
            "visible": [0.5] * joints,
        },
    }
    return one if track is None else {**one, "track_id": track}


def test_json_files_of_a_video_are_read(tmp_path):
    path = tmp_path / "gate.json"
    path.write_text(json.dumps([[], [summary(5), summary(2, x=400)], [summary(5, x=12)], []]))
    tracks = read(path)
    assert tracks.clip_names == ("gate",)
    np.testing.assert_array_equal(tracks.frame, [1, 1, 2])
    np.testing.assert_array_equal(tracks.track, [2, 5, 5])
    np.testing.assert_array_equal(tracks.keypoints[2, 4], [16, 28])
    np.testing.assert_array_equal(tracks.clip_length, [4])
    assert tracks.confidence[0, 0] == 0.5
    path.write_text(json.dumps([[summary()], [summary(x=11)], [summary(x=900)]]))
    np.testing.assert_array_equal(read(path).track, [0, 0, 1])


@pytest.mark.parametrize("indent", [None, 2])
def test_json_files_with_a_list_of_strings_are_read(indent, tmp_path):
    """The text of ``Results.to_json()`` for each frame; older versions indent it."""
    people = [[], [summary(5), summary(2, x=400)], [summary(5, x=12)], []]
    path = tmp_path / "gate.json"
    path.write_text(json.dumps([json.dumps(frame, indent=indent) for frame in people]))
    tracks = read(path)
    assert tracks.clip_names == ("gate",) and read_all(path).formats == {"ultralytics-json": 1}
    np.testing.assert_array_equal(tracks.frame, [1, 1, 2])
    np.testing.assert_array_equal(tracks.track, [2, 5, 5])
    np.testing.assert_array_equal(tracks.keypoints[2, 4], [16, 28])
    np.testing.assert_array_equal(tracks.clip_length, [4])


def test_json_files_of_one_frame_each_are_read(tmp_path):
    people = {12: [summary(5)], 9: [summary(5, x=400), summary(2)], 10: [], 13: []}
    for number, frame in people.items():
        (tmp_path / f"gate_{number}.json").write_text(json.dumps(frame, indent=2))
    (tmp_path / "yard_0.json").write_text(json.dumps([summary()]))
    tracks = read(tmp_path)
    assert tracks.clip_names == ("gate", "yard")
    np.testing.assert_array_equal(tracks.frame, [9, 9, 12, 0])
    np.testing.assert_array_equal(tracks.track, [2, 5, 5, 0])
    np.testing.assert_array_equal(tracks.keypoints[1, 4], [404, 28])
    np.testing.assert_array_equal(tracks.clip_length, [14, 1])
    assert read_all(tmp_path).formats == {"ultralytics-frames": 5}
    # Known by its entries, too, in whatever order they are.
    turned = {name: summary(7)[name] for name in ("keypoints", "box", "class", "track_id")}
    (tmp_path / "yard_0.json").write_text(json.dumps([turned]))
    assert read(tmp_path).track[-1] == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gate", [summary(5)], r"gate\.json must have a frame number in its name"),
        (
            "gate_2",
            {"x": 1},
            r"gate_2\.json must be the people of a frame as Ultralytics' "
            r"to_json\(\) gives them, got an object",
        ),
        ("gate_2", [summary(5), 3], r"gate_2\.json: a person in frame 2 must have keypoints"),
        (
            "gate_2",
            [summary(1, joints=11)],
            r"gate_2\.json must have poses of 17 joints as in .*gate_1\.json, got 11$",
        ),
        (
            "gate_02",
            [summary(5)],
            "^a clip must have one picture a frame, "
            r"got .*gate_02\.json and .*gate_2\.json for frame 2$",
        ),
    ],
)
def test_broken_json_files_of_a_frame_are_named(name, content, message, tmp_path):
    for number in (1, 2):
        (tmp_path / f"gate_{number}.json").write_text(json.dumps([summary(5)]))
    (tmp_path / f"{name}.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_json_of_one_frame_is_refused_as_json_of_a_video(tmp_path):
    (tmp_path / "gate.json").write_text(json.dumps([summary(5)]))
    message = (
        "frame 0 must be a list of people, "
        r"got an object \(a file for each frame is ultralytics-frames"
    )
    with pytest.raises(InputError, match=message):
        read(tmp_path / "gate.json", format="ultralytics-json")


JSON = json.dumps([[summary(5)], [summary(5)]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (JSON[:300], "must be a list of Ultralytics results, one a frame, got invalid JSON"),
        (json.dumps([[summary(5)], None]), "frame 1 must be a list of people, got null"),
        (json.dumps([[], "[{"]), r"as to_json\(\) gives frame 1, got invalid JSON"),
        (json.dumps(["[]", "{}"]), "frame 1 must be a list of people, got an object"),
        (
            JSON.replace('"x": [10.0, ', '"x": [', 1),
            "must have x, y and visible of one length, got 16 values, 17 values, 17 values$",
        ),
        (JSON.replace("10.0", "NaN", 1), r"must be from -1e\+09 to 1e\+09, got nan"),
        (JSON.replace("10.0", "null", 1), "must be lists of numbers, got null$"),
        (JSON.replace('"keypoints"', '"masks"', 1), "a person in frame 0 must have keypoints"),
        (
            JSON.replace('"track_id": 5', '"track_id": "a"', 1),
            "track_id must be a whole number, got 'a'",
        ),
        (
            json.dumps([[summary(1, joints=11)]]),
            r"must have poses of 17 \(coco17\) or 18 \(coco18\) or 26 \(halpe26\) joints, or a "
            r"skeleton of them \(--skeleton\), got 11",
        ),
        (
            json.dumps([[summary(1)], [summary(1, joints=11)]]),
            "must have poses of 17 joints as in the poses before, got 11",
        ),
    ],
)
def test_broken_json_files_of_a_video_are_named(content, message, tmp_path):
    path = tmp_path / "gate.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert "gate.json" in str(caught.value) and "\n" not in str(caught.value)
