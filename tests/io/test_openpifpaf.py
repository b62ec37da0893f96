"""OpenPifPaf's predictions: pictures, videos, broken files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.io import read_all
from gepc_geo.io._common.clip import Clips, FrameFiles
from gepc_geo.io.formats import openpifpaf


def person(x: float, **more: Any) -> dict[str, Any]:
    """17 joints, of which the first was not found."""
    joints = [0.0, -3.0, 0.0]
    for v in range(1, 17):
        joints += [x + 10 * v, 20.5 + v, 0.75]
    return {"keypoints": joints, "bbox": [x, 20, 160, 17], "score": 0.7, "category_id": 1, **more}


def pictures(folder: Path, *contents: Any) -> Clips:
    paths = []
    for number, content in enumerate(contents, start=1):
        paths.append(folder / f"gate_{number:03d}.jpg.predictions.json")
        paths[-1].write_text(json.dumps(content))
    files = FrameFiles(paths, [*range(1, len(paths) + 1)], ("gate",))
    return openpifpaf.read_openpifpaf(files, None)


def video(folder: Path, *lines: str) -> Clips:
    path = folder / "gate.mp4.openpifpaf.json"
    path.write_text("".join(f"{line}\n" for line in lines))
    return openpifpaf.read_openpifpaf_video(path, None)


def line(frame: object, *people: object) -> str:
    return json.dumps({"frame": frame, "predictions": people}, separators=(",", ":"))


def assert_poses(clips: Clips) -> None:
    tracks = clips.tracks
    assert clips.parts == [("gate",)] and clips.first_frame == 1 and clips.complete
    assert tracks.skeleton.name == "coco17"
    np.testing.assert_array_equal(tracks.frame, [1, 3])
    np.testing.assert_array_equal(tracks.keypoints[0, :3], [[0, 0], [110, 21.5], [120, 22.5]])
    np.testing.assert_array_equal(tracks.confidence[:, :2], [[0, 0.75], [0, 0.75]])
    np.testing.assert_array_equal(tracks.track, [0, 0])


def test_files_of_pictures_are_read(tmp_path):
    assert_poses(pictures(tmp_path, [person(100)], [], [person(101)]))
    (path,) = tmp_path.glob("*001*")
    assert openpifpaf.detect(path) and not openpifpaf.detect_video(path)


def test_files_of_videos_are_read(tmp_path):
    assert_poses(video(tmp_path, line(1, person(100)), line(2), "", line(3, person(101))))
    (path,) = tmp_path.iterdir()
    assert openpifpaf.detect_video(path) and not openpifpaf.detect(path)


def test_pictures_in_a_folder_are_frames_of_a_clip(tmp_path):
    pictures(tmp_path, [person(100)], [], [person(101)])
    reading = read_all(tmp_path)
    assert reading.formats == {"openpifpaf": 3} and reading.tracks.clip_names == ("gate",)
    np.testing.assert_array_equal(reading.tracks.frame, [0, 2])
    np.testing.assert_array_equal(reading.tracks.clip_length, [3])


def test_frames_of_a_video_have_their_numbers(tmp_path):
    video(tmp_path, line(1, person(100)), line(2), line(3, person(101)))
    reading = read_all(tmp_path)
    assert reading.formats == {"openpifpaf-video": 1}
    assert reading.tracks.clip_names == ("gate",)
    np.testing.assert_array_equal(reading.tracks.frame, [0, 2])


def test_ids_of_the_tracker_are_kept(tmp_path):
    people = [person(100, id_=7), person(400, id_=4)]
    np.testing.assert_array_equal(video(tmp_path, line(1, *people)).tracks.track, [4, 7])


def test_coco_results_are_another_format(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([person(1, image_id=3)]))
    assert not openpifpaf.detect(path)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ({"a": 1}, "must be OpenPifPaf's predictions, got an object"),
        ([3], "a prediction in frame 2 must have keypoints"),
        (
            [{"bbox": [1, 2, 3, 4], "score": 1, "category_id": 3}],
            "a prediction in frame 2 must have keypoints",
        ),
        ([person(1) | {"keypoints": [1.0] * 50}], "must be 3 values for each joint, got 50 values"),
        (
            [person(1) | {"keypoints": [1.0] * 48}],
            "must have poses of 17 joints as in the poses before, got 16",
        ),
        ([person(1) | {"keypoints": [None] * 51}], "must be lists of numbers, got null$"),
        ([person(1) | {"score": "high"}], 'score must be a number, got "high"'),
        ([person(1, id_=0.5)], "id_ must be a whole number, got 0.5"),
    ],
)
def test_broken_pictures_are_named(people, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        pictures(tmp_path, [person(100)], people)
    assert "gate_002" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("{", "must be OpenPifPaf's predictions in line 2, got invalid JSON"),
        ("[]", "with a list of predictions in line 2, got none"),
        ('{"frame":2}', "with a list of predictions in line 2, got none"),
        (line("two"), "frame in line 2 must be a whole number, got 'two'"),
        (line(-1, person(1)), "frame number of clip 'gate' must be 0 or more, got -1"),
    ],
)
def test_broken_videos_are_named(second, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        video(tmp_path, line(1, person(100)), second)
    assert "gate.mp4" in str(caught.value) and "\n" not in str(caught.value)


def test_a_real_file_of_a_picture_is_read(real_data):
    (path,) = (real_data("tool_output") / "openpifpaf").glob("*.json")
    assert openpifpaf.detect(path)
    tracks = openpifpaf.read_openpifpaf(FrameFiles([path], [81988], ("coco",)), None).tracks
    assert tracks.num_frames == 5
    np.testing.assert_array_equal(tracks.confidence[0, :4] > 0, [False, False, False, True])
    np.testing.assert_allclose(tracks.keypoints[0, 3], [387.92, 149.78], rtol=1e-6)


def test_files_of_old_versions_without_a_category_are_read(tmp_path):
    """``NAME.jpg.pifpaf.json``."""
    for i in range(2):
        one = person(100.0 + i)
        del one["category_id"]
        (tmp_path / f"gate_{i:04d}.jpg.pifpaf.json").write_text(json.dumps([one]))
    found = read_all(tmp_path)
    assert found.formats == {"openpifpaf": 2} and found.tracks.clip_names == ("gate",)
    assert found.tracks.frame.tolist() == [0, 1] and found.tracks.num_tracks == 1
