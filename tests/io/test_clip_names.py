"""Names of clips from paths, first frame numbers, links, encodings, masks."""

from __future__ import annotations

import codecs
import json
import os
import warnings

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read, read_all
from gepc_geo.io.labels import read_frame_labels
from gepc_geo.poses.skeleton import Skeleton


def result(image, x=100.0, idx=1):
    keypoints = [v for j in range(17) for v in (x + 2 * j, 50.0 + 5 * j, 0.75)]
    return {"image_id": image, "keypoints": keypoints, "score": 0.9, "idx": idx}


def results(path, *images):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([result(image) for image in images]))


def frames(folder, *names):
    """OpenPose's files of one person each."""
    folder.mkdir(parents=True, exist_ok=True)
    pose = [v for j in range(25) for v in (100.0 + j, 50.0 + 4 * j, 0.75)]
    content = json.dumps(
        {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": pose}]}
    )
    for name in names:
        (folder / f"{name}.json").write_text(content)


# -- names -----------------------------------------------------------------------------------------


def test_cameras_of_several_trials_have_the_trial_in_their_names(tmp_path):
    """The same names in two folders: the nearest folder that differs is part of the name."""
    for trial in ("trial_a", "trial_b"):
        for camera in ("cam01", "cam02"):
            folder = tmp_path / trial / "pose" / f"{camera}_json"
            frames(folder, *(f"{camera}.{i:04d}" for i in range(3)))
    assert read(tmp_path).clip_names == (
        "trial_a/cam01",
        "trial_a/cam02",
        "trial_b/cam01",
        "trial_b/cam02",
    )
    # Given one of them, its clips are called as they are.
    assert read(tmp_path / "trial_b").clip_names == ("cam01", "cam02")


def test_folders_of_tools_are_in_names_only_if_nothing_else_differs(tmp_path):
    for place in ("front/sep-json", "back/sep-json", "side/labels"):
        frames(tmp_path / "a" / place, *(f"{i}" for i in range(3)))
    assert read(tmp_path / "a").clip_names == ("back", "front", "side")
    for place in ("gate/json", "gate/keypoints"):
        frames(tmp_path / "b" / place, *(f"{i}" for i in range(3)))
    assert read(tmp_path / "b").clip_names == ("gate/json", "gate/keypoints")
    # Two levels are needed here.
    for place in ("n/1/labels", "n/2/labels", "s/1/labels"):
        frames(tmp_path / "c" / place, *(f"{i}" for i in range(3)))
    assert read(tmp_path / "c").clip_names == ("n/1", "2", "s/1")


def test_sequences_of_several_result_lists_have_the_folder_in_their_names(tmp_path):
    both = [f"cam{c}_{i:04d}.jpg" for c in (1, 2) for i in range(3)]
    results(tmp_path / "mon" / "alphapose-results.json", *both)
    assert read(tmp_path).clip_names == ("cam1", "cam2")
    results(tmp_path / "tue" / "alphapose-results.json", *both)
    assert read(tmp_path).clip_names == ("mon/cam1", "mon/cam2", "tue/cam1", "tue/cam2")
    tracks = read(tmp_path)
    np.testing.assert_array_equal(tracks.clip_length, [3] * 4)
    assert tracks.num_frames == 12


def test_result_lists_of_one_picture_each_are_one_clip(tmp_path):
    for i in range(3):
        results(tmp_path / "v" / "sep-json" / f"{i}.json", f"{i}.jpg")
    (tmp_path / "v" / "sep-json" / "3.json").write_text("[]")
    found = read_all(tmp_path)
    assert found.tracks.clip_names == ("v",) and found.tracks.clip_length.tolist() == [4]
    assert found.formats == {"alphapose-frames": 4}
    # A list of many pictures is none of them, even where it is called as its first.
    results(tmp_path / "w" / "0.json", "0.jpg", "1.jpg")
    assert read(tmp_path / "w").clip_names == ("0",)


@pytest.mark.parametrize("ending", ["-forvis", "-forvis-tracked"])
def test_poseflow_files_have_ids_only_with_the_tracker(ending, tmp_path):
    """A dict of pictures; without the tracker there are no ids."""
    people = {
        f"frame_{i:06d}.png": [
            {**result("x", 100.0 + i), "scores": 2.6, "idx": 3},
            {**result("x", 600.0 + i), "scores": 2.6, "idx": 8},
        ]
        for i in range(3)
    }
    tracked = ending.endswith("tracked")
    if not tracked:
        people = {
            k: [{"keypoints": one["keypoints"], "scores": 2.6} for one in v]
            for k, v in people.items()
        }
    path = tmp_path / "gate" / f"alphapose-results{ending}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(people))
    found = read_all(tmp_path)
    assert found.formats == {"alphapose-forvis": 1} and found.tracks.clip_names == ("gate",)
    assert found.tracks.track.tolist() == ([3] * 3 + [8] * 3 if tracked else [0] * 3 + [1] * 3)
    assert found.tracks.frame.tolist() == [0, 1, 2] * 2


def test_clips_of_equal_names_in_native_files_get_the_names_of_folders(tmp_path):
    frames(tmp_path / "in", "gate_0", "gate_1")
    for day in ("mon", "tue"):
        read(tmp_path / "in").save(tmp_path / "days" / f"{day}.npz")
    assert read(tmp_path / "days").clip_names == ("mon/gate", "tue/gate")
    # Clips of one name in two formats are two clips where they lie apart.
    results(tmp_path / "mixed" / "train" / "01.json", "0.jpg", "1.jpg")
    poses = {"0": {"keypoints": [5.0] * 51}}
    (tmp_path / "mixed" / "test").mkdir()
    (tmp_path / "mixed" / "test" / "01.json").write_text(json.dumps({"1": poses}))
    assert read(tmp_path / "mixed").clip_names == ("test/01", "train/01")
    # The same poses in another format beside them are no other clip.
    read(tmp_path / "in").save(tmp_path / "in" / "all.npz")
    with pytest.raises(
        InputError,
        match="must have one file a clip and clips of different names, "
        r"got 'gate' in .*all\.npz and .*gate_0\.json$",
    ):
        read(tmp_path / "in")


def test_views_of_openpose_are_clips(tmp_path):
    """``--3d``: the further views of a frame have their number behind ``_keypoints``."""
    for view in ("", "_1", "_2"):
        frames(tmp_path, *(f"gate_{i:012d}_keypoints{view}" for i in range(3)))
    tracks = read(tmp_path)
    assert tracks.clip_names == ("gate", "gate_view1", "gate_view2")
    assert tracks.frame.tolist() == [0, 1, 2] * 3


@pytest.mark.parametrize("copy", ["{} - Copy", "{} (1)", "{} copy", "{}(2)"])
def test_copies_of_a_file_are_refused_by_name(copy, tmp_path):
    name = "gate_000000000001_keypoints"
    frames(tmp_path, "gate_000000000000_keypoints", name, copy.format(name))
    with pytest.raises(
        InputError,
        match="^a folder must hold each file once, "
        r"got .*gate_000000000001_keypoints\.json and its copy ",
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("people", "pose"), [("people", "pose_keypoints_2d"), ("bodies", "joints")]
)
def test_the_output_folder_of_alphapose_is_one_clip(people, pose, tmp_path):
    """``--format open`` and ``cmu``: a file for each picture, and one file of all pictures."""
    values = [v for j in range(18) for v in (100.0 + j, 50.0 + 4 * j, 0.75)]
    content = {
        f"{i}.jpg": {"version": "AlphaPose v0.3", people: [{pose: values}]} for i in range(3)
    }
    folder = tmp_path / "gate" / "sep-json"
    folder.mkdir(parents=True)
    for name, one in content.items():
        (folder / name.replace("jpg", "json")).write_text(json.dumps(one))
    whole = tmp_path / "gate" / "alphapose-results.json"
    whole.write_text(json.dumps(content))
    found = read_all(tmp_path)
    assert found.formats == {"openpose": 3}
    # The one file alone says the same.
    alone = read(whole)
    for tracks in (found.tracks, alone):
        assert (tracks.clip_names, tracks.frame.tolist()) == (("gate",), [0, 1, 2])
        assert tracks.skeleton.name == "coco18"
    np.testing.assert_array_equal(alone.keypoints, found.tracks.keypoints)


def test_reading_reports_how_names_of_pictures_were_understood(tmp_path):
    frames(tmp_path / "a", "gate_1", "gate_2")
    (told,) = read_all(tmp_path).names
    assert told == (
        "gate_1.json is frame 0 of clip 'gate'; frames are counted from 1, as there is no frame 0"
    )
    results(tmp_path / "b" / "alphapose-results.json", "2021-03-04_12-00-01.500.jpg", "x_0.jpg")
    told = read_all(tmp_path / "b").names
    assert len(told) == 1 and told[0].startswith("2021-03-04_12-00-01.500.jpg is frame ")


# -- first numbers ---------------------------------------------------------------------------------


def masks(folder, **lengths):
    folder.mkdir(parents=True, exist_ok=True)
    for name, length in lengths.items():
        np.save(folder / f"{name}.npy", np.arange(length) == 2)
    return folder


@pytest.mark.parametrize(
    ("numbers", "length", "expected"),
    [
        (range(0, 5), None, 0),
        (range(1, 6), None, 1),
        (range(1, 6), 5, 1),
        # One frame more than the last number: it is counted from 0, and frame 0 is missing.
        (range(1, 6), 6, 0),
        (range(3, 6), 5, 1),
        (range(3, 6), 6, 0),
        (range(0, 5), 5, 0),
        (range(0, 5), 8, 0),
    ],
)
def test_pictures_are_counted_from_0_or_1(numbers, length, expected, tmp_path):
    frames(tmp_path / "poses", *(f"gate_{i}" for i in numbers))
    folder = None if length is None else masks(tmp_path / "masks", gate=length)
    tracks = read(tmp_path / "poses", labels=folder)
    assert tracks.frame.tolist() == [i - expected for i in numbers]
    if length is not None:
        assert tracks.clip_length.tolist() == [length]
        assert tracks.frame_labels.tolist() == [int(i == 2) for i in range(length)]


def test_videos_of_openpose_are_counted_from_0(tmp_path):
    frames(tmp_path, *(f"gate_{i:012d}_keypoints" for i in (4, 5)))
    assert read(tmp_path).frame.tolist() == [4, 5]


def test_lists_without_frame_0_are_counted_like_their_neighbours(tmp_path):
    """The second clip has no people in frame 0."""
    results(tmp_path / "a" / "alphapose-results.json", "0.jpg", "1.jpg")
    results(tmp_path / "b" / "alphapose-results.json", "3.jpg", "4.jpg")
    assert read(tmp_path).frame.tolist() == [0, 1, 3, 4]
    assert read(tmp_path / "b").frame.tolist() == [2, 3]
    # A mask of four frames leaves no other way.
    folder = masks(tmp_path / "masks", b=4)
    assert read(tmp_path / "b", labels=folder).frame.tolist() == [2, 3]
    folder = masks(tmp_path / "more", b=5)
    assert read(tmp_path / "b", labels=folder).frame.tolist() == [3, 4]


def test_tracked_persons_are_counted_from_0_unless_masks_say_otherwise(tmp_path):
    poses = {str(i): {"keypoints": [5.0 + i] * 51} for i in range(1, 6)}
    path = tmp_path / "poses" / "gate_alphapose_tracked_person.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"1": poses}))
    assert read(path).frame.tolist() == [1, 2, 3, 4, 5]
    assert read(path, labels=masks(tmp_path / "long", gate=6)).frame[0] == 1
    assert read(path, labels=masks(tmp_path / "short", gate=5)).frame[0] == 0


def test_one_mask_decides_for_all_clips_of_a_list(tmp_path):
    """The second clip has no people in the last frame."""
    images = [f"cam1_{i}.jpg" for i in range(1, 6)] + [f"cam2_{i}.jpg" for i in range(1, 5)]
    results(tmp_path / "poses" / "all.json", *images)
    tracks = read(tmp_path / "poses", labels=masks(tmp_path / "masks", cam1=5, cam2=5))
    assert tracks.frame.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]


