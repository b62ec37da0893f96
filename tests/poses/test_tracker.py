"""The tracker: simulated people against their true ids, gaps, crossings; and IDF1 by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.datasets import simulate
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.poses.tracker import idf1, pose_similarity, track_poses

# A stick figure of 5 joints, 200 pixels tall: head, hips, feet, hands.
FIGURE = np.array([[0, -100], [0, 0], [-20, 100], [20, 100], [35, -10]], dtype=float)


def walk(paths, frames, noise=0.0, lost=0.0, seed=0):
    """Figures with centres on ``paths`` (functions of the frame), in shuffled order."""
    rng = np.random.default_rng(seed)
    keypoints, frame, person = [], [], []
    for number, path in enumerate(paths):
        for t in range(frames):
            swing = (
                12 * np.sin(t / 3 + number) * np.array([[0, 0], [0, 0], [1, 0], [-1, 0], [1, 0]])
            )
            keypoints.append(FIGURE + path(t) + swing)
            frame.append(t)
            person.append(number)
    keypoints = np.array(keypoints) + rng.normal(0, noise, (len(frame), 5, 2))
    keep = rng.permutation(len(frame))[: round(len(frame) * (1 - lost))]
    confidence = (rng.random((len(frame), 5)) > 0.1).astype(float)
    confidence[:, 1] = 1
    return keypoints[keep], confidence[keep], np.array(frame)[keep], np.array(person)[keep]


def straight(x, y, dx, dy):
    return lambda t: np.array([x + dx * t, y + dy * t])


CROSSINGS = {
    "head on": [straight(0, 300, 6, 0), straight(480, 310, -6, 0)],
    "overtaking": [straight(0, 300, 8, 0), straight(120, 310, 4, 0)],
    "four through one place": [
        straight(0, 300, 6, 0),
        straight(480, 305, -6, 0),
        straight(240, 60, 0, 6),
        straight(250, 540, 0, -6),
    ],
    "a row of people met by a row": [
        *(straight(-90 * i, 300, 6, 0) for i in range(4)),
        *(straight(480 + 90 * i, 320, -6, 0) for i in range(4)),
    ],
}


@pytest.mark.parametrize("name", CROSSINGS)
def test_people_who_cross_keep_their_ids(name, record_property):
    """With key point noise, a joint in ten and a pose in twenty not found."""
    keypoints, confidence, frame, person = walk(CROSSINGS[name], 80, noise=3, lost=0.05)
    found = track_poses(keypoints, confidence, frame)
    score = idf1(person, found)
    told = f"IDF1 {score:.3f}: {name}, {len(frame)} poses of {len(CROSSINGS[name])} people"
    record_property("measured", told)
    assert score >= 0.97


def test_a_crowd_keeps_its_ids(monkeypatch, record_property):
    """Gaps, missing joints and passers-by of the demo's crowd, also at a lower frame rate."""
    observe = simulate.observe
    # The crowd's trackers switch ids on purpose; these have the true ones.
    monkeypatch.setattr(simulate, "observe", lambda *args: observe(*args[:4], args[3]))
    crowd = simulate_crowd("test", num_clips=6, frames_per_clip=150, random_state=3)
    for step, least in ((1, 0.99), (2, 0.99), (4, 0.97)):
        scores, total = [], 0
        for clip in range(crowd.num_clips):
            rows = (crowd.clip == clip) & (crowd.frame % step == 0)
            found = track_poses(
                crowd.keypoints[rows], crowd.confidence[rows], crowd.frame[rows] // step
            )
            scores.append(idf1(crowd.track[rows], found) * rows.sum())
            total += rows.sum()
        score = sum(scores) / total
        told = f"IDF1 {score:.3f}: {total} poses of a crowd, every {step}. frame"
        record_property("measured", told)
        assert score >= least


def test_nobody_is_twice_in_a_frame():
    keypoints, confidence, frame, _ = walk(CROSSINGS["head on"], 60, noise=30, lost=0.2)
    found = track_poses(keypoints, confidence, frame)
    assert len(set(zip(frame, found, strict=True))) == len(frame)


@pytest.mark.parametrize(("gap", "people"), [(1, 1), (15, 1), (16, 2), (40, 2)])
def test_people_keep_their_ids_over_short_gaps_only(gap, people):
    keypoints, confidence, frame, _ = walk([straight(0, 0, 5, 0)], 100)
    keep = (frame < 30) | (frame >= 30 + gap)
    found = track_poses(keypoints[keep], confidence[keep], frame[keep], max_gap=15)
    assert len(np.unique(found)) == people


def test_people_far_apart_get_different_ids():
    keypoints, confidence, frame, _ = walk([straight(0, 0, 0, 0)], 2)
    keypoints[frame == 1] += 500
    assert len(np.unique(track_poses(keypoints, confidence, frame))) == 2
    # The ids count from 0 in the order of the frames, whatever the order of the rows.
    assert track_poses(keypoints, confidence, frame).tolist() == frame.tolist()


def test_no_poses_and_poses_without_joints_are_handled():
    none = track_poses(np.zeros((0, 5, 2)), np.zeros((0, 5)), np.zeros(0, dtype=int))
    assert none.shape == (0,) and none.dtype == np.int64
    hidden = track_poses(np.zeros((2, 5, 2)), np.zeros((2, 5)), np.array([0, 1]))
    assert hidden.tolist() == [0, 1]


def test_similarity_equals_a_hand_worked_value():
    one = np.array([[[0.0, 0.0], [30.0, 40.0]]])
    other = one + [3.0, 4.0]
    seen = np.ones((1, 2), dtype=bool)
    # Extents 30 and 40: size² 1250; every joint 5 away.
    expected = np.exp(-25 / (2 * 0.04 * 1250))
    np.testing.assert_allclose(pose_similarity(one, seen, other, seen), [[expected]])
    half = np.array([[True, False]])
    np.testing.assert_allclose(pose_similarity(one, half, other, seen), [[expected]])
    assert pose_similarity(one, half, other, ~half) == 0


def test_idf1_equals_a_hand_worked_value():
    assert idf1([1, 1, 2, 2], [7, 7, 5, 5]) == 1
    # One person in two pieces: the longer piece counts.
    assert idf1([1, 1, 1, 1], [0, 0, 0, 4]) == 0.75
    # Two persons under one id: one of them counts.
    assert idf1([1, 1, 2], [0, 0, 0]) == pytest.approx(2 / 3)
    assert idf1([], []) == 1
