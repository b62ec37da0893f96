"""Rules of all readers: duplicates in a frame, people without joints, shares of the image."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from helpers import poses_for

from gepc_geo.errors import InputWarning
from gepc_geo.io import read, write
from gepc_geo.io._common.units import recognise_units
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks

# Formats in pixels, and those that have ids.
PIXELS = ["alphapose-tracks", "coco-results", "openpose", "mmpose", "pyskl", "deeplabcut"]


def pose(x: float = 100.0, joints: int = 17, score: float = 0.75) -> list[float]:
    """A body 80 pixels tall at ``x``."""
    return [v for j in range(joints) for v in (x + 7 * (j % 3), 50.0 + 5 * j, score)]


def openpose(folder, frames, name="gate"):
    """Frames of (x, id)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in enumerate(frames):
        content = [{"person_id": [i], "pose_keypoints_2d": p} for p, i in people]
        path = folder / f"{name}_{number:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": content}))


def labels(folder, frames):
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in enumerate(frames, start=1):
        lines = []
        for p, i in people:
            shares = np.array(p).reshape(-1, 3) / [1280, 720, 1]
            numbers = " ".join(f"{v:.6f}" for v in shares.ravel())
            lines.append(f"0 0.5 0.5 0.1 0.2 {numbers} 0.900" + ("" if i < 0 else f" {i}"))
        (folder / f"gate_{number}.txt").write_text("\n".join([*lines, ""]))


def alphapose(folder, frames):
    folder.mkdir(parents=True, exist_ok=True)
    content = [
        {
            "image_id": f"{number}.jpg",
            "category_id": 1,
            "keypoints": p,
            "score": sum(p[2::3]),
            "idx": i,
        }
        for number, people in enumerate(frames)
        for p, i in people
    ]
    (folder / "alphapose-results.json").write_text(json.dumps(content))


def coco(folder, frames):
    folder.mkdir(parents=True, exist_ok=True)
    content = [
        {"image_id": number, "category_id": 1, "keypoints": p, "score": 0.9}
        | ({} if i < 0 else {"track_id": i})
        for number, people in enumerate(frames)
        for p, i in people
    ]
    (folder / "gate.json").write_text(json.dumps(content))


def mmpose(folder, frames):
    folder.mkdir(parents=True, exist_ok=True)

    def one(p, i):
        values = np.array(p).reshape(-1, 3)
        found = {"keypoints": values[:, :2].tolist(), "keypoint_scores": values[:, 2].tolist()}
        return found if i < 0 else {**found, "track_id": i}

    info = [
        {"frame_id": n, "instances": [one(*who) for who in people]}
        for n, people in enumerate(frames, start=1)
    ]
    (folder / "results_gate.json").write_text(json.dumps({"meta_info": {}, "instance_info": info}))


def ultralytics(folder, frames):
    folder.mkdir(parents=True, exist_ok=True)

    def one(p, i):
        x, y, seen = np.array(p).reshape(-1, 3).T.tolist()
        found = {"name": "person", "class": 0, "keypoints": {"x": x, "y": y, "visible": seen}}
        return found if i < 0 else {**found, "track_id": i}

    (folder / "gate.json").write_text(json.dumps([[one(*w) for w in people] for people in frames]))


WRITERS = {
    "openpose": openpose,
    "ultralytics-labels": labels,
    "alphapose-results": alphapose,
    "coco-results": coco,
    "mmpose": mmpose,
    "ultralytics-json": ultralytics,
}


def put(form, folder, frames):
    """OpenPose has 18 joints, the others 17."""
    joints = 18 if form == "openpose" else 17
    made = [[(pose(x, joints, s), i) for x, s, i in people] for people in frames]
    WRITERS[form](folder, made)


@pytest.mark.parametrize("form", WRITERS)
def test_a_person_twice_in_a_frame_keeps_the_better_pose(form, tmp_path):
    """The worse pose is elsewhere; the warning names the file of frame 2."""
    frames = [[(100.0 + f, 0.8, 3), (600.0, 0.8, 4)] for f in range(4)]
    frames[2].insert(0, (900.0, 0.5, 3))
    put(form, tmp_path, frames)
    with pytest.warns(
        InputWarning, match="several poses in a frame: the best is used, 1 of 9 poses are left"
    ) as got:
        tracks = read(tmp_path)
    assert tracks.track.tolist() == [3] * 4 + [4] * 4
    size = 1 / 1280 if form == "ultralytics-labels" else 1
    np.testing.assert_allclose(tracks.keypoints[:4, 0, 0], np.arange(100, 104) * size, atol=1e-3)
    culprit = {
        "openpose": "gate_000000000002_keypoints.json: ",
        "ultralytics-labels": "gate_3.txt: ",
    }
    assert culprit.get(form, ".json: ") in str(got[0].message)


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "alphapose-results"])
@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_a_body_twice_in_a_frame_is_one_person(form, shift, tmp_path):
    """The same pose again, or nearly (below a hundredth of the body's size); no ids."""
    people = [(100.0, 0.75, -1), (100.0 + shift, 0.7, -1), (600.0, 0.75, -1)]
    put(form, tmp_path, [[(x + 2 * f, s, i) for x, s, i in people] for f in range(5)])
    with pytest.warns(
        InputWarning, match="a body has several poses in a frame: one is used, 5 of 15 are left out"
    ):
        tracks = read(tmp_path)
    assert tracks.track.tolist() == [0] * 5 + [1] * 5
    # The one with the better scores.
    assert (tracks.confidence == 0.75).all()