def test_masks_shorter_than_the_clip_are_refused(tmp_path):
    frames(tmp_path / "poses", *(f"gate_{i}" for i in range(1, 6)))
    with pytest.raises(
        InputError, match=r"gate\.npy must have at least 5 frames, as clip 'gate' has, got 4"
    ):
        read(tmp_path / "poses", labels=masks(tmp_path / "masks", gate=4))


# -- masks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames_with_people", "length", "warns"),
    [(50, 75, False), (50, 76, True), (300, 330, False), (300, 331, True), (54, 548, True)],
)
def test_masks_much_longer_than_the_poses_are_warned_of(
    frames_with_people, length, warns, tmp_path, recwarn
):
    results(tmp_path / "gate.json", *(f"{i}.jpg" for i in range(frames_with_people)))
    read_frame_labels(masks(tmp_path / "masks", gate=length), read(tmp_path / "gate.json"))
    found = [str(one.message) for one in recwarn if one.category is InputWarning]
    assert bool(found) == warns
    if warns:
        last = frames_with_people - 1
        assert "'gate'" in found[0] and f"{length} frames" in found[0]
        assert f"last pose is in frame {last}" in found[0]


def test_masks_that_end_before_the_clip_are_warned_of(tmp_path):
    frames(tmp_path / "poses", *(f"gate_{i}" for i in range(6)))
    for i in range(6, 12):
        (tmp_path / "poses" / f"gate_{i}.json").write_text('{"people": []}')
    with pytest.warns(
        InputWarning,
        match="^the mask of clip 'gate' in .*masks has 7 frames and the clip 12, the last of "
        "them without people",
    ):
        tracks = read(tmp_path / "poses", labels=masks(tmp_path / "masks", gate=7))
    assert tracks.clip_length.tolist() == [7]


