"""JSON of pose estimators (COCO results, MMPose, MediaPipe, Kinetics-skeleton): known answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read, read_all, write
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracker import idf1


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def refused(path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(save(path, content))
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def same_poses(one, other, atol):
    """The same poses in the same frames of the same clips; ids may be others."""
    assert one.clip_names == other.clip_names
    order = [np.lexsort((t.keypoints[:, 5, 0].round(1), t.frame, t.clip)) for t in (one, other)]
    a, b = (t.rows(rows) for t, rows in zip((one, other), order, strict=True))
    np.testing.assert_array_equal(a.frame, b.frame)
    np.testing.assert_array_equal(a.confidence > 0, b.confidence > 0)
    np.testing.assert_allclose(a.confidence, b.confidence, atol=1.1e-3)
    seen = a.confidence > 0
    np.testing.assert_allclose(a.keypoints[seen], b.keypoints[seen], atol=atol)
    return idf1(a.track + 1000 * a.clip, b.track + 1000 * b.clip)


# -- COCO results ----------------------------------------------------------------------------------


def result(image, x=100.0, joints=17, **more):
    keypoints = [v for j in range(joints) for v in (x + 2 * j, 50.0 + 5 * j, 0.75)]
    return {"image_id": image, "category_id": 1, "keypoints": keypoints, "score": 0.9, **more}


def test_coco_results_get_ids(tmp_path):
    content = [result(4), result(4, x=700), result(5, x=702), result(5, x=103), result(6, x=1400)]
    tracks = read(save(tmp_path / "gate.json", content))
    assert tracks.clip_names == ("gate",) and tracks.skeleton == SKELETONS["coco17"]
    np.testing.assert_array_equal(tracks.track, [0, 0, 1, 1, 2])
    # There is no image 0: they are counted from 1.
    np.testing.assert_array_equal(tracks.frame, [3, 4, 3, 4, 5])
    np.testing.assert_array_equal(tracks.keypoints[0, 3], [106, 65])
    assert tracks.confidence[0, 3] == 0.75
    assert read_all(tmp_path).formats == {"coco-results": 1}


def test_coco_results_with_ids_and_image_names(tmp_path):
    content = [
        result("gate_0004.jpg", track_id=3),
        result("yard_0001.jpg", track_id=3),
        result("gate_0005.jpg", track_id=8),
    ]
    tracks = read(save(tmp_path / "all.json", content))
    assert tracks.clip_names == ("gate", "yard")
    np.testing.assert_array_equal(tracks.track, [3, 8, 3])
    np.testing.assert_array_equal(tracks.frame, [3, 4, 0])
    # One clip's images are the file's.
    assert read(save(tmp_path / "one.json", content[:1])).clip_names == ("one",)
    # AlphaPose without tracking calls its files all alike, in a folder a video.
    path = save(tmp_path / "door" / "alphapose-results.json", [result("12.jpg")])
    assert read(path).clip_names == ("door",)


def test_coco_results_round_trip(walkers, tmp_path):
    files = write(walkers, tmp_path, "coco-results")
    assert [path.name for path in files] == [f"{name}.json" for name in walkers.clip_names]
    again = read(tmp_path)
    np.testing.assert_array_equal(again.track, walkers.track)
    assert same_poses(walkers, again, 6e-4) == 1


COCO = json.dumps([result(1), result(2)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (COCO[:500], "must be a list of COCO key point results, got invalid JSON"),
        (COCO.replace("100.0, ", "", 1), "must be 3 values for each joint, got 50 values"),
        (COCO.replace("100.0", "NaN", 1), r"must be from -1e\+09 to 1e\+09, got nan"),
        (
            COCO.replace("100.0", "[1]", 1),
            "must be one list of x, y, score of each joint, got lists in it",
        ),
        (COCO.replace("50.0", "[1]", 1), "must be lists of numbers, got lists of"),
        (
            COCO.replace('"image_id": 1', '"image_id": null'),
            "image_id at position 0 must be a number, or a name with a number as in "
            r"clip_12\.jpg, got None",
        ),
        (
            COCO.replace('"image_id": 1', '"image_id": "x.jpg"'),
            "image_id at position 0 must be a number, or a name with a number as in "
            r"clip_12\.jpg, got 'x.jpg'",
        ),
        (json.dumps([result(1), 7]), "position 1 must be an object, got a number"),
        (
            json.dumps([result(1), result(2, joints=16)]),
            "poses of 17 joints as in the poses before, got 16",
        ),
        (
            json.dumps([result(1, joints=21)]),
            r"must have poses of 17 \(coco17\) or 18 \(coco18\) or 26 \(halpe26\) joints, or a "
            r"skeleton of them \(--skeleton\), got 21",
        ),
    ],
)
def test_broken_coco_results_are_refused(content, message, tmp_path):
    refused(tmp_path / "gate.json", content, message)


# -- MMPose ----------------------------------------------------------------------------------------


def instance(x=100.0, joints=17, **more):
    return {
        "keypoints": [[x + j, 50.0 + 3 * j] for j in range(joints)],
        "keypoint_scores": [0.5] * joints,
        "bbox": [[1.0, 2.0, 3.0, 4.0]],
        "bbox_score": 0.9,
        **more,
    }


def frames(*people):
    return [{"frame_id": i + 1, "instances": list(some)} for i, some in enumerate(people)]


def meta(skeleton):
    names = {str(i): name for i, name in enumerate(SKELETONS[skeleton].joints)}
    return {"dataset_name": "x", "keypoint_id2name": names}


def test_mmpose_files_of_demo_and_inferencer_are_read(tmp_path):
    info = frames([instance(), instance(900)], [], [instance(103)])
    content = {"meta_info": meta("coco17"), "instance_info": info}
    tracks = read(save(tmp_path / "results_gate.json", content))
    assert tracks.clip_names == ("gate",)
    np.testing.assert_array_equal(tracks.track, [0, 0, 1])
    np.testing.assert_array_equal(tracks.frame, [0, 2, 0])
    np.testing.assert_array_equal(tracks.keypoints[1, 2], [105, 56])
    assert tracks.confidence[0, 0] == 0.5
    assert read_all(tmp_path).formats == {"mmpose": 1}
    listed = read(save(tmp_path / "list" / "yard.json", info))
    np.testing.assert_array_equal(listed.keypoints, tracks.keypoints)
    tracked = frames([instance(track_id=5)], [instance(track_id=5)])
    np.testing.assert_array_equal(read(save(tmp_path / "ids.json", tracked)).track, [5, 5])


@pytest.mark.parametrize(
    "wrap",
    [lambda f: f, lambda f: {"predictions": f}, lambda f: [{"predictions": [one]} for one in f]],
)
def test_mmpose_results_that_were_saved_by_hand(wrap, tmp_path):
    """Lists of instances, a list a frame, as ``MMPoseInferencer`` gives them."""
    frames = [[instance(), instance(900)], [], [instance(103)]]
    tracks = read(save(tmp_path / "gate.json", wrap(frames)))
    assert tracks.clip_names == ("gate",) and read_all(tmp_path).formats == {"mmpose": 1}
    assert tracks.frame.tolist() == [0, 2, 0] and tracks.clip_length.tolist() == [3]
    # Nobody is in the first frame.
    tracks = read(save(tmp_path / "gate.json", wrap([[], *frames])))
    assert tracks.frame.tolist() == [1, 3, 1]


def test_mmpose_files_of_single_pictures_are_read(tmp_path):
    """``results_NAME.json`` with the instances of one picture."""
    for i, people in ((1, [instance(), instance(900)]), (2, []), (3, [instance(103)])):
        content = {"meta_info": meta("coco17"), "instance_info": people}
        save(tmp_path / "gate" / f"results_{i:06d}.json", content)
    tracks = read(tmp_path)
    assert tracks.clip_names == ("gate",) and read_all(tmp_path).formats == {"mmpose-images": 3}
    assert tracks.frame.tolist() == [0, 2, 0] and tracks.clip_length.tolist() == [3]


def test_mmpose_files_of_one_frame_are_clips_of_their_own(tmp_path):
    for name, frames in (
        ("01", [[instance()]] * 3),
        ("02", [[instance()]]),
        ("03", [[instance()]] * 2),
    ):
        save(tmp_path / f"{name}.json", frames)
    tracks = read(tmp_path)
    assert tracks.clip_names == ("01", "02", "03") and tracks.clip_length.tolist() == [3, 1, 2]
    save(tmp_path / "far" / "gate.json", [[]] * 2000 + [[instance()]])
    assert read(tmp_path / "far").frame.tolist() == [2000]
    refused(
        tmp_path / "bad" / "gate.json",
        [{"predictions": [[]]}, {"predictions": 5}],
        "a frame without a list of instances",
    )


def test_of_two_poses_of_a_person_the_one_with_the_higher_score_counts(tmp_path):
    """By the pose's score, whatever its joints'."""
    worse, better = result(0, track_id=1), result(0, x=300, track_id=1)
    worse["score"], better["score"] = 0.1, 0.99
    better["keypoints"][2::3] = [0.5] * 17
    with pytest.warns(InputWarning, match="1 of 2 poses are left out"):
        assert read(save(tmp_path / "gate.json", [worse, better])).keypoints[0, 0, 0] == 300


def test_mmpose_files_before_1_0_are_read(tmp_path):
    """Lists of ``bbox`` and ``keypoints`` of three values each, with ids of its tracker."""

    def one(x, track):
        keypoints = [[x + j, 50.0 + 3 * j, 0.5] for j in range(17)]
        return {
            "bbox": [1, 2, 300, 400, 0.98],
            "keypoints": keypoints,
            "area": 1.0,
            "track_id": track,
        }

    tracks = read(
        save(tmp_path / "gate.json", [[], [one(100.0, 4), one(900.0, 2)], [one(103.0, 4)]])
    )
    assert read_all(tmp_path).formats == {"mmpose": 1} and tracks.dims == 2
    assert tracks.frame.tolist() == [1, 1, 2] and tracks.track.tolist() == [2, 4, 4]
    assert tracks.confidence[0, 0] == 0.5


def test_mmpose_files_of_3d_lifters_name_their_joints(tmp_path):
    """The file names and links the joints; names of a built-in skeleton give that skeleton."""
    pose = [[j / 100, 0.2, j / 10] for j in range(17)]
    one = {"keypoints": pose, "keypoint_scores": [0.9] * 17}
    content = {"meta_info": meta("h36m17"), "instance_info": frames([one], [one])}
    tracks = read(save(tmp_path / "a.json", content))
    assert (tracks.dims, tracks.skeleton) == (3, SKELETONS["h36m17"])
    np.testing.assert_allclose(tracks.keypoints[1, 4], [0.04, 0.2, 0.4], rtol=1e-6)
    assert tracks.frame.tolist() == [0, 1]
    # Without names, those of MMPose's lifters; some of them put each pose into a list of one.
    nested = {"keypoints": [pose], "keypoint_scores": [[0.9] * 17]}
    again = read(save(tmp_path / "b.json", frames([nested], [one])))
    np.testing.assert_array_equal(again.keypoints, tracks.keypoints)
    names = {str(i): name for i, name in enumerate(["root", "left_hip", "right_hip"])}
    own = {"dataset_name": "legs", "keypoint_id2name": names, "skeleton_links": [[0, 1], [0, 2]]}
    legs = frames([{"keypoints": pose[:3], "keypoint_scores": [1, 1, 1]}])
    skeleton = read(save(tmp_path / "c.json", {"meta_info": own, "instance_info": legs})).skeleton
    assert (skeleton.name, skeleton.joints) == ("legs", ("root", "left_hip", "right_hip"))
    assert (skeleton.center, skeleton.pairs, skeleton.hips) == (0, ((1, 2),), (1, 2))
    refused(
        tmp_path / "d.json",
        {"meta_info": {**own, "skeleton_links": [[0, 1]]}, "instance_info": legs},
        "must all be connected to the centre, "
        r"got no path from right_hip: give a skeleton \(--skeleton",
    )


def test_rtmpose_files_with_26_joints_are_halpe26(tmp_path):
    content = {"meta_info": meta("halpe26"), "instance_info": frames([instance(joints=26)])}
    assert read(save(tmp_path / "a.json", content)).skeleton.name == "halpe26"


MMPOSE = json.dumps(frames([instance()], [instance()]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MMPOSE[:300], "must be MMPose's predictions of a video, got invalid JSON"),
        ({"meta_info": {}, "instance_info": 3}, "with a list called instance_info, got none"),
        (
            MMPOSE.replace('"frame_id": 1', '"frame_id": 1.5'),
            "frame_id must be a whole number, got 1.5",
        ),
        (
            MMPOSE.replace("[100.0, 50.0]", "[NaN, 50.0]", 1),
            r"must be from -1e\+09 to 1e\+09, got nan",
        ),
        (MMPOSE.replace("[100.0, 50.0]", "[100.0]", 1), "must be lists of numbers, got lists of"),
        (MMPOSE.replace("0.5, ", "", 1), r"got shapes \[17, 2\] and \[16\]"),
        (
            frames([instance()], [instance(joints=15)]),
            "poses of 17 joints as in the poses before, got 15",
        ),
        (
            frames([instance(joints=133)]),
            r"must have poses of 17 \(coco17\) or 18 \(coco18\) or 26 \(halpe26\) joints, or a "
            r"skeleton of them \(--skeleton\), got 133",
        ),
        (frames(["x"]), "an instance in frame 1 must be an object, got a string"),
        (
            {
                "meta_info": {"keypoint_id2name": {"0": "root"}},
                "instance_info": frames([instance()]),
            },
            r"must have 17 names of joints \(keypoint_id2name\), one for each joint, or a "
            r"skeleton \(--skeleton\), got 1",
        ),
    ],
)
def test_broken_mmpose_files_are_refused(content, message, tmp_path):
    refused(tmp_path / "gate.json", content, message)


# -- MediaPipe -------------------------------------------------------------------------------------


def landmarks(x=0.25, joints=33):
    return [{"x": x + j / 1000, "y": 0.5, "z": -0.1, "visibility": 0.75} for j in range(joints)]


def mediapipe(*people, **more):
    return {
        **more,
        "frames": [{"frame": i, "pose_landmarks": list(p)} for i, p in enumerate(people)],
    }


def test_mediapipe_shares_become_pixels_with_an_image_size(tmp_path):
    people = [[landmarks()], [], [landmarks(0.253), landmarks(0.9)]]
    content = mediapipe(*people, image_size=[640, 480], fps=25)
    tracks = read(save(tmp_path / "gate.json", content))
    assert tracks.clip_names == ("gate",) and tracks.skeleton == SKELETONS["mediapipe33"]
    np.testing.assert_array_equal(tracks.frame, [0, 2, 2])
    np.testing.assert_array_equal(tracks.track, [0, 0, 1])
    np.testing.assert_allclose(tracks.keypoints[0, 10], [640 * 0.26, 240], rtol=1e-6)
    assert (tracks.fps[0], tracks.confidence[0, 0]) == (25, 0.75)
    np.testing.assert_array_equal(tracks.image_size, [[640, 480]])
    shares = read(save(tmp_path / "shares" / "gate.json", mediapipe(*people)))
    np.testing.assert_array_equal(shares.image_size, [[1, 1]])
    np.testing.assert_allclose(shares.keypoints * [640, 480], tracks.keypoints, rtol=1e-6)
    assert read_all(tmp_path).formats == {"mediapipe": 2}


def test_mediapipe_frames_of_one_person_of_nobody_and_in_pixels_are_read(tmp_path):
    one, pixels = (
        landmarks(),
        [{**mark, "x": 640 * mark["x"], "y": 480 * mark["y"]} for mark in landmarks()],
    )
    frames = [{"frame": i, "pose_landmarks": p} for i, p in ((1, one), (2, None), (3, [one]))]
    tracks = read(save(tmp_path / "gate.json", {"image_size": [640, 480], "frames": frames}))
    # There is no frame 0: they are counted from 1.
    assert tracks.frame.tolist() == [0, 2] and tracks.clip_length.tolist() == [3]
    content = {"image_size": [640, 480], "frames": [{"frame": 0, "pose_landmarks": [pixels]}]}
    again = read(save(tmp_path / "pixels.json", content))
    np.testing.assert_allclose(again.keypoints[0], tracks.keypoints[0], rtol=1e-6)


@pytest.mark.parametrize("missing", [None, "left out"])
def test_mediapipe_landmarks_without_visibility_are_read(missing, tmp_path):
    marks = [{**mark, "visibility": None} for mark in landmarks()]
    if missing:
        marks = [{"x": mark["x"], "y": mark["y"]} for mark in marks]
    tracks = read(save(tmp_path / "gate.json", mediapipe([marks])))
    assert (tracks.confidence == 1).all()


MEDIAPIPE = json.dumps(mediapipe([landmarks()]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MEDIAPIPE[:300], "must be MediaPipe pose landmarks, got invalid JSON"),
        (
            mediapipe([landmarks(joints=32)]),
            r"must have poses of 33 \(mediapipe33\) joints, or a skeleton of them "
            r"\(--skeleton\), got 32",
        ),
        (MEDIAPIPE.replace("0.25,", "NaN,", 1), r"must be from -1e\+09 to 1e\+09, got nan"),
        (MEDIAPIPE.replace("0.25,", '"x",', 1), "must be lists of numbers, got 'x'$"),
        (MEDIAPIPE.replace('"y"', '"w"', 1), "a landmark in frame 0 must have x and y"),
        (
            {"frames": [{"landmarks": []}]},
            "position 0 must have a list of people called pose_landmarks",
        ),
        (
            {"frames": [{"pose_landmarks": [3]}]},
            "a person in frame 0 must be a list of landmarks, got a number",
        ),
        (
            mediapipe([landmarks()], image_size=[640]),
            r"image_size must be width and height in pixels, got \[640\]",
        ),
        (mediapipe([landmarks()], fps=0), "fps must be a number above 0, got 0"),
    ],
)
def test_broken_mediapipe_files_are_refused(content, message, tmp_path):
    refused(tmp_path / "gate.json", content, message)


# -- Kinetics-skeleton -----------------------------------------------------------------------------


def kinetics(*people, label="juggling balls"):
    data = [{"frame_index": i + 1, "skeleton": list(some)} for i, some in enumerate(people)]
    return {"data": data, "label": label, "label_index": 10}


def skeleton18(x=0.25):
    pose = [v for j in range(18) for v in (x + j / 1000, 0.5)]
    return {"pose": pose, "score": [0.0, *[0.5] * 17]}


def test_kinetics_files_are_read(tmp_path):
    content = kinetics([skeleton18()], [skeleton18(0.9), skeleton18(0.252)], [])
    tracks = read(save(tmp_path / "-_DPXTP1.json", content), image_size=(340, 256))
    assert (tracks.clip_names, tracks.clip_label) == (("-_DPXTP1",), ("juggling balls",))
    assert tracks.skeleton == SKELETONS["coco18"]
    np.testing.assert_array_equal(tracks.track, [0, 0, 1])
    np.testing.assert_array_equal(tracks.frame, [0, 1, 1])
    np.testing.assert_array_equal(tracks.clip_length, [3])
    np.testing.assert_allclose(tracks.keypoints[0, 10], [340 * 0.26, 128], rtol=1e-6)
    assert (tracks.confidence == 0).sum(1).tolist() == [1, 1, 1]
    assert read_all(tmp_path).formats == {"kinetics-skeleton": 1}
    assert read(save(tmp_path / "none.json", {"data": [], "label": "x"})).num_frames == 0


def test_kinetics_halves_are_the_published_folders(tmp_path, monkeypatch):
    for folder, name in (("kinetics_train", "a"), ("kinetics_val", "b"), ("mine", "c")):
        save(tmp_path / folder / f"{name}.json", kinetics([skeleton18()]))
    assert read(tmp_path).clip_split == ("train", "test", "")
    assert read(tmp_path / "kinetics_val" / "b.json").clip_split == ("test",)
    monkeypatch.chdir(tmp_path / "kinetics_train")
    assert read(".").clip_split == ("train",)


def test_kinetics_round_trip(walkers, tmp_path, record_property):
    walkers.select(clips=[0, 1, 2]).save(tmp_path / "in" / "poses.npz")
    tracks = read(tmp_path / "in", skeleton="coco18")
    write(tracks, tmp_path / "out", "kinetics-skeleton")
    again = read(tmp_path / "out", image_size=tuple(tracks.image_size[0]))
    assert again.clip_label == tracks.clip_label
    np.testing.assert_array_equal(again.clip_length, tracks.clip_length)
    score = same_poses(tracks, again, 2e-3)
    told = f"IDF1 {score:.3f}: {again.num_frames} poses through Kinetics-skeleton files"
    record_property("measured", told)
    assert score > 0.9
    with pytest.raises(
        InputError,
        match=r"must have an image size \(--image-size\) to write shares of it, got none",
    ):
        write(tracks.with_(image_size=None), tmp_path / "none", "kinetics-skeleton")
    assert not (tmp_path / "none").exists()


KINETICS = json.dumps(kinetics([skeleton18()]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (KINETICS[:100], "must be a Kinetics-skeleton file, got invalid JSON"),
        ('{"data": [], "label": 3', "must be a Kinetics-skeleton file, got invalid JSON"),
        (KINETICS.replace("0.25,", "", 1), r"got a pose of shape \[35\] and a score of \[18\]"),
        (KINETICS.replace("0.25,", "NaN,", 1), r"must be from -1e\+09 to 1e\+09, got nan"),
        (KINETICS.replace("0.25,", "{},", 1), "must be lists of numbers, got an object$"),
        (
            KINETICS.replace('"frame_index": 1', '"frame_index": "x"'),
            "frame_index must be a whole number, got 'x'",
        ),
        (
            KINETICS.replace('"frame_index": 1', '"frame_index": -1'),
            "frame number of clip 'gate' must be 0 or more, got -1",
        ),
        (
            kinetics([{"pose": [0.5] * 34, "score": [0.5] * 17}]),
            r"must have poses of 18 \(coco18\) joints, or a skeleton of them \(--skeleton\), "
            "got 17",
        ),
        (kinetics([3]), "a person in frame 1 must be an object, got a number"),
        ({"data": [{"frame_index": 1}]}, "a frame without a list called skeleton"),
    ],
)
def test_broken_kinetics_files_are_refused(content, message, tmp_path):
    refused(tmp_path / "gate.json", content, message)


# -- Order of the entries --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (kinetics([skeleton18()]), "kinetics-skeleton"),
        (mediapipe([landmarks()], fps=25), "mediapipe"),
        ({"meta_info": {}, "instance_info": frames([instance()])}, "mmpose"),
        ({"people": [{"person_id": [3], "pose_keypoints_2d": [1.5] * 75}]}, "openpose"),
        (
            {"file_name": "a01_s01_e00_v01", "skeletons": [[[1.0] * 3] * 20], "label": 1},
            "nw-ucla",
        ),
    ],
)
def test_formats_are_detected_in_any_order_of_entries(content, form, tmp_path):
    path = tmp_path / "gate_1.json"
    for first in ("label", "a", *content):
        ordered = {first: content.get(first, "x"), **content}
        save(path, ordered)
        assert read_all(path).formats == read_all(tmp_path).formats == {form: 1}
        assert read(path).num_frames == 1
    save(path, {name: content[name] for name in reversed(content)})
    assert read(path).num_frames == 1


@pytest.mark.parametrize(
    "content", [{"label": 3}, {"label": 3, "data": [1]}, {"x": [{"y": 1}]}, [1], [[]] * 2000 + [1]]
)
def test_other_json_files_have_no_format(content, tmp_path):
    if content == {"label": 3}:
        refused(tmp_path / "x.json", content, "must be .*, got no known format")
    else:
        with pytest.raises(InputError) as caught:
            read(save(tmp_path / "x.json", content))
        assert "Northwestern" not in str(caught.value)


# -- MMPose of images ------------------------------------------------------------------------------


def test_mmpose_files_of_a_folder_of_images_are_one_clip(tmp_path):
    images = {10: [instance(104)], 2: [instance(), instance(900)], 9: []}
    for number, people in images.items():
        save(tmp_path / f"gate_{number}.json", json.dumps(people, indent="  "))
    tracks = read(tmp_path)
    assert tracks.clip_names == ("gate",)
    np.testing.assert_array_equal(tracks.frame, [1, 9, 1])
    np.testing.assert_array_equal(tracks.track, [0, 0, 1])
    np.testing.assert_array_equal(tracks.keypoints[1, 2], [106, 56])
    assert read_all(tmp_path).formats == {"mmpose-images": 3}
    save(tmp_path / "gate_11.json", [instance(), {"keypoints": [[1, 2]]}])
    with pytest.raises(
        InputError,
        match=r"gate_11\.json: an instance in frame 11 must have keypoints of joints by 2 or 3, "
        r"and a score of each joint, got shapes \[1, 2\] and \[0\]$",
    ):
        read(tmp_path)
    save(tmp_path / "gate_11.json", {"x": 1})
    with pytest.raises(
        InputError, match=r"gate_11\.json must be MMPose's predictions of an image, got an object"
    ):
        read(tmp_path)
