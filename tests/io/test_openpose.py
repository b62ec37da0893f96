"""OpenPose folders: known answers, ids, round trip, broken files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read, read_all, write
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracker import idf1
from gepc_geo.poses.tracks import PoseTracks


def person(joints: int = 25, x: float = 100.0, y: float = 50.0, number: int = -1) -> dict:
    """A person as OpenPose 1.7 writes one, joint j at (x + j, y + 4 j)."""
    pose = [v for j in range(joints) for v in (x + j, y + 4 * j, 0.75)]
    rest = dict.fromkeys(("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"))
    return {"person_id": [number], "pose_keypoints_2d": pose, **{key: [] for key in rest}}


def fill(folder, name: str, frames: dict[int, list[dict]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for frame, people in frames.items():
        content = json.dumps({"version": 1.3, "people": people})
        (folder / f"{name}_{frame:012d}_keypoints.json").write_text(content)


def test_a_folder_of_frames_is_a_clip(tmp_path):
    fill(tmp_path, "gate", {10: [person()], 11: [], 12: [person(x=103.0), person(x=900.0)], 13: []})
    tracks = read(tmp_path)
    assert tracks.clip_names == ("gate",)
    assert tracks.skeleton == SKELETONS["body25"]
    np.testing.assert_array_equal(tracks.frame, [10, 12, 12])
    # The one who stays keeps the id, the other gets one; the last frame has nobody, and is one.
    np.testing.assert_array_equal(tracks.track, [0, 0, 1])
    np.testing.assert_array_equal(tracks.clip_length, [14])
    np.testing.assert_array_equal(tracks.keypoints[0, 8], [108, 82])
    assert tracks.skeleton.joints[8] == "mid_hip"
    assert tracks.confidence[0, 8] == 0.75
    assert read_all(tmp_path).formats == {"openpose": 4}


def test_clips_are_told_apart_by_prefix_and_folder(tmp_path):
    fill(tmp_path / "a", "gate", {0: [person()], 1: [person()]})
    fill(tmp_path / "a", "yard_2", {5: [person()]})
    fill(tmp_path / "b", "door", {0: [person()]})
    tracks = read(tmp_path)
    assert tracks.clip_names == ("gate", "yard_2", "door")
    np.testing.assert_array_equal(tracks.clip_length, [2, 6, 1])
    fill(tmp_path / "b", "gate", {0: [person()]})
    assert read(tmp_path).clip_names == ("a/gate", "yard_2", "door", "b/gate")


def test_files_named_by_their_frame_alone_are_of_their_folders_clip(tmp_path):
    (tmp_path / "north").mkdir()
    for frame in (1, 2):
        content = json.dumps({"people": [person()]})
        (tmp_path / "north" / f"{frame:04d}_keypoints.json").write_text(content)
    tracks = read(tmp_path)
    assert tracks.clip_names == ("north",)
    # There is no picture 0: they are counted from 1.
    np.testing.assert_array_equal(tracks.frame, [0, 1])


def test_ids_that_the_files_have_are_kept(tmp_path):
    fill(tmp_path, "a", {0: [person(number=7), person(x=500, number=3)], 1: [person(number=3)]})
    np.testing.assert_array_equal(read(tmp_path).track, [3, 3, 7])
    # Who has none is numbered after those who have one.
    fill(tmp_path, "a", {2: [person(), person(x=900, number=3)]})
    np.testing.assert_array_equal(read(tmp_path).track, [3, 3, 3, 7, 8])


def test_missing_joints_have_no_confidence_and_missing_people_no_rows(tmp_path):
    lost, nobody = person(18), person(18)
    lost["pose_keypoints_2d"][3:6] = [0, 0, 0]
    nobody["pose_keypoints_2d"] = [0] * 54
    face = {**person(), "pose_keypoints_2d": []}
    fill(tmp_path, "a", {0: [lost, nobody, face]})
    with pytest.warns(InputWarning) as warned:
        tracks = read(tmp_path)
    assert [str(one.message).split(": ")[1] for one in warned] == [
        "1 of 2 poses have no visible joint and are left out",
        "1 of 3 people have only a face or hands and are left out",
    ]
    assert tracks.skeleton == SKELETONS["coco18"]
    assert tracks.num_frames == 1
    assert np.flatnonzero(tracks.confidence[0] == 0).tolist() == [1]


def test_older_versions_call_them_pose_keypoints(tmp_path):
    pose = person(18)["pose_keypoints_2d"]
    path = tmp_path / "a_000000000000_keypoints.json"
    path.write_text(json.dumps({"version": 1.0, "people": [{"pose_keypoints": pose}]}))
    assert read(path).num_frames == 1


def test_written_poses_are_read_back(walkers, tmp_path):
    rng = np.random.default_rng(0)
    parts = [walkers.select(clips=[0, 3]), walkers.select(clips=[5])]
    keypoints = rng.uniform(1, 800, (parts[0].num_frames, 25, 2))
    body = parts[0].with_(
        keypoints=keypoints,
        confidence=rng.choice([0, 0.2, 1], keypoints.shape[:2], p=[0.1, 0.4, 0.5]),
        skeleton="body25",
    )
    files = write(body, tmp_path / "out", "openpose")
    assert len(files) == int(body.clip_length.sum())
    again = read(tmp_path / "out")
    assert again.clip_names == body.clip_names
    for name in ("frame", "track", "clip", "clip_length"):
        np.testing.assert_array_equal(getattr(again, name), getattr(body, name))
    seen = body.confidence > 0
    np.testing.assert_array_equal(again.confidence > 0, seen)
    np.testing.assert_allclose(again.keypoints[seen], body.keypoints[seen], atol=6e-4)
    np.testing.assert_allclose(again.confidence, body.confidence, atol=6e-4)
    with pytest.raises(InputError, match="in 2D must have body25 or coco18, got"):
        write(parts[1], tmp_path / "none", "openpose")
    assert not (tmp_path / "none").exists()


def test_ids_are_found_again_where_the_files_lose_them(walkers, tmp_path, record_property):
    crowd = walkers.select(clips=[0, 1, 2])
    eighteen = read_as_coco18(crowd, tmp_path)
    for path in write(eighteen, tmp_path / "out", "openpose"):
        content = json.loads(path.read_text())
        for one in content["people"]:
            one["person_id"] = [-1]
        path.write_text(json.dumps(content))
    again = read(tmp_path / "out")
    order = np.lexsort((again.keypoints[:, 1, 0], again.frame, again.clip))
    true = np.lexsort((eighteen.keypoints[:, 1, 0], eighteen.frame, eighteen.clip))
    score = idf1(
        eighteen.track[true] + 1000 * eighteen.clip[true],
        again.track[order] + 1000 * again.clip[order],
    )
    told = f"IDF1 {score:.3f}: {again.num_frames} poses through OpenPose files without ids"
    record_property("measured", told)
    assert score > 0.9


def read_as_coco18(tracks: PoseTracks, folder) -> PoseTracks:
    tracks.save(folder / "poses.npz")
    return read(folder / "poses.npz", skeleton="coco18")


GOOD = json.dumps({"version": 1.3, "people": [person()]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:200], "must be an OpenPose key point file, got invalid JSON"),
        ('{"version": 1.3, "people": 4}', "with a list of people, got none"),
        ('{"version": 1.3, "people": [4]}', "with a list of people, got none"),
        ('{"version": 1.3, "people": [{}]}', "a person must have pose_keypoints_2d"),
        (GOOD.replace("100.0, ", "", 1), "must be 3 values for each joint, got 74 values"),
        (
            '{"people": [{"pose_keypoints_2d": [NaN]}]}',
            "must be 3 values for each joint, got 1 values",
        ),
        (
            json.dumps({"people": [{"pose_keypoints_2d": [[1, 2, 3]] * 24}]}),
            "must be one list of x, y, score of each joint, got lists in it",
        ),
        (
            json.dumps({"people": [person(number=2**63 - 1), person()]}),
            "person ids must be below 4611686018427387904 beside people without an id, who are "
            "numbered after them, got 9223372036854775807",
        ),
        (GOOD.replace("100.0", "NaN", 1), r"must be from -1e\+09 to 1e\+09, got nan"),
        (GOOD.replace("100.0", '"x"', 1), "must be lists of numbers, got 'x'$"),
        (GOOD.replace("[-1]", '"x"', 1), "person_id must be a whole number, got 'x'"),
        (
            json.dumps({"people": [person(24)]}),
            "must have poses of 25 joints as in the frames before, got 24",
        ),
    ],
)
def test_broken_files_are_named(content, message, tmp_path):
    fill(tmp_path, "a", {0: [person()]})
    path = tmp_path / "a_000000000001_keypoints.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_unknown_numbers_of_joints_are_refused(tmp_path):
    fill(tmp_path, "a", {0: [person(15)]})
    with pytest.raises(
        InputError,
        match=r"must have poses of 25 \(body25\) or 18 \(coco18\) or 26 \(halpe26\) or 17 "
        r"\(coco17\) joints, or a skeleton of them \(--skeleton\), got 15",
    ):
        read(tmp_path)
    with pytest.raises(
        InputError, match=r"must have poses of 13 joints \(skeleton 'penn13'\), got 15"
    ):
        read(tmp_path, skeleton="penn13")


@pytest.mark.parametrize(("joints", "name"), [(26, "halpe26"), (17, "coco17")])
def test_files_of_other_tools_with_17_or_26_joints_are_read(joints, name, tmp_path):
    fill(tmp_path, "a", {0: [person(joints)]})
    assert read(tmp_path).skeleton == SKELETONS[name]


def test_names_without_a_frame_number_and_repeated_frames_are_refused(tmp_path):
    (tmp_path / "gate_keypoints.json").write_text(GOOD)
    with pytest.raises(
        InputError, match=r"gate_keypoints.json must have a frame number in its name"
    ):
        read(tmp_path)
    (tmp_path / "gate_keypoints.json").rename(tmp_path / "gate_7_keypoints.json")
    (tmp_path / "gate_07_keypoints.json").write_text(GOOD)
    with pytest.raises(
        InputError,
        match="^a clip must have one picture a frame, "
        r"got .*gate_07_keypoints\.json and .*gate_7_keypoints\.json for frame 7$",
    ):
        read(tmp_path)