def test_masks_of_no_clip_are_named_if_clips_lack_masks(tmp_path):
    for clip in ("gate", "hall"):
        results(tmp_path / "poses" / f"{clip}.json", "0.jpg", "1.jpg", "2.jpg")
    folder = masks(tmp_path / "masks", gate=3, Hall=3)
    with pytest.warns(
        InputWarning,
        match=r"^1 of 2 clips have no mask in .*masks \('hall' is the first\), and 1 masks match "
        r"no clip \(Hall\.npy is the first\)",
    ):
        read(tmp_path / "poses", labels=folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        read(tmp_path / "poses" / "gate.json", labels=folder)


# -- links -----------------------------------------------------------------------------------------


def test_linked_folders_are_read_once_and_dangling_links_are_named(tmp_path):
    frames(tmp_path / "store" / "north", "north_0", "north_1")
    frames(tmp_path / "store" / "south", "south_0")
    root = tmp_path / "poses"
    frames(root / "here", "here_0")
    os.symlink(tmp_path / "store" / "north", root / "linked")
    os.symlink(tmp_path / "store" / "north", root / "again")
    os.symlink(root, root / "here" / "loop")
    os.symlink(tmp_path / "store" / "south" / "south_0.json", root / "file_0.json")
    os.symlink(root / "here" / "here_0.json", root / "here" / "twice_0.json")
    os.symlink(tmp_path / "gone", root / "lost")
    os.symlink(tmp_path / "gone.json", root / "lost.json")
    with pytest.warns(InputWarning, match=r"poses/lost \(and 1 other\) is a broken link"):
        tracks = read(root)
    assert sorted(tracks.clip_names) == ["file", "here", "north"]
    assert tracks.num_frames == 4


# -- encodings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
def test_text_files_are_read_in_utf_8_16_and_32(mark, encoding, tmp_path):
    results(tmp_path / "a.json", "0.jpg", "1.jpg")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_bytes(mark + text.encode(encoding))
    assert read(tmp_path).num_frames == 2
    header = "Frame_Number Person_ID State BB_tl_0 BB_tl_1 BB_br_0 BB_br_1 anomaly\n"
    (tmp_path / "box.txt").write_bytes(mark + f"{header}0 1 2 1 2 3 4 0\n".encode(encoding))
    assert read(tmp_path / "box.txt").num_frames == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_skeleton_files_with_byte_order_marks_are_read(encoding, tmp_path):
    own = {"name": "wand", "joints": list("abc"), "bones": [[0, 1], [1, 2]], "center": 1}
    (tmp_path / "wand.json").write_text(json.dumps(own), encoding=encoding)
    assert Skeleton.get(tmp_path / "wand.json").joints == ("a", "b", "c")


def test_files_in_other_encodings_are_refused_by_name(tmp_path):
    text = json.dumps([{**result("0.jpg"), "note": "Zürich"}], ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        InputError,
        match=r"a\.json must be an AlphaPose result list in UTF-8, or in UTF-16 with a byte "
        r"order mark, got byte 0xfc at position \d+",
    ):
        read(tmp_path / "a.json")
