"""Measures of windows, against figures worked by hand and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.body_frames import BodyFrames, BodyShape, stay
from gepc_geo.scoring.measures import UNITS, measure
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import fill

JOINTS = {name: number for number, name in enumerate(SKELETONS["coco17"].joints)}
# A person who stands, 150 pixels from nose to ankles along the bones; the feet are at the origin.
PLACES = {
    "nose": (0, -150),
    "eye": (3, -154),
    "ear": (6, -152),
    "shoulder": (15, -130),
    "elbow": (15, -100),
    "wrist": (15, -70),
    "hip": (10, -80),
    "knee": (10, -40),
    "ankle": (10, 0),
}
HEIGHT = 150
SHAPE = BodyShape(np.array([0.0, -1.0]), np.array([20, 50, 40, 40]) / HEIGHT, 30 / HEIGHT)


def person(frames: int, **moved: Any) -> np.ndarray:
    """Poses [T, 17, 2] of a person who stands, with other places of joints, [2] or [T, 2]."""
    poses = np.zeros((frames, 17, 2))
    for name, number in JOINTS.items():
        x, y = PLACES[name.split("_")[-1]]
        poses[:, number] = (-x if name.startswith("left") else x, y)
    for name, place in moved.items():
        poses[:, JOINTS[name]] = place
    return poses


def tracks_of(*people: np.ndarray, confidence: Any = None, **more: Any) -> PoseTracks:
    """People of one clip, each from frame 0."""
    count = [len(poses) for poses in people]
    keypoints = np.concatenate(people)
    return PoseTracks.build(
        keypoints,
        np.ones(keypoints.shape[:2]) if confidence is None else confidence,
        np.concatenate([np.arange(frames) for frames in count]),
        np.repeat(np.arange(len(people)), count),
        np.zeros(sum(count), dtype=np.int64),
        **{"skeleton": "coco17", "clip_names": ["clip"], **more},
    )


def measured(
    *people: np.ndarray, length: int = 8, fps: float | None = None, **more: Any
) -> dict[str, np.ndarray]:
    windows = PoseWindows(tracks_of(*people, **more), length)
    rate = None if fps is None else np.full(len(windows), fps)
    return measure(windows, SHAPE, rate)


def moving(path: np.ndarray, **moved: Any) -> np.ndarray:
    """A person whose feet are at the places of a path [T, 2]."""
    return person(len(path), **moved) + path[:, None]


def test_a_walk_to_the_right_at_constant_speed():
    path = np.stack([6.0 * np.arange(10), np.zeros(10)], 1)
    found = measured(moving(path), fps=25.0)
    assert list(found) == list(UNITS)
    speed = 6 * 25 / HEIGHT
    np.testing.assert_allclose(found["speed"], speed)
    np.testing.assert_allclose(found["across"], speed)
    # The shoulders face the camera.
    np.testing.assert_allclose(found["sideways"], speed)
    for name in ("acceleration", "approach", "turn", "arms_up", "knee_bend", "stride_range"):
        np.testing.assert_allclose(found[name], 0, atol=1e-4)
    np.testing.assert_allclose(found["posture"], 1, rtol=1e-6)
    assert np.isnan(found["distance"]).all()


def test_without_a_frame_rate_times_are_in_frames():
    path = np.stack([-3.0 * np.arange(8), np.zeros(8)], 1)
    found = measured(moving(path))
    np.testing.assert_allclose(found["speed"], 3 / HEIGHT)
    np.testing.assert_allclose(found["across"], -3 / HEIGHT)
    np.testing.assert_allclose(found["dwell"], 7)


def test_a_walker_who_accelerates():
    # 0.5 a t^2 with a = 1.5 pixels a frame squared.
    path = np.stack([0.75 * np.arange(12.0) ** 2, np.zeros(12)], 1)
    found = measured(moving(path), length=12, fps=10.0)
    np.testing.assert_allclose(found["acceleration"], 1.5 * 100 / HEIGHT)


def test_a_walker_who_turns_round_and_one_who_rests_before():
    there = np.arange(0, 80, 10.0)
    back = there[::-1]
    found = measured(moving(np.stack([np.append(there, back), np.zeros(16)], 1)), length=16)
    np.testing.assert_allclose(found["turn"], 180)
    # The window begins in a rest of 12 frames; the last movement before it counts.
    path = np.concatenate([there, np.full(12, there[-1]), back])
    right_angle = np.stack([path, np.where(np.arange(28) < 20, 0, 1) * (path[-8] - path)], 1)
    found = measured(moving(right_angle), length=16)
    np.testing.assert_allclose(found["turn"][12], 135, atol=1e-4)
    # People who stand have no direction.
    assert np.isnan(measured(person(8))["turn"]).all()


def test_growth_is_an_approach():
    scale = np.exp(0.01 * np.arange(8))[:, None, None]
    found = measured(person(8) * scale, fps=20.0)
    # The logarithm of the mean over two frames of each quarter.
    np.testing.assert_allclose(found["approach"], 0.01 * 20, rtol=1e-4)


def test_a_profile_does_not_move_sideways():
    path = np.stack([3.0 * np.arange(8), np.zeros(8)], 1)
    thin = moving(path)
    middle = thin[:, [JOINTS["left_shoulder"], JOINTS["right_shoulder"]]].mean(1)
    for name in ("left_shoulder", "right_shoulder"):
        thin[:, JOINTS[name]] = middle
    np.testing.assert_allclose(measured(thin)["sideways"], 0, atol=1e-6)


def test_somebody_who_lies_has_a_low_posture():
    lying = person(8)[..., ::-1] * (1, -1)
    found = measured(lying)
    # The nose is as high as the middle of the ankles, 10 pixels above the lower one.
    np.testing.assert_allclose(found["posture"], 10 / HEIGHT, rtol=1e-5)
    # An arm beyond the head is not up.
    far = lying.copy()
    far[:, JOINTS["left_wrist"]] = (-200, -1)
    np.testing.assert_array_equal(measured(far)["arms_up"], 1)
    far[:, JOINTS["left_wrist"]] = (-200, 1)
    np.testing.assert_array_equal(measured(far)["arms_up"], 0)


def test_a_wrist_above_the_head_counts_in_its_frames():
    height = np.where(np.arange(8) < 3, -160, -70)
    poses = person(8, left_wrist=np.stack([np.full(8, -15), height], 1))
    np.testing.assert_allclose(measured(poses)["arms_up"], 3 / 8)


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_knees_bend_by_an_angle(angle):
    turn = np.radians(angle)
    places = {
        f"{side}_ankle": (x + 40 * np.sin(turn), -40 + 40 * np.cos(turn))
        for side, x in (("left", -10), ("right", 10))
    }
    np.testing.assert_allclose(measured(person(8, **places))["knee_bend"], angle, atol=0.05)


def test_ranges_of_angles_and_strides():
    bend = np.radians(np.arange(10) * 10.0)
    forearm = np.stack([15 + 30 * np.sin(bend), -100 + 30 * np.cos(bend)], 1)
    ankle = np.stack([10 + 3.0 * np.arange(10), np.zeros(10)], 1)
    found = measured(person(10, right_wrist=forearm, right_ankle=ankle), length=10)
    # From the second to the last of ten values; the other arm rests.
    np.testing.assert_allclose(found["elbow_range"], 80, atol=0.01)
    # The stretched shank makes the body longer: the height is that of the eighth frame.
    height = HEIGHT - 40 + np.hypot(7 * 3, 40)
    np.testing.assert_allclose(found["stride_range"], 8 * 3 / height, rtol=1e-6)


def test_hidden_legs_leave_the_height_and_blank_the_legs():
    confidence = np.ones((8, 17))
    confidence[:, [JOINTS[f"{side}_ankle"] for side in ("left", "right")]] = 0
    path = np.stack([3.0 * np.arange(8), np.zeros(8)], 1)
    found = measured(moving(path), confidence=confidence)
    np.testing.assert_allclose(found["speed"], 3 / HEIGHT, rtol=1e-6)
    for name in ("posture", "knee_bend", "knee_range", "stride_range"):
        assert np.isnan(found[name]).all()


def test_a_hidden_torso_gives_an_interpolated_height():
    scale = np.linspace(1, 2, 9)
    poses = person(9) * scale[:, None, None]
    confidence = np.ones((9, 17))
    confidence[[2, 3, 8], JOINTS["left_hip"]] = 0
    table = fill(tracks_of(poses, confidence=confidence))
    height = BodyFrames.of(table, SHAPE).height
    np.testing.assert_allclose(height, HEIGHT * np.minimum(scale, scale[7]), rtol=1e-6)
    confidence[:, JOINTS["left_hip"]] = 0
    never = BodyFrames.of(fill(tracks_of(poses, confidence=confidence)), SHAPE)
    assert np.isnan(never.height).all()


@pytest.mark.parametrize(("hidden", "known"), [(4, True), (5, False)])
def test_half_of_the_frames_must_show_a_joint(hidden, known):
    confidence = np.ones((8, 17))
    confidence[:hidden, JOINTS["nose"]] = 0
    found = measured(person(8), confidence=confidence)
    assert np.isfinite(found["posture"]).all() == known


def test_padded_windows_have_no_measures():
    windows = PoseWindows(tracks_of(person(5)), 8)
    assert windows.padded.all()
    assert all(np.isnan(value).all() for value in measure(windows, SHAPE).values())


def test_boxes_have_places_but_no_limbs():
    box = np.array([[0, -50], [-20, -100], [20, -100], [-20, 0], [20, 0]], dtype=float)
    path = np.stack([4.0 * np.arange(8), np.zeros(8)], 1)
    windows = PoseWindows(tracks_of(box + path[:, None], skeleton="box5"), 8)
    shape = BodyShape.of(windows.table)
    np.testing.assert_allclose(shape.share, [0, 1, 0, 0])
    found = measure(windows, shape)
    np.testing.assert_allclose(found["speed"], 4 / 100)
    known = {name for name, value in found.items() if np.isfinite(value).any()}
    assert known == {"speed", "acceleration", "across", "approach", "turn", "dwell"}


def test_the_shape_of_people_is_measured():
    shape = BodyShape.of(fill(tracks_of(person(20))))
    np.testing.assert_allclose(shape.share, SHAPE.share, rtol=1e-6)
    np.testing.assert_array_equal(shape.up, [0, -1])
    assert shape.width == pytest.approx(SHAPE.width)
    again = BodyShape.from_state_dict(shape.state_dict())
    np.testing.assert_array_equal(again.share, shape.share)
    assert again.width == shape.width


def test_in_3d_the_torso_shows_what_is_up():
    flat = person(12) * 0.01
    # The height is the second axis, upwards; the person walks away from the camera.
    solid = np.stack([flat[..., 0], -flat[..., 1], np.zeros(flat.shape[:2])], -1)
    solid[..., 2] += 0.03 * np.arange(12)[:, None]
    windows = PoseWindows(tracks_of(solid), 8)
    shape = BodyShape.of(windows.table)
    np.testing.assert_allclose(shape.up, [0, 1, 0], atol=1e-12)
    found = measure(windows, shape, np.full(len(windows), 10.0))
    np.testing.assert_allclose(found["speed"], 0.3 / 1.5, rtol=1e-5)
    np.testing.assert_allclose(found["posture"], 1, rtol=1e-5)
    np.testing.assert_allclose(found["sideways"], 0, atol=1e-6)
    assert np.isnan(found["across"]).all() and np.isnan(found["approach"]).all()


def test_distances_are_those_of_loops():
    rng = np.random.default_rng(0)
    people = [person(6) * scale + rng.uniform(0, 400, 2) for scale in (1, 1, 0.9, 0.5)]
    table = fill(tracks_of(*people))
    frames = BodyFrames.of(table, SHAPE)
    for row in range(24):
        others = [
            float(np.linalg.norm(frames.centre[row] - frames.centre[other]))
            for other in range(24)
            if table.frame[other] == table.frame[row]
            and table.track[other] != table.track[row]
            # Somebody of half the height is far behind.
            and (table.track[other] < 3) == (table.track[row] < 3)
        ]
        expected = min(others) if others else np.nan
        np.testing.assert_allclose(frames.distance[row], expected)


def test_two_people_stay_beside_each_other_and_one_passes():
    beside = measured(person(10), person(10) + (30, 0), length=10)
    np.testing.assert_allclose(beside["distance"], 30 / HEIGHT, rtol=1e-6)
    path = np.stack([100 * np.arange(10.0) - 450, np.zeros(10)], 1)
    passing = measured(person(10), moving(path), length=10)
    # The largest but one of ten distances, 350 and 450 on both sides.
    np.testing.assert_allclose(passing["distance"], 450 / HEIGHT, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 70), st.sampled_from([0.5, 2.0, 8.0]))
def test_stays_are_those_of_loops(seed, frames, reach):
    rng = np.random.default_rng(seed)
    walks = [np.cumsum(rng.normal(size=(frames, 2)), 0) for _ in range(2)]
    keep = rng.uniform(size=2 * frames) < 0.9
    keep[[0, frames]] = True
    tracks = tracks_of(*(np.repeat(walk[:, None], 17, 1) for walk in walks)).rows(keep)
    table = fill(tracks)
    centre = table.keypoints.astype(np.float64).mean(1)
    row = np.arange(len(centre))
    found = stay(table, centre, row, np.full(len(row), reach))
    for last in row:
        first = last
        while (
            first > 0
            and table.track[first - 1] == table.track[last]
            and (np.abs(centre[first - 1] - centre[last]) <= reach).all()
        ):
            first -= 1
        assert found[last] == table.frame[last] - table.frame[first]


def test_dwell_looks_back_to_the_last_gap_in_seconds():
    # 20 frames in one place, with a gap that splits the track, after a walk.
    path = np.concatenate([np.arange(-400, 0, 40.0), np.zeros(20)])
    poses = moving(np.stack([path, np.zeros(30)], 1))
    tracks = tracks_of(poses).rows(~np.isin(np.arange(30), range(14, 19)))
    windows = PoseWindows(tracks, 8)
    found = measure(windows, SHAPE, np.full(len(windows), 10.0))
    assert windows.frame[-1] == 22
    # From frame 19, the first one after the gap, to frame 29.
    np.testing.assert_allclose(found["dwell"][-1], (29 - 19) / 10)