@pytest.mark.parametrize("form", WRITERS)
def test_people_who_stand_near_each_other_stay_two(form, tmp_path):
    frames = [[(100.0 + 2 * f, 0.75, -1), (112.0 + 2 * f, 0.75, -1)] for f in range(5)]
    if form == "alphapose-results":
        frames = [[(x, s, 0) for x, s, _ in people] for people in frames]
    put(form, tmp_path, frames)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        assert read(tmp_path).num_tracks == 2


@pytest.mark.parametrize("form", WRITERS)
def test_copies_with_other_ids_are_one_person(form, tmp_path):
    """Of the two, the one with the longer track."""
    frames = [[(100.0 + 2 * f, 0.75, 1)] for f in range(6)]
    for f in (2, 3):
        frames[f].insert(0, (100.0 + 2 * f, 0.75, 5))
    put(form, tmp_path, frames)
    with pytest.warns(
        InputWarning, match="a body has several poses in a frame: one is used, 2 of 8 are left out"
    ):
        assert read(tmp_path).track.tolist() == [1] * 6


def with_ids(content):
    """JSON with id -1 for people without an id."""
    if isinstance(content, list):
        return [with_ids(one) for one in content]
    if isinstance(content, dict):
        found = {name: with_ids(one) for name, one in content.items()}
        return {"track_id": -1, **found} if "keypoints" in found and "x" not in found else found
    return content


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "ultralytics-labels"])
def test_an_id_of_minus_one_means_no_id(form, tmp_path):
    """Trackers give it to all whom they are not sure of."""
    frames = [[(100.0 + f, 0.75, 5), (400.0, 0.75, -1), (700.0, 0.75, -1)] for f in range(3)]
    joints = 18 if form == "openpose" else 17
    made = [[(pose(x, joints, s), i) for x, s, i in people] for people in frames]
    WRITERS[form](tmp_path, made)
    if form in ("coco-results", "mmpose", "ultralytics-json"):
        path = next(tmp_path.iterdir())
        path.write_text(json.dumps(with_ids(json.loads(path.read_text()))))
    assert sorted(set(read(tmp_path).track.tolist())) == [5, 6, 7]


@pytest.mark.parametrize("form", WRITERS)
def test_if_all_scores_are_zero_there_are_no_scores(form, tmp_path):
    frames = [[(100.0 + 2 * f, 0.0, 1), (600.0, 0.0, 2)] for f in range(4)]
    put(form, tmp_path, frames)
    with pytest.warns(InputWarning, match="no joint of 8 poses has a score above 0"):
        tracks = read(tmp_path)
    assert tracks.num_frames == 8 and (tracks.confidence == 1).all()


@pytest.mark.parametrize("form", WRITERS)
def test_people_without_a_visible_joint_are_counted_in_a_warning(form, tmp_path):
    frames = [[(100.0 + 2 * f, 0.75, 1), (600.0, 0.0 if f == 2 else 0.5, 2)] for f in range(4)]
    put(form, tmp_path, frames)
    with pytest.warns(InputWarning, match="1 of 8 poses have no visible joint"):
        assert read(tmp_path).num_frames == 7


@pytest.mark.parametrize("form", PIXELS)
@pytest.mark.parametrize("low", [0, -1])
def test_shares_of_the_image_are_recognised_in_formats_of_pixels(form, low, walkers, tmp_path):
    """From 0 to 1, or from -1 to 1: pixels with the image's size, else marked as shares."""
    size = np.array([1280, 720], dtype=np.float32)
    tracks = poses_for(form, walkers.select(clips=[0, 1])).with_(image_size=[size] * 2)
    seen = tracks.confidence > 0
    shares = (tracks.keypoints / size).clip(0, 1) * (1 - low) + low
    # Formats round pixels to a thousandth, which is coarse for shares.
    path = tmp_path / {"native": "a.npz", "pyskl": "a.pkl"}.get(form, "out")
    write(tracks.with_(keypoints=shares, image_size=None), path, form)
    skeleton = "coco18" if form == "deeplabcut" else "auto"
    again = read(path, skeleton=skeleton, image_size=(1280, 720))
    np.testing.assert_array_equal(again.image_size, [size] * 2)
    there = seen & (again.confidence > 0)
    assert there.sum() > 0.99 * seen.sum()
    wanted = (tracks.keypoints / size).clip(0, 1) * size
    np.testing.assert_allclose(again.keypoints[there], wanted[there], atol=10)
    assert (read(path, skeleton=skeleton).image_size == 1).all()


