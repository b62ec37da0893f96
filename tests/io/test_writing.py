"""Writing: unsafe clip names, poses without people, and complete files only."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import poses_for

from gepc_geo.errors import InputError
from gepc_geo.io import IN_ONE_FILE, WRITABLE, read, write
from gepc_geo.poses.schema import MAX_FRAMES
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.poses.tracks import PoseTracks

FOLDERS = [form for form in WRITABLE if form not in IN_ONE_FILE]
ENDINGS = {"native": ".npz", "pyskl": ".pkl", "csv": ".csv"}


@pytest.fixture(scope="module")
def pairs(walkers):
    """For each format two clips with joints that it has."""
    return {form: poses_for(form, walkers.select(clips=[0, 1])) for form in WRITABLE}


def again(folder: Path, form: str) -> PoseTracks:
    """Reads written files; DeepLabCut's tables do not define how joints are connected."""
    return read(folder, format=form, skeleton="coco18" if form == "deeplabcut" else "auto")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize(
    "name",
    ["../../evil", "/tmp/evil", "a/../../evil", "..", "..\\evil", "", "a//b", ".hid", "x/.hid"]
    + ["a\0b", "a\nb", "\ud800", "README", "licence.old", "x_alphapose-results"]
    + ["é" * 101, "x/" + "n" * 199],
)
def test_clip_names_unsafe_or_unreadable_as_file_names_are_refused(name, form, pairs, tmp_path):
    """Before anything is written, the good first clip included."""
    with pytest.raises(
        InputError, match="the name of a clip must be printable and relative"
    ) as caught:
        write(pairs[form].with_(clip_names=["good", name]), tmp_path / "in" / "out", form)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FOLDERS)
def test_names_with_folders_are_read_back(form, pairs, tmp_path):
    write(pairs[form].with_(clip_names=["x/a", "y\\a"]), tmp_path / "out", form)
    assert again(tmp_path / "out", form).clip_names == ("x_a", "y_a")
    with pytest.raises(InputError, match="must differ in more than folders, got 'x/a' and 'x_a'"):
        write(pairs[form].with_(clip_names=["x/a", "x_a"]), tmp_path / "two", form)


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize(
    "names", [("results_a", "labels"), ("cam_001", "cam-2"), ("a.jpg", "7"), ("n" * 200, " ")]
)
def test_odd_clip_names_are_read_back(names, form, pairs, tmp_path):
    write(pairs[form].with_(clip_names=names), tmp_path / "out", form)
    assert sorted(again(tmp_path / "out", form).clip_names) == sorted(names)


def test_clip_names_from_files_do_not_lead_out_of_the_folder(tmp_path):
    one = {"category_id": 1, "score": 0.9, "keypoints": [1.5] * 51}
    images = [f"../../evil_{i}.jpg" for i in (1, 2)] + ["good_1.jpg"]
    (tmp_path / "a.json").write_text(json.dumps([{**one, "image_id": name} for name in images]))
    tracks = read(tmp_path / "a.json")
    assert tracks.clip_names == ("evil", "good")
    tracks = tracks.with_(clip_names=["../../evil", "good"])
    with pytest.raises(
        InputError,
        match="the name of a clip must be printable and relative, without empty, hidden or "
        r"'\.\.' parts, of at most 200 bytes, and other than a document's \(README\) or "
        r"AlphaPose's, got '\.\./\.\./evil'",
    ):
        write(tracks, tmp_path / "deep" / "out", "coco-results")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("form", WRITABLE)
def test_clips_without_people_are_written(form, pairs, tmp_path):
    """Clips without people are written, and read again in formats that can store them."""
    nobody = pairs[form].rows(np.zeros(pairs[form].num_frames, dtype=bool))
    assert (nobody.num_frames, nobody.num_clips) == (0, 2)
    path = tmp_path / f"out{ENDINGS.get(form, '')}"
    assert write(nobody, path, form)
    assert again(path, form).num_frames == 0


