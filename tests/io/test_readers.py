"""Readers: known answers, round trips, and one-sentence errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.io import savemat

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import FORMATS, read, read_all
from gepc_geo.io.formats.alphapose import write_alphapose
from gepc_geo.io.labels import read_frame_labels
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks


def points(joints: int, start: float = 1.0, score: float = 0.5) -> list[float]:
    return [v for j in range(joints) for v in (start + j, start + 2 * j, score)]


def result(frame: object, person: object, joints: int = 17, **more: object) -> dict[str, object]:
    return {"image_id": frame, "idx": person, "keypoints": points(joints), "score": 2.5, **more}


def write(path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_alphapose_result_lists_are_read(tmp_path):
    path = tmp_path / "cam" / "alphapose-results.json"
    write(
        path,
        [
            result("0.jpg", 3),
            result("1.jpg", [[3]]),
            {**result("0.jpg", 4, score=1.0), "keypoints": points(17, start=300.0)},
            {**result("0.jpg", 4, score=3.0), "keypoints": points(17, start=100.0, score=1.7)},
            {**result("0.jpg", 4, score=3.0), "keypoints": points(17, start=200.0)},
        ],
    )
    with pytest.warns(
        InputWarning,
        match=r"alphapose-results\.json: a person has several poses in a frame: the best is "
        "used, 2 of 5 poses are left out",
    ):
        tracks = read(path)
    assert tracks.clip_names == ("cam",)
    assert tracks.skeleton == SKELETONS["coco17"]
    np.testing.assert_array_equal(tracks.track, [3, 3, 4])
    np.testing.assert_array_equal(tracks.frame, [0, 1, 0])
    # Of several poses in a frame the best scored, the first of equal ones; scores above 1 are 1.
    np.testing.assert_array_equal(tracks.keypoints[2, 1], [101, 102])
    assert tracks.confidence[2, 0] == 1


def untracked(frame: int, start: float, idx: object, score: float = 2.5) -> dict[str, object]:
    """A pose as AlphaPose writes one without tracking."""
    pose = {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": points(17, start)}
    return {**pose, "score": score, "box": [start, start, 30.0, 60.0], "idx": idx}


@pytest.mark.parametrize("ids", [[0], [0.0], [[0.0], [0.0, 0.0]], [[[0.0], [0.0]], [[0.0]], [0.0]]])
def test_people_of_alphapose_without_tracking_get_ids(ids, tmp_path):
    """Two people in three frames, the first of them seen last and first, a third one at the end."""
    starts = [(0, 1.0), (0, 500.0), (1, 502.0), (1, 3.0), (2, 5.0), (2, 504.0), (2, 900.0)]
    path = tmp_path / "cam" / "alphapose-results.json"
    write(path, [untracked(*one, ids[i % len(ids)], 1 + i) for i, one in enumerate(starts)])
    tracks = read(path)
    assert tracks.clip_names == ("cam",) and tracks.skeleton == SKELETONS["coco17"]
    np.testing.assert_array_equal(tracks.track, [0, 0, 0, 1, 1, 1, 2])
    np.testing.assert_array_equal(tracks.frame, [0, 1, 2, 0, 1, 2, 2])
    np.testing.assert_array_equal(tracks.keypoints[:, 0, 0], [1, 3, 5, 500, 502, 504, 900])
    assert read_all(path).formats == {"alphapose-results": 1}
    assert read(path, skeleton="coco18").num_joints == 18


def test_one_person_of_alphapose_keeps_its_id(tmp_path):
    poses = [untracked(frame, 1.0, 7) for frame in (0, 1, 40)]
    write(tmp_path / "a.json", poses)
    np.testing.assert_array_equal(read(tmp_path / "a.json").track, [7, 7, 7])
    # Seen double once: the better pose is the person's, as of people among others.
    write(tmp_path / "a.json", [*poses, untracked(1, 300.0, 7, score=0.1)])
    with pytest.warns(InputWarning, match="1 of 4 poses are left out"):
        tracks = read(tmp_path / "a.json")
    assert tracks.track.tolist() == [7, 7, 7] and tracks.keypoints[1, 0, 0] == 1


@pytest.mark.parametrize(
    ("start", "idx", "message"),
    [
        (1e300, 0, r"key points in frame 0 must be from -1e\+09 to 1e\+09, got inf"),
        (2e9, 0, r"key points in frame 0 must be from -1e\+09 to 1e\+09, got 2e\+09"),
        (1.0, [0.5], "idx must be a whole number, got 0.5"),
        (
            1.0,
            None,
            r"must have a person id \(idx\) at position 1, as AlphaPose writes with and without "
            "tracking, got none",
        ),
    ],
)
def test_broken_alphapose_lists_without_tracking_are_refused(start, idx, message, tmp_path):
    write(tmp_path / "a.json", [untracked(0, 1.0, 0), untracked(0, start, idx)])
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "a.json")
    assert "a.json" in str(caught.value)


def test_alphapose_results_without_ids_are_refused(tmp_path):
    pose = result(1, 1)
    del pose["idx"]
    write(tmp_path / "a.json", [pose])
    with pytest.raises(InputError, match=r"a.json must have a person id \(idx\) at position 0"):
        read(tmp_path / "a.json", format="alphapose-results")
    # Without them it is a list of COCO results, and people get ids.
    assert read(tmp_path / "a.json").num_tracks == 1


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("as_list", [True, False])
def test_alphapose_tracked_persons_are_read(padded, as_list, tmp_path):
    def key(frame: int) -> str:
        return f"{frame:04d}" if padded else str(frame)

    frames = {key(f): {"keypoints": points(17, f), "scores": 1.0} for f in (9, 10, 11)}
    person = [{k: v} for k, v in frames.items()] if as_list else frames
    path = tmp_path / "01_0015_alphapose_tracked_person.json"
    write(path, {"7": person})
    tracks = read(path)
    assert tracks.clip_names == ("01_0015",)
    np.testing.assert_array_equal(tracks.frame, [9, 10, 11])
    np.testing.assert_array_equal(tracks.track, [7, 7, 7])
    np.testing.assert_allclose(tracks.keypoints[:, 0, 0], [9, 10, 11])


def test_alphapose_joints_at_the_origin_are_missing(tmp_path):
    values = points(17)
    values[:3] = [0.0, 0.0, 0.9]
    write(tmp_path / "a.json", {"0": {"0": {"keypoints": values}}})
    assert read(tmp_path / "a.json").confidence[0, 0] == 0


def test_alphapose_files_with_17_joints_get_a_neck_for_coco18(tmp_path):
    write(tmp_path / "a.json", {"0": {"0": {"keypoints": points(18)}}})
    assert read(tmp_path / "a.json").skeleton.name == "coco18"
    write(tmp_path / "b.json", {"0": {"0": {"keypoints": points(17)}}})
    tracks = read(tmp_path / "b.json", skeleton="coco18")
    left, right = (SKELETONS["coco17"].joints.index(f"{s}_shoulder") for s in ("left", "right"))
    neck = tracks.keypoints[0, tracks.skeleton.joints.index("neck")]
    np.testing.assert_allclose(neck, [1 + (left + right) / 2, 1 + left + right])


def test_alphapose_round_trip(walkers, tmp_path):
    write_alphapose(walkers, tmp_path)
    again = read(tmp_path)
    assert again.clip_names == walkers.clip_names
    for name in ("frame", "track", "clip"):
        np.testing.assert_array_equal(getattr(again, name), getattr(walkers, name))
    np.testing.assert_allclose(again.confidence, walkers.confidence, atol=6e-4)
    seen = walkers.confidence > 0
    np.testing.assert_allclose(again.keypoints[seen], walkers.keypoints[seen], atol=6e-3)


def test_penn_action_files_are_read(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(20, 300, (2, 5, 13))
    visibility = np.ones((5, 13))
    visibility[1, 2] = 0
    x[3, 4] = y[3, 4] = 1.0
    savemat(
        tmp_path / "0007.mat",
        {
            "action": "squat",
            "x": x,
            "y": y,
            "visibility": visibility,
            "dimensions": [[270, 480, 5]],
            "train": [[-1]],
        },
    )
    tracks = read(tmp_path / "0007.mat")
    assert (tracks.clip_label, tracks.clip_split) == (("squat",), ("test",))
    np.testing.assert_array_equal(tracks.image_size, [[480, 270]])
    np.testing.assert_array_equal(np.argwhere(tracks.confidence == 0), [[1, 2], [3, 4]])
    np.testing.assert_allclose(tracks.keypoints[0], np.stack([x[0], y[0]], 1), rtol=1e-6)


def test_nw_ucla_files_are_read(tmp_path):
    skeletons = np.random.default_rng(0).normal(size=(4, 20, 3))
    content = {"file_name": "a04_s02_e01_v03", "skeletons": skeletons.tolist(), "label": 4}
    write(tmp_path / "x.json", content)
    tracks = read(tmp_path / "x.json")
    assert tracks.clip_names == ("a04_s02_e01_v03",)
    assert (tracks.clip_label, tracks.clip_split, tracks.camera) == (("4",), ("test",), ("v3",))
    np.testing.assert_allclose(tracks.keypoints, skeletons, rtol=1e-6)


HEADER = "Frame_Number Person_ID State BB_tl_0 BB_tl_1 BB_br_0 BB_br_1 abnormal_ped abnormal_gt"


def test_shanghaitech_boxes_are_read(tmp_path):
    write(tmp_path / "03_0001.txt", f"{HEADER}\n5 2 2 10 20 30 60 0 0\n6 2 2 11 21 31 61 0 1\n")
    tracks = read(tmp_path / "03_0001.txt")
    assert tracks.camera == ("03",)
    np.testing.assert_array_equal(tracks.frame, [5, 6])
    expected = [[20, 40], [10, 20], [30, 20], [10, 60], [30, 60]]
    np.testing.assert_array_equal(tracks.keypoints[0], expected)


def test_masks_label_frames_and_lengthen_clips(walkers, tmp_path):
    name, length = walkers.clip_names[1], int(walkers.clip_length[1])
    mask = np.zeros(length + 8, dtype=np.uint8)
    mask[3:6] = 1
    np.save(tmp_path / f"{name}.npy", mask)
    tracks = read_frame_labels(tmp_path, walkers)
    assert tracks.clip_length[1] == length + 8
    start = tracks.frame_offset[1]
    np.testing.assert_array_equal(tracks.frame_labels[start : start + length + 8], mask)
    assert (tracks.frame_labels[:start] == -1).all()
    np.save(tmp_path / f"{name}.npy", mask[:4])
    with pytest.raises(
        InputError,
        match=rf"{name}\.npy must have at least {length} frames, as clip '{name}' has, got 4$",
    ):
        read_frame_labels(tmp_path, walkers)
    np.save(tmp_path / f"{name}.npy", mask * 3)
    with pytest.raises(InputError, match=r"must have values 0 and 1 \(abnormal frames\), got 3"):
        read_frame_labels(tmp_path, walkers)
    (tmp_path / f"{name}.npy").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"must be a frame mask \(.npy\), got Python objects"):
        read_frame_labels(tmp_path, walkers)
    (tmp_path / f"{name}.npy").unlink()
    with pytest.raises(
        InputError, match=r"must have masks of clips, such as train_00\.npy, got none"
    ):
        read_frame_labels(tmp_path, walkers)


def test_folder_of_one_format_leaves_other_files_alone(walkers, tmp_path):
    write_alphapose(walkers, tmp_path / "poses")
    (tmp_path / "poses" / "README.md").write_text("notes")
    np.save(tmp_path / "poses" / "mask.npy", np.zeros(3))
    assert read(tmp_path).num_clips == walkers.num_clips
    (tmp_path / "poses" / "broken_alphapose_tracked_person.json").write_text('{"1": {"0":')
    with pytest.raises(
        InputError,
        match=r"broken_alphapose_tracked_person\.json must be an AlphaPose tracked-person file, "
        "got invalid JSON",
    ):
        read(tmp_path)


def test_native_files_take_a_skeleton_and_a_missing_frame_rate(walkers, tmp_path):
    walkers.with_(fps=None).save(tmp_path / "a.npz")
    tracks = read(tmp_path / "a.npz", fps=30)
    assert (tracks.fps == 30).all()
    assert (read(tmp_path / "a.npz").fps != 30).all()
    walkers.save(tmp_path / "b.npz")
    assert (read(tmp_path / "b.npz", fps=30).fps == 24).all(), "what the data says stays"
    own = SKELETONS["coco17"].to_dict() | {"name": "mine"}
    write(tmp_path / "mine.json", own)
    assert read(tmp_path / "a.npz", skeleton=str(tmp_path / "mine.json")).skeleton.name == "mine"
    with pytest.raises(InputError, match=r"a.npz must have 25 joints \(skeleton 'ntu25'\), got 17"):
        read(tmp_path / "a.npz", skeleton="ntu25")


def test_every_format_is_detected_as_itself(real_data):
    """Published files, if they are available."""
    for folder, expected in (
        ("penn_action", 2326),
        ("nw_ucla", 1484),
        ("shanghaitech_boxes/train_txt", 330),
    ):
        top, *rest = folder.split("/")
        assert read(real_data(top).joinpath(*rest)).num_clips == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.json",
            '{"1": {"0": {"keypoints": [1, 2]}}}',
            "must be x, y, score of each joint, got 2 values",
        ),
        (
            "a.json",
            '{"1": {"0": {"keypoints": [1, 2, 3]}}}',
            r"must have poses of 17 \(coco17\) or 18 \(coco18\) or 26 \(halpe26\) joints, or a "
            r"skeleton of them \(--skeleton\), got 1",
        ),
        (
            "a.json",
            '{"1": {"x": {"keypoints": [1, 2, 3]}}}',
            "frame must be a whole number, got 'x'",
        ),
        ("a.json", '{"1": [3]}', "person 1 must be frames by number, got a number"),
        ("a.json", "[]", None),
        (
            "a.json",
            '[{"image_id": "none"}]',
            "image_id at position 0 must be a number, or a name with a number as in "
            r"clip_12\.jpg, got 'none'",
        ),
        ("a.json", "hello", "must be .*, got no known format"),
        ("a.txt", HEADER + "\n1 2 3\n", "row '1 2 3' must have 9 values, got 3"),
        # Two wrong rows that hold as many values as two right ones.
        ("a.txt", HEADER + "\n1 1 2 1 2 3 4 0\n2 1 2 1 2 3 4 0 0 0\n", "must have 9 values, got 8"),
        (
            "a.json",
            '{"1": {"100000000": {"keypoints": %s}}}' % ([5] * 51),
            "frame number must be less than 100000000, got 100000000",
        ),
        (
            "a.json",
            json.dumps({"1": {str(2**63 - 1): {"keypoints": [5] * 51}}}),
            "frame number must be less than 100000000, got 9223372036854775807",
        ),
        (
            "a.txt",
            HEADER + "\n1 1 2 30 20 10 60 0 0\n",
            "a box must be left, top, right, bottom, got",
        ),
        ("a.txt", HEADER + "\n1.5 1 2 10 20 30 60 0 0\n", "frame must be an array of int64, got"),
        (
            "a.txt",
            HEADER + "\n-1 1 2 10 20 30 60 0 0\n",
            "frame number of clip 'a' must be 0 or more, got -1$",
        ),
        (
            "a.json",
            '{"file_name": "x", "skeletons": []}',
            "file_name must be aAA_sSS_eEE_vVV, got 'x'",
        ),
        (
            "a.json",
            '{"file_name": "a01_s01_e01_v01", "skeletons": [[[0, {}, "x"]]]}',
            "skeletons must be an array of numbers, got an object$",
        ),
        (
            "a.mat",
            "MATLAB 5.0 MAT-file and then nothing",
            "must be a Penn Action label file, got an error: ",
        ),
        ("a.npz", "PK", "must be .*, got no known format"),
        ("a.json", "", "must be a file of poses, got one that is empty"),
    ],
)
def test_malformed_files_are_refused(name, content, message, tmp_path):
    write(tmp_path / name, content)
    if message is None:
        assert read(tmp_path / name).num_frames == 0
        return
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nan_key_points_are_refused(tmp_path):
    values = points(17)
    write(
        tmp_path / "a.json", json.dumps({"4": {"2": {"keypoints": values}}}).replace("17.0", "NaN")
    )
    with pytest.raises(
        InputError,
        match=r"key points of person 4 in frame 2 must be from -1e\+09 to 1e\+09, got nan",
    ):
        read(tmp_path / "a.json")


def test_missing_paths_and_unknown_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"must have files of poses \(.*\), got none"):
        read(tmp_path)
    with pytest.raises(InputError, match=f"must be auto or {', '.join(FORMATS)}, got 'bvh'"):
        read(tmp_path, format="bvh")


def test_digits_in_suffixes_are_not_frame_numbers(tmp_path):
    names = ["0000.jp2", "0001.jp2", "clip7_0002.mp4", "frame.3", "00004"]
    write(tmp_path / "a.json", [result(name, 1) for name in names])
    tracks = read(tmp_path / "a.json")
    assert tracks.clip_names == ("a", "clip7", "frame")
    np.testing.assert_array_equal(tracks.frame, [0, 1, 4, 2, 3])


def test_result_lists_are_named_after_their_folder_from_within_it(tmp_path, monkeypatch):
    write(tmp_path / "north" / "alphapose-results.json", [result(1, 1)])
    write(tmp_path / "north" / "south_alphapose-results.json", [result(1, 1)])
    monkeypatch.chdir(tmp_path / "north")
    assert read("alphapose-results.json").clip_names == ("north",)
    assert read("south_alphapose-results.json").clip_names == ("south",)


def test_scores_that_are_not_numbers_and_broken_duplicates_are_refused(tmp_path):
    write(tmp_path / "a.json", [result(1, 1, score=float("nan"))])
    with pytest.raises(InputError, match="score at position 0 must be a number, got nan"):
        read(tmp_path / "a.json")
    write(tmp_path / "b.json", [result(1, 1), {**result(1, 1, score=0.1), "keypoints": "x"}])
    with pytest.raises(
        InputError, match="key points at position 1 must be x, y, score of each joint, got a string"
    ):
        read(tmp_path / "b.json")


@settings(max_examples=40, deadline=None)
@given(data=st.data(), joints=st.sampled_from([17, 18]))
def test_written_joints_are_read_again_however_small(data, joints, tmp_path_factory):
    """Also those that rounding would put on the origin, or give no confidence."""
    number = st.one_of(
        st.floats(-2000, 2000, width=32), st.sampled_from([0.0, 0.004, -0.003, 1e-6])
    )
    trust = st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 4e-4, 1e-9]))
    keypoints = data.draw(npst.arrays(np.float32, (3, joints, 2), elements=number))
    confidence = data.draw(npst.arrays(np.float32, (3, joints), elements=trust))
    # Somebody of some size, as poses that all lie within 0 to 1 are shares of the image.
    keypoints[:, 0], confidence[:, 0] = 500, 1
    name = f"coco{joints}"
    tracks = PoseTracks.build(keypoints, confidence, [0, 4, 2], [1, 1, 7], [0, 0, 1], name, "ab")
    folder = tmp_path_factory.mktemp("written")
    assert [path.name for path in write_alphapose(tracks, folder)] == [
        "a_alphapose_tracked_person.json",
        "b_alphapose_tracked_person.json",
    ]
    again = read(folder)
    np.testing.assert_array_equal(again.confidence == 0, tracks.confidence == 0)
    np.testing.assert_allclose(again.confidence, tracks.confidence, atol=1.01e-3)
    seen = tracks.confidence > 0
    np.testing.assert_allclose(again.keypoints[seen], tracks.keypoints[seen], atol=0.0102)
    for field in ("frame", "track", "clip"):
        np.testing.assert_array_equal(getattr(again, field), getattr(tracks, field))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": [[0]]}, r": train must be 1 or -1, got \[0\.0\]"),
        ({"dimensions": [[270]]}, r": dimensions must be height and width, got \[270\.0\]"),
        (
            {"x": np.full((5, 12), 9.0)},
            r": x, y and visibility must be frames by 13 joints, got \[5, 12\], \[5, 13\] and "
            r"\[5, 13\]",
        ),
        (
            {"x": np.full((5, 13), np.nan)},
            r": keypoints must be finite \(confidence 0 marks a missing joint\), "
            r"got NaN or infinity \(joint head of row 0\)",
        ),
        ({"y": "text"}, ": y must be an array of numbers, got 'text'$"),
        ({"action": [[3.0]]}, ": action must be text, got ndarray"),
        ({"visibility": None}, " must be a Penn Action label file, got no 'visibility'"),
    ],
)
def test_malformed_penn_action_files_are_refused(change, message, tmp_path):
    ones = np.full((5, 13), 40.0)
    content = {"action": "squat", "x": ones, "y": ones, "visibility": ones / 40}
    content |= {"dimensions": [[270, 480, 5]], "train": [[1]], **change}
    savemat(tmp_path / "a.mat", {k: v for k, v in content.items() if v is not None})
    with pytest.raises(InputError, match=rf"a\.mat{message}$"):
        read(tmp_path / "a.mat")


def test_views_without_a_split_are_refused(tmp_path):
    content = {"file_name": "a04_s02_e01_v04", "skeletons": [[[1.0] * 3] * 20]}
    write(tmp_path / "x.json", content)
    with pytest.raises(InputError, match="x.json: view in file_name must be 1, 2 or 3, got 4"):
        read(tmp_path / "x.json")