def test_shares_are_recognised_with_a_few_joints_outside_of_the_image():
    keypoints = np.random.default_rng(0).uniform(0.1, 0.9, (50, 17, 2))
    keypoints[::10, 16, 0] = 1.8
    tracks = PoseTracks.build(
        keypoints, np.ones((50, 17)), np.arange(50), [0] * 50, [0] * 50, "coco17", ["a"]
    )
    assert (recognise_units(tracks).image_size == 1).all()
    pixels = tracks.with_(keypoints=100 * keypoints)
    assert np.isnan(recognise_units(pixels).image_size).all()
    # Of an image of known size they become pixels at once.
    known = recognise_units(tracks.with_(image_size=[[640, 480]]))
    np.testing.assert_array_equal(known.image_size, [[640, 480]])
    np.testing.assert_allclose(known.keypoints, keypoints * [640, 480], rtol=1e-6)
    # Pixels in formats of shares are of an image of unknown size.
    marked = recognise_units(pixels.with_(image_size=[[1, 1]]))
    assert np.isnan(marked.image_size).all()
    np.testing.assert_array_equal(marked.keypoints, pixels.keypoints)


def test_shares_are_recognised_with_legs_below_the_picture():
    """MediaPipe places invisible legs of a seated person at up to twice the picture's height."""
    keypoints = np.random.default_rng(0).uniform(0.2, 0.9, (50, 33, 2))
    keypoints[:, 23:, 1] += np.linspace(0.6, 1.5, 10)
    tracks = PoseTracks.build(
        keypoints, np.ones((50, 33)), np.arange(50), [0] * 50, [0] * 50, "mediapipe33", ["a"]
    )
    assert (recognise_units(tracks).image_size == 1).all()


def test_native_files_are_read_as_stored(walkers, tmp_path):
    """Positions of any size; shares of an unknown image size become pixels with a given size."""
    seen = walkers.confidence > 0
    small = walkers.with_(keypoints=walkers.keypoints / 1000 - 0.5, image_size=[[640, 480]] * 12)
    small.save(tmp_path / "a.npz")
    again = read(tmp_path / "a.npz", image_size=(1280, 720))
    np.testing.assert_array_equal(again.keypoints[seen], small.keypoints[seen])
    np.testing.assert_array_equal(again.image_size, small.image_size)
    shares = walkers.with_(keypoints=walkers.keypoints / 1000, image_size=None)
    shares.save(tmp_path / "b.npz")
    again = read(tmp_path / "b.npz", image_size=(1000, 1000))
    np.testing.assert_allclose(again.keypoints[seen], walkers.keypoints[seen], rtol=1e-5)


def test_the_two_orders_of_25_joints_are_told_apart(tmp_path):
    """The lengths of bones distinguish BODY_25B from BODY_25, which may be chosen too."""
    rng = np.random.default_rng(0)
    place = {name: rng.uniform(0, 1) for name in SKELETONS["body25"].joints}
    body25b = SKELETONS["body25b"]
    heights = {"nose": 0, "eye": -4, "ear": -2, "shoulder": 20, "elbow": 45, "wrist": 70, "hip": 75}
    heights |= {"knee": 115, "ankle": 155, "toe": 163, "heel": 160, "neck": 15, "head_top": -15}

    def body(names):
        values = []
        for name in names:
            height = next(h for part, h in heights.items() if part in name)
            side = {"left": 12, "right": -12}.get(name.split("_")[0], 0)
            values += [500.0 + side + place.get(name, 0), 200.0 + height, 0.8]
        return values

    for name in ("body25", "body25b"):
        openpose(tmp_path / name, [[(body(SKELETONS[name].joints), -1)]])
        assert read(tmp_path / name).skeleton == SKELETONS[name]
        assert read(tmp_path / name, skeleton="body25b").skeleton == body25b
    # A few joints say nothing, and all clips of a tool are in one order.
    for some in ([1, 2], [9, 10, 11], [10, 11, 22, 23, 24]):
        few = np.array(body(SKELETONS["body25"].joints)).reshape(25, 3)
        few[[v for v in range(25) if v not in some]] = 0
        openpose(tmp_path / f"few_{some[0]}", [[(few.ravel().tolist(), -1)]])
        assert read(tmp_path / f"few_{some[0]}").skeleton == SKELETONS["body25"]
    openpose(tmp_path / "two" / "a", [[(body(body25b.joints), -1)]] * 3)
    openpose(tmp_path / "two" / "b", [[(few.ravel().tolist(), -1)]])
    assert read(tmp_path / "two").skeleton == body25b
