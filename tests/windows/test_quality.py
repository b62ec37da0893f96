"""Tests of gepc_geo.windows.quality."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo import PoseTracks
from gepc_geo.datasets.faults import FAULTS, inject_faults
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.windows import quality as module
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import fill
from gepc_geo.windows.quality import SIGNS, Bodies, PoseQuality, overlaps

LENGTHS = (12, 24)
# A stick of four joints, a pair of arms and a pair of legs, one unit long.
STICK = {
    "name": "stick",
    "joints": ["neck", "hip", "left_hand", "right_hand", "left_foot", "right_foot"],
    "bones": [[0, 1], [0, 2], [0, 3], [1, 4], [1, 5]],
    "center": 1,
    "pairs": [[2, 3], [4, 5]],
}
POSE = np.array([[0, 0], [0, 1], [1, 0], [-1, 0], [0.6, 1.8], [-0.6, 1.8]]) * 10


@pytest.fixture(scope="module")
def crowd() -> PoseTracks:
    return simulate_crowd("train", num_clips=12, frames_per_clip=72, random_state=1)


@pytest.fixture(scope="module")
def judge(crowd) -> PoseQuality:
    return PoseQuality.of(fill(crowd))


def sticks(*people: np.ndarray, confidence: np.ndarray | None = None, **more) -> PoseTracks:
    """People [T, 6, 2] in one clip."""
    from gepc_geo.poses.skeleton import Skeleton

    size = [len(person) for person in people]
    points = np.concatenate(people)
    return PoseTracks.build(
        points,
        np.ones(points.shape[:2]) if confidence is None else confidence,
        np.concatenate([np.arange(count) for count in size]),
        np.repeat(np.arange(len(size)), size),
        np.zeros(len(points), int),
        Skeleton.from_dict(STICK, "stick"),
        ["a"],
        **more,
    )


def signs(tracks: PoseTracks, bones: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """All signs of rows, for people with bones of one length."""
    ones = np.ones(len(tracks.skeleton.bones)) if bones is None else bones
    judge = PoseQuality(ones, np.full(len(SIGNS), np.inf))
    return judge._signs(fill(tracks), None)


def walk(frames: int, step: float = 2.0, start: float = 0.0) -> np.ndarray:
    return POSE + np.stack([start + step * np.arange(frames), np.full(frames, 50.0)], 1)[:, None]


# -- signs by hand ---------------------------------------------------------------------------------


def test_a_jump_is_an_acceleration_in_bone_lengths():
    person = walk(6)
    person[4:] += 30  # three bone lengths to the side and down
    jump = signs(sticks(person))["jump"]
    # Velocities 2, 2, 2, (32, 30), 2: two accelerations of (30, 30), bones are 10 long.
    np.testing.assert_allclose(jump, [0, 0, 0, 0, math.hypot(3, 3), math.hypot(3, 3)], atol=1e-6)
    # A constant speed, however high, is none.
    np.testing.assert_allclose(signs(sticks(walk(6, step=40)))["jump"], 0, atol=1e-5)


def test_a_jump_over_a_gap_is_spread_over_its_frames():
    person = walk(8)
    person[5:] += [30, 0]
    tracks = sticks(person)
    jump = signs(tracks.rows(~np.isin(tracks.frame, (3, 4))))["jump"]
    # From frame 2 to 5: 6 + 30 pixels in three frames, 12 each; 2 before and after.
    np.testing.assert_allclose(jump, [0, 0, 0, 0, 0, 0, 1, 0], atol=1e-6)


def test_bones_are_compared_with_their_typical_lengths():
    person = walk(3)
    person[1, 4] = person[1, 1] + [0, 50]  # a leg of five bone lengths
    np.testing.assert_allclose(signs(sticks(person))["bones"], [0, 4, 0], atol=1e-6)
    # Twice the size of all bones, as of a person nearer to the camera, changes nothing.
    np.testing.assert_allclose(signs(sticks(2 * person))["bones"], [0, 4, 0], atol=1e-6)


def test_a_change_of_size_is_the_log_of_the_ratio_of_bones():
    person = walk(4)
    person[2] = 0.5 * (person[2] - person[2].mean(0)) + person[2].mean(0)
    size = signs(sticks(person))["size"]
    np.testing.assert_allclose(size, [0, 0, math.log(2), math.log(2)], atol=1e-6)


def test_exchanged_sides_fit_the_previous_pose_after_an_exchange():
    person = walk(4, step=0)
    person[2] = person[2][[0, 1, 3, 2, 5, 4]]
    swap = signs(sticks(person))["swap"]
    # Hands are 20 apart, feet 12: on average 1.6 bone lengths; noise is 0.05.
    np.testing.assert_allclose(swap, [0, 0.05 / 1.65, 1.65 / 0.05, 1.65 / 0.05], atol=1e-6)


def test_confidence_and_joints_outside_of_the_image_are_odds():
    person, confidence = walk(2, step=0, start=5), np.ones((2, 6))
    confidence[1] = [0.5, 0.5, 0, 0, 1, 1]
    found = signs(sticks(person, confidence=confidence, image_size=[[100, 100]]))
    np.testing.assert_allclose(
        found["confidence"], [(1 / 6) / (7 / 6), (0.5 + 1 / 6) / (0.5 + 1 / 6)], rtol=1e-6
    )
    # The right hand and the right foot are left of the image, at x = -5 and -1; then the hand is
    # not seen.
    np.testing.assert_allclose(
        found["outside"], [(2 / 6 + 1 / 6) / (4 / 6 + 1 / 6), (2 / 6) / (5 / 6 + 1 / 6)], rtol=1e-6
    )
    assert (signs(sticks(person))["outside"] == (1 / 6) / (7 / 6)).all()


def test_overlap_is_of_the_person_found_later():
    first, second = walk(6), walk(6) + 1
    overlap = signs(sticks(first, second[2:]))["overlap"]
    # The second person's frames count from 0, so both are found in frame 0: the larger id.
    np.testing.assert_allclose(overlap[:6], 0)
    tracks = sticks(first, second)
    later = tracks.rows(~((tracks.track == 0) & (tracks.frame < 2)))
    overlap = signs(later)["overlap"]
    # Now person 0 comes two frames later; the shapes are equal, the shift is (1, 1), and bones are
    # 10 long.
    np.testing.assert_allclose(overlap, [40 / math.sqrt(2)] * 4 + [0] * 6, rtol=1e-5)


def test_people_apart_do_not_overlap():
    assert not signs(sticks(walk(4), walk(4, start=60)))["overlap"].any()


def test_of_people_found_at_once_the_less_confident_overlaps():
    confidence = np.ones((8, 6))
    confidence[:4] = 0.7
    overlap = signs(sticks(walk(4), walk(4) + 2, confidence=confidence))["overlap"]
    assert (overlap[:4] > 1).all() and not overlap[4:].any()


# -- a plain loop ----------------------------------------------------------------------------------


def plain_overlaps(table, body) -> np.ndarray:
    found = np.zeros(len(body.real))
    for row in np.flatnonzero(body.real):
        for other in np.flatnonzero(body.real):
            if row == other or (table.clip[row], table.frame[row]) != (
                table.clip[other],
                table.frame[other],
            ):
                continue
            keys = [
                (body.start[at], -table.confidence[at].mean(), table.track[at])
                for at in (row, other)
            ]
            scale = min(body.scale[row], body.scale[other])
            far = np.linalg.norm(body.centre[row] - body.centre[other]) >= 2 * scale
            if keys[0] < keys[1] or far:
                continue
            both = (table.confidence[row] > 0) & (table.confidence[other] > 0)
            apart = (table.keypoints[row].astype(float) - table.keypoints[other])[both]
            if len(apart) >= 3:
                offset = np.sort(apart, axis=0)[len(apart) // 2]
                gap = np.sort(np.linalg.norm(apart - offset, axis=1))[len(apart) // 2]
                distance = max(gap, 0.25 * np.linalg.norm(offset), 1e-6 * scale)
                found[row] = max(found[row], scale / distance)
    return found


def test_overlaps_are_those_of_a_plain_loop(crowd):
    faulty, _ = inject_faults(crowd.select(clips=[0, 1, 2, 3]), 3, kinds=["duplicate"])
    table = fill(faulty)
    body = Bodies.of(table, np.ones(len(faulty.skeleton.bones)))
    found = overlaps(table, body)
    np.testing.assert_allclose(found, plain_overlaps(table, body), rtol=1e-5)
    assert (found > 4).sum() > 10


def test_blocks_do_not_change_signs(crowd, judge, monkeypatch):
    table = fill(crowd)
    whole = judge._signs(table, None)
    monkeypatch.setattr(module, "_BLOCK", 100)
    parts = judge._signs(table, None)
    for name in SIGNS:
        np.testing.assert_array_equal(parts[name], whole[name], err_msg=name)


def test_a_window_has_its_worst_sign(crowd, judge):
    """Signs of steps count from the second and third row of a window on."""
    faulty, _ = inject_faults(crowd, 8)
    windows = PoseWindows(faulty, LENGTHS, 3)
    table, rows = windows.table, judge._signs(windows.table, None)
    found = judge.windows(windows)
    for at in range(len(windows)):
        first = max(windows.first[at], windows.low[at])
        end = min(windows.first[at] + windows.size[at] - 1, windows.high[at]) + 1
        values = [
            max(rows[name][first + {"size": 1, "jump": 2, "swap": 1}.get(name, 0) : end], default=0)
            for name in SIGNS
        ]
        expected = min(
            1,
            *(
                limit / value if value else 1
                for limit, value in zip(judge.limits, values, strict=True)
            ),
        )
        assert found.value[at] == pytest.approx(expected)
    assert 0 < found.fault.sum() < len(windows) / 2
    assert (found.sign[found.fault] >= 0).all() and (found.sign[~found.fault] == -1).all()
    assert len(table.frame) == len(judge.person_frames(table).value)


# -- properties ------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    scale=st.floats(0.2, 5),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_quality_does_not_depend_on_place_and_size(scale, x, y, crowd_and_faults):
    tracks, judge = crowd_and_faults
    moved = tracks.with_(keypoints=scale * tracks.keypoints + np.float32([x, y]), image_size=None)
    found, expected = (
        judge.person_frames(fill(one)) for one in (moved, tracks.with_(image_size=None))
    )
    np.testing.assert_allclose(found.value, expected.value, rtol=2e-3)


@pytest.fixture(scope="module")
def crowd_and_faults(crowd, judge):
    return inject_faults(crowd.select(clips=[0, 1, 2]), 4)[0], judge


def test_faults_of_every_kind_are_found_and_sound_windows_are_not(judge):
    """Another crowd than that of training, at limits of the crowd of training."""
    normal = simulate_crowd("train", num_clips=16, frames_per_clip=120, random_state=7)
    assert judge.windows(PoseWindows(normal, LENGTHS)).fault.mean() < 0.005
    for kind in FAULTS:
        faulty, faults = inject_faults(normal, 8, kinds=[kind])
        windows = PoseWindows(faulty, LENGTHS)
        found = judge.windows(windows).fault
        marked = []
        for fault in faults:
            of_person = (windows.clip == fault.clip) & (windows.track == fault.track)
            with_it = (windows.frame <= fault.first) & (
                windows.frame + windows.size > min(fault.last, fault.first + 1)
            )
            if (of_person & with_it).any():
                marked.append(found[of_person & with_it].mean())
        # Legs of a person nearby are hardly stretched; from the side, both sides look alike.
        least = {"swap": 0.6, "stretch": 0.7}.get(kind, 0.8)
        assert np.mean(marked) > least, kind


def test_training_without_a_sign_sets_no_limit():
    still = sticks(walk(20, step=0))
    limits = dict(zip(SIGNS, PoseQuality.of(fill(still)).limits, strict=True))
    # Nobody moves, and nobody else is there.
    assert limits["jump"] == limits["overlap"] == np.inf
    assert limits["swap"] == 1.0
    assert limits["confidence"] == pytest.approx(10 / 7)
    assert PoseQuality.of(fill(still)).person_frames(fill(still)).value.min() == 1


def test_limits_hardly_depend_on_a_few_faults_in_training(crowd, judge):
    faulty, _ = inject_faults(crowd, 12)
    limits = PoseQuality.of(fill(faulty)).limits
    np.testing.assert_allclose(limits, judge.limits, rtol=0.1)


def test_the_state_is_restored(judge, crowd):
    again = PoseQuality.from_state_dict(judge.state_dict())
    windows = PoseWindows(crowd, LENGTHS)
    np.testing.assert_array_equal(again.windows(windows).value, judge.windows(windows).value)


def test_no_windows_have_no_quality(judge, crowd):
    windows = PoseWindows(crowd, LENGTHS)
    assert len(judge.windows(windows.subset([])).value) == 0
    nobody = crowd.rows(np.zeros(crowd.num_frames, dtype=bool))
    assert len(judge.windows(PoseWindows(nobody, LENGTHS)).fault) == 0


def test_3d_poses_have_a_quality(crowd):
    depth = np.zeros((*crowd.keypoints.shape[:2], 1), np.float32)
    solid = crowd.with_(keypoints=np.concatenate([crowd.keypoints, depth], 2))
    judge = PoseQuality.of(fill(solid))
    assert judge.person_frames(fill(solid)).fault.mean() < 0.01


def test_counts_name_the_signs():
    value = np.array([0.5, 1, 0.2, 0.4])
    sign = np.array([SIGNS.index("jump"), -1, SIGNS.index("jump"), SIGNS.index("overlap")])
    assert module.Quality(value, sign).counts == "jump 2, overlap 1"
