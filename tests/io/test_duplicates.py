"""Copies of bodies: against a plain comparison of all pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.io._common.duplicates import better_of_one_pose
from gepc_geo.poses.tracker import pose_similarity


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(0, 25), st.sampled_from([2, 3]))
def test_the_poses_kept_equal_those_of_a_plain_loop(seed, count, dims):
    rng = np.random.default_rng(seed)
    bodies = rng.uniform(0, 100, (3, 6, dims)).round(1)
    keypoints = bodies[rng.integers(0, 3, count)] + rng.choice([0.0, 0.5, 30.0], (count, 1, 1))
    confidence = rng.choice([0.0, 0.6, 0.9], (count, 6), p=[0.1, 0.45, 0.45])
    frame = rng.integers(0, 4, count)
    unnamed = rng.random(count) < 0.5
    track = np.where(unnamed, 0, rng.integers(0, 5, count))
    better = confidence.mean(1)
    stay = better_of_one_pose(keypoints, confidence, frame, track, unnamed, better)
    seen = confidence > 0
    alike = pose_similarity(keypoints, seen, keypoints, seen)

    def is_copy(a, b):
        if frame[a] != frame[b] or not seen[a].any():
            return False
        same = (seen[a] == seen[b]).all() and (keypoints[a][seen[a]] == keypoints[b][seen[b]]).all()
        shared = (seen[a] & seen[b]).sum() >= 0.5 * min(seen[a].sum(), seen[b].sum())
        near = dims == 2 and (unnamed[a] or unnamed[b]) and shared and alike[a, b] >= 0.96
        return bool(same or near)

    length = [
        0 if unnamed[i] else int(((track == track[i]) & ~unnamed).sum()) for i in range(count)
    ]
    order = sorted(range(count), key=lambda i: (-length[i], -better[i], i))
    kept: list[int] = []
    for i in order:
        if not any(is_copy(j, i) for j in kept):
            kept.append(i)
    # Nobody who stays is a copy of another, and whoever goes is one of somebody who was there.
    assert not any(is_copy(a, b) for a in stay for b in stay if a < b)
    assert all(
        any(is_copy(a, b) for b in range(count) if b != a) for a in set(range(count)) - {*stay}
    )
    if dims == 3:
        assert sorted(kept) == stay.tolist()