@pytest.mark.parametrize("form", WRITABLE)
def test_visible_poses_beside_invisible_ones_are_read_back(form, pairs, tmp_path):
    """A person who is never visible in one clip, and in one frame of the other."""
    tracks = pairs[form]
    confidence = tracks.confidence.copy()
    confidence[(tracks.clip == 0) & (tracks.track == tracks.track[0])] = 0
    confidence[np.flatnonzero(tracks.clip == 1)[3]] = 0
    path = tmp_path / f"out{ENDINGS.get(form, '')}"
    write(tracks.with_(confidence=confidence), path, form)
    back = again(path, form)
    expected = (confidence > 0).any(axis=1)
    assert (back.confidence > 0).any(axis=1).sum() == expected.sum()
    # As they are without them.
    there = tmp_path / f"there{ENDINGS.get(form, '')}"
    write(tracks.rows(expected).with_(confidence=confidence[expected]), there, form)
    if form in FOLDERS and form not in ("alphapose-tracks", "coco-results", "deeplabcut"):
        assert contents(path) == contents(there)


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_leaves_what_was_there(form, existed, pairs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    if existed:
        out.mkdir()
        (out / "other.txt").write_text("x")
    before = contents(tmp_path)
    calls = []

    def fail(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device", "/somewhere/.temporary")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="No space left on device") as caught:
        write(pairs[form], out, form)
    assert f"could not write {out}: " in str(caught.value)
    assert "temporary" not in str(caught.value) and ".writing" not in str(caught.value)
    assert contents(tmp_path) == before and out.exists() == existed


def test_clips_of_many_files_are_not_mixed_with_older_ones(pairs, tmp_path):
    write(pairs["openpose"], tmp_path, "openpose")
    before = contents(tmp_path)
    with pytest.raises(
        InputError, match=rf"{pairs['openpose'].clip_names[0]} must be a new name, got one that"
    ):
        write(pairs["openpose"], tmp_path, "openpose")
    assert contents(tmp_path) == before
    # Files of one clip each are replaced.
    write(pairs["openpose"], tmp_path / "coco", "coco-results")
    write(pairs["openpose"].rows(pairs["openpose"].frame < 3), tmp_path / "coco", "coco-results")
    assert read(tmp_path / "coco").frame.max() == 2


def test_a_file_in_place_of_the_folder_is_refused(pairs, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        message = f"could not write {out}: {tmp_path / 'file'} is not a writable folder"
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            write(pairs["openpose"], out, "coco-results")
    assert contents(tmp_path) == {"file": b"x"}


def test_ntu_files_are_read_back(pairs, tmp_path):
    """To micrometres; people are numbered by how much they move; states are those of Kinect."""
    tracks = pairs["ntu"].with_(clip_names=["S001C002P003R001A050", "gate"])
    grades = np.array([0, 0.4, 0.8, 1], dtype=np.float32)
    confidence = grades[np.arange(tracks.confidence.size) % 4].reshape(tracks.confidence.shape)
    keypoints = tracks.keypoints.copy()
    keypoints[0, 1] = 0  # seen, at the origin, where joints are taken for missing
    tracks = tracks.with_(confidence=confidence, keypoints=keypoints)
    files = write(tracks, tmp_path / "out", "ntu")
    assert [file.name for file in files] == ["S001C002P003R001A050.skeleton", "gate.skeleton"]
    back = read(tmp_path / "out")
    assert back.skeleton == tracks.skeleton and back.clip_names == tracks.clip_names
    assert (back.clip_label, back.camera) == (("50", ""), ("c2", ""))
    np.testing.assert_array_equal(back.clip_length, tracks.clip_length)
    for clip in range(2):
        mine, theirs = (one.rows(one.clip == clip) for one in (tracks, back))
        moved = [
            np.where(part.confidence[..., None] > 0, part.keypoints, 0).std(axis=(0, 1)).sum()
            for part in (mine.rows(mine.track == one) for one in np.unique(mine.track))
        ]
        place = np.argsort(np.argsort(-np.array(moved)))
        track = place[np.searchsorted(np.unique(mine.track), mine.track)]
        order = np.lexsort((mine.frame, track))
        np.testing.assert_array_equal(theirs.track, track[order])
        np.testing.assert_array_equal(theirs.frame, mine.frame[order])
        expected = np.array([0, 0.5, 1, 1])[np.searchsorted(grades, mine.confidence[order])]
        np.testing.assert_array_equal(theirs.confidence, expected)
        seen = expected > 0
        np.testing.assert_allclose(
            theirs.keypoints[seen], mine.keypoints[order][seen], rtol=0, atol=2e-6
        )
    # As the readers of others expect it: 25 joints of 12 values behind a body's 10.
    rows = files[1].read_text().split("\n")
    assert rows[0] == str(tracks.clip_length[1]) and len(rows[2].split()) == 10
    assert rows[3] == "25" and len(rows[4].split()) == 12


def test_ntu_files_leave_out_a_third_person_who_is_never_visible(pairs, tmp_path):
    tracks = pairs["ntu"]
    left = (tracks.clip == 0) & (tracks.track == tracks.track[0]) & (tracks.frame >= 20)
    confidence = np.where(left[:, None], 0, tracks.confidence)
    third = tracks.with_(track=np.where(left, 10**6, tracks.track), confidence=confidence)
    write(third, tmp_path / "out", "ntu")
    assert read(tmp_path / "out").num_frames == third.num_frames - left.sum()


def test_poses_that_ntu_files_cannot_hold_are_refused(pairs, tmp_path):
    tracks = pairs["ntu"]
    # Somebody who becomes somebody else.
    left = (tracks.clip == 0) & (tracks.track == tracks.track[0]) & (tracks.frame >= 20)
    third = tracks.with_(track=np.where(left, 10**6, tracks.track))
    for poses, message in (
        (
            third,
            rf"{tracks.clip_names[0]!r} must have at most 2 people in an NTU RGB\+D file, got 3$",
        ),
        (
            tracks.with_(fps=[30, 24]),
            rf"{tracks.clip_names[1]!r} must have 30 frames a second in an NTU RGB\+D file, "
            "got 24$",
        ),
        (
            pairs["openpose"],
            "in ntu files must have 3 coordinates, got 2: use a format that can store",
        ),
        (
            tracks.with_(skeleton="body25"),
            r"ntu files in 3D must have ntu25, got skeleton 'body25' \(25 joints\): use ",
        ),
    ):
        with pytest.raises(InputError, match=message):
            write(poses, tmp_path / "out", "ntu")
    assert not list(tmp_path.iterdir())


def test_mediapipe_files_are_read_back(pairs, tmp_path):
    """Shares of the image to six decimals, the frame rate with them; ids are found again."""
    tracks = pairs["mediapipe"]
    write(tracks, tmp_path / "out", "mediapipe")
    back = read(tmp_path / "out")
    assert back.skeleton == tracks.skeleton and back.clip_names == tracks.clip_names
    for name in ("clip_length", "fps", "image_size"):
        np.testing.assert_array_equal(getattr(back, name), getattr(tracks, name))
    order = [
        np.lexsort((one.keypoints[:, 5, 0].round(1), one.frame, one.clip)) for one in (tracks, back)
    ]
    mine, theirs = (one.confidence[at] for one, at in zip((tracks, back), order, strict=True))
    np.testing.assert_allclose(theirs, mine, atol=6e-4)
    seen = mine > 0
    np.testing.assert_array_equal(theirs > 0, seen)
    np.testing.assert_allclose(
        back.keypoints[order[1]][seen], tracks.keypoints[order[0]][seen], atol=1e-3
    )
    write(tracks.with_(fps=None), tmp_path / "no_fps", "mediapipe")
    assert np.isnan(read(tmp_path / "no_fps").fps).all()
    with pytest.raises(
        InputError,
        match=r"must have an image size \(--image-size\) to write shares of it, got none",
    ):
        write(tracks.with_(image_size=None), tmp_path / "none", "mediapipe")
    with pytest.raises(
        InputError,
        match="mediapipe files in 2D must have mediapipe33, "
        r"got skeleton 'coco18' \(18 joints\): use a format that",
    ):
        write(pairs["openpose"], tmp_path / "none", "mediapipe")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("joints", ["coco18", "ntu25"])
def test_pyskl_files_are_read_back(joints, pairs, tmp_path):
    """All clips in one pickle of plain containers and arrays."""
    tracks = pairs["openpose" if joints == "coco18" else "ntu"]
    tracks = tracks.with_(
        clip_names=["a/b", "c"], clip_label=["7", "fall"], clip_split=["train", "test"]
    )
    path = tmp_path / "out.pkl"
    assert write(tracks, path, "pyskl") == [path]
    back = read(path)
    for name in ("clip_names", "clip_label", "clip_split", "skeleton"):
        assert getattr(back, name) == getattr(tracks, name)
    for name in ("clip", "frame", "clip_length"):
        np.testing.assert_array_equal(getattr(back, name), getattr(tracks, name))
    for clip in range(2):
        mine, theirs = (one.track[one.clip == clip] for one in (tracks, back))
        np.testing.assert_array_equal(theirs, np.searchsorted(np.unique(mine), mine))
    seen = tracks.confidence > 0
    np.testing.assert_allclose(back.keypoints[seen], tracks.keypoints[seen], rtol=1e-6)
    if joints == "coco18":
        np.testing.assert_array_equal(back.image_size, tracks.image_size)
        np.testing.assert_allclose(back.confidence, tracks.confidence, atol=6e-4)
    else:
        np.testing.assert_array_equal(back.confidence, seen)
    # As the other tools' own readers find it.
    content = pickle.loads(path.read_bytes())
    assert content["split"] == {"test": ["c"], "train": ["a/b"]}
    one = content["annotations"][0]
    people, dims = len(np.unique(tracks.track[tracks.clip == 0])), tracks.dims
    assert (one["frame_dir"], one["label"], one["total_frames"]) == ("a/b", 7, 48)
    assert one["keypoint"].shape == (people, 48, tracks.num_joints, dims)
    assert one["keypoint"].dtype == np.float32
    if dims == 2:
        width, height = tracks.image_size[0]
        assert one["keypoint_score"].shape == one["keypoint"].shape[:3]
        assert one["img_shape"] == one["original_shape"] == (height, width)
    else:
        assert not {"keypoint_score", "img_shape"} & set(one)


def test_poses_that_pyskl_files_cannot_hold_are_refused(pairs, tmp_path):
    tracks = pairs["openpose"]
    penn = tracks.with_(
        keypoints=tracks.keypoints[:, :13],
        confidence=tracks.confidence[:, :13],
        skeleton="penn13",
    )
    for poses, name, message in (
        (tracks, "out", r"must have suffix \.pkl, got ''"),
        (tracks.with_(clip_names=["", "b"]), "out.pkl", "clips must have names"),
        (
            penn,
            "out.pkl",
            "files in 2D must have coco17 or coco18 or halpe26, got",
        ),
    ):
        with pytest.raises(InputError, match=message):
            write(poses, tmp_path / name, "pyskl")
    assert not list(tmp_path.iterdir())


def test_pyskl_files_keep_the_split_train_and_classes_as_text(pairs, tmp_path):
    """The split of ``train`` and ``test`` counts, whatever others there are; text stays text."""
    tracks = pairs["pyskl"].with_(
        clip_split=["a_train", "train"], clip_label=["1\u0663", "007"], image_size=[[0.4, 0.4]] * 2
    )
    back = read(write(tracks, tmp_path / "out.pkl", "pyskl")[0])
    assert (back.clip_split, back.clip_label) == (("", "train"), tracks.clip_label)
    # Poses in pixels do not lie in an image of one.
    assert np.isnan(back.image_size).all()


def test_pyskl_classes_of_clips_named_as_ntus_count_from_0(pairs, tmp_path):
    names = ["S001C002P003R001A050", "S001C002P004R001A050"]
    tracks = pairs["ntu"].with_(clip_names=names, clip_label=["50", "fall"])
    (path,) = write(tracks, tmp_path / "out.pkl", "pyskl")
    assert read(path).clip_label == ("50", "fall")
    # As the published files have them.
    content = pickle.loads(path.read_bytes())
    assert [one["label"] for one in content["annotations"]] == [49, "fall"]


def test_pyskl_arrays_beyond_the_memory_are_refused(tmp_path):
    """A crowd before a camera that runs for weeks, each person in one frame."""
    count = 20_000
    poses = np.ones((count, 17, 2)), np.ones((count, 17)), np.zeros(count), np.arange(count)
    tracks = PoseTracks.build(
        *poses, np.zeros(count), "coco17", ["gate"], clip_length=[MAX_FRAMES - 1]
    )
    with pytest.raises(
        InputError,
        match="clip 'gate' must fit into memory as an array of all people in all frames, "
        "got 20000 people in 99999999 frames",
    ):
        write(tracks, tmp_path / "out.pkl", "pyskl")
    assert not list(tmp_path.iterdir())


def test_clip_names_that_deeplabcut_would_cut_are_refused(pairs, tmp_path):
    tracks = pairs["deeplabcut"]
    with pytest.raises(
        InputError,
        match="must not contain 'DLC_' or 'DeepCut_', which end the video's name in DeepLabCut's "
        "files, got 'x/aDLC_1'",
    ):
        write(tracks.with_(clip_names=["b", "x/aDLC_1"]), tmp_path / "out", "deeplabcut")
    assert not list(tmp_path.iterdir())
    write(tracks.with_(clip_names=["DLC_a", "DLC"]), tmp_path / "out", "deeplabcut")
    assert set(again(tmp_path / "out", "deeplabcut").clip_names) == {"DLC_a", "DLC"}


def test_refusals_name_formats_that_hold_the_poses(pairs, walkers, tmp_path):
    with pytest.raises(InputError, match="use --skeleton coco18, which adds the neck, or") as to:
        write(walkers, tmp_path / "out", "openpose")
    named = str(to.value).split("can store them: ")[1].split(", ")
    assert named == [
        form
        for form in WRITABLE
        if form not in ("openpose", "kinetics-skeleton", "mediapipe", "ntu")
    ]
    for form in named:
        write(walkers, tmp_path / f"{form}{ENDINGS.get(form, '')}", form)
    with pytest.raises(InputError) as to:
        write(pairs["ntu"], tmp_path / "out", "openpose")
    assert str(to.value) == (
        "poses in openpose files must have 2 coordinates, got 3: use a format that can store them: "
        "native, ntu, pyskl, csv"
    )


def test_alphapose_counts_joints_and_does_not_name_them(pairs, tmp_path):
    boxes = PoseTracks.build(np.ones((1, 5, 2)), np.ones((1, 5)), [0], [0], [0], "box5", ["a"])
    with pytest.raises(InputError) as to:
        write(boxes, tmp_path / "out", "alphapose-tracks")
    assert str(to.value) == (
        "poses in alphapose-tracks files in 2D must have 17 joints or 18 joints or 26 joints, got "
        "skeleton 'box5' (5 joints): use a format that can store them: native, deeplabcut, "
        "csv"
    )
    with pytest.raises(
        InputError, match="alphapose-tracks files must have 2 coordinates, got 3: use"
    ):
        write(pairs["ntu"], tmp_path / "out", "alphapose-tracks")
    assert not list(tmp_path.iterdir())
    mouse = SKELETONS["coco17"].to_dict() | {"name": "mouse"}
    one = PoseTracks.build(
        np.ones((1, 17, 2)), np.ones((1, 17)), [0], [0], [0], Skeleton.from_dict(mouse), ["a"]
    )
    write(one, tmp_path / "out", "alphapose-tracks")
    assert read(tmp_path / "out", skeleton=one.skeleton).skeleton == one.skeleton


def test_people_without_id_get_numbers_above_the_highest_id(tmp_path):
    """Numbers after all others: there is room for them, or it is said."""
    people = [
        {"person_id": [number], "pose_keypoints_2d": [x, 1.5, 1.5] * 25}
        for number, x in ((2**62 - 1, 1.5), (-1, 90.0))
    ]
    path = tmp_path / "a_1_keypoints.json"
    path.write_text(json.dumps({"people": people}))
    tracks = read(path)
    assert tracks.skeleton == SKELETONS["body25"]
    assert tracks.track.tolist() == [2**62 - 1, 2**62]
    people[0]["person_id"] = [2**63 - 1]
    path.write_text(json.dumps({"people": people}))
    with pytest.raises(
        InputError,
        match="a_1_keypoints.json: person ids must be below 4611686018427387904 beside "
        "people without an id, who are numbered after them, got 9223372036854775807",
    ):
        read(path)
    path.write_text(json.dumps({"people": people[:1]}))
    assert read(path).track.tolist() == [2**63 - 1]
