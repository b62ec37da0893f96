"""Tests of gepc_geo.datasets.faults."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.datasets.faults import inject_faults
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.errors import InputError

CROWD = simulate_crowd("train", num_clips=8, frames_per_clip=96, random_state=2)


def rows_of(tracks, fault, track=None):
    place = (tracks.clip == fault.clip) & (tracks.frame >= fault.first)
    return place & (tracks.frame <= fault.last) & (tracks.track == (track or fault.track))


def test_kinds_alternate_and_each_person_has_one_fault():
    tracks, faults = inject_faults(CROWD, 10)
    kinds = ["switch", "switch", "duplicate", "stretch", "swap"]
    assert [fault.kind for fault in faults] == [*kinds, *kinds, "switch", "switch", "duplicate"]
    people = [(fault.clip, fault.track) for fault in faults if fault.kind != "duplicate"]
    assert len(people) == len(set(people))
    added = sum(fault.last - fault.first + 1 for fault in faults if fault.kind == "duplicate")
    assert CROWD.num_frames < tracks.num_frames <= CROWD.num_frames + added
    assert tracks.clip_names == CROWD.clip_names and tracks.frame_labels is None


def test_the_same_seed_gives_the_same_faults():
    first, second, other = (inject_faults(CROWD, 6, random_state=seed) for seed in (1, 1, 2))
    assert first[1] == second[1] != other[1]
    np.testing.assert_array_equal(first[0].keypoints, second[0].keypoints)


def test_switched_people_exchange_their_ids():
    tracks, (fault, partner) = inject_faults(CROWD, 1, kinds=["switch"])
    assert (fault.clip, fault.first, fault.last) == (partner.clip, partner.first, partner.last)
    # Poses stay where they are, with other ids from the last frame of the fault on.
    order = [np.lexsort((one.keypoints[:, 0, 0], one.frame, one.clip)) for one in (CROWD, tracks)]
    before, after = CROWD.rows(np.sort(order[0])), tracks.rows(np.sort(order[1]))
    assert before.num_frames == after.num_frames
    was, now = CROWD.track[order[0]], tracks.track[order[1]]
    np.testing.assert_array_equal(CROWD.keypoints[order[0]], tracks.keypoints[order[1]])
    changed = was != now
    frame, clip = CROWD.frame[order[0]], CROWD.clip[order[0]]
    assert changed.any() and (frame[changed] >= fault.last).all()
    assert set(clip[changed]) == {fault.clip}
    pairs = set(zip(was[changed].tolist(), now[changed].tolist(), strict=True))
    (a, b), *_ = pairs
    assert pairs == {(a, b), (b, a)} and {fault.track, partner.track} == {a, b}
    assert fault.last - fault.first == 1


def test_a_duplicate_has_the_shifted_upper_body_of_a_person_and_folded_legs():
    tracks, (fault,) = inject_faults(CROWD, 1, kinds=["duplicate"])
    copy = tracks.rows(rows_of(tracks, fault))
    assert copy.num_frames >= 1 and fault.track not in CROWD.track
    joints = CROWD.skeleton.joints
    for at in range(copy.num_frames):
        same = (CROWD.clip == fault.clip) & (CROWD.frame == copy.frame[at])
        upper = [
            joints.index(f"{side}_{part}")
            for side in ("left", "right")
            for part in ("shoulder", "hip")
        ]
        distance = np.abs(CROWD.keypoints[same][:, upper] - copy.keypoints[at, upper]).max((1, 2))
        own = CROWD.keypoints[same][distance.argmin()]
        height = np.ptp(own[:, 1])
        assert distance.min() < 0.25 * max(height, 40)
        hip, knee, ankle = (joints.index(f"left_{part}") for part in ("hip", "knee", "ankle"))
        leg = np.linalg.norm(own[hip] - own[knee]) + np.linalg.norm(own[knee] - own[ankle])
        pose = copy.keypoints[at]
        assert np.linalg.norm(pose[hip] - pose[ankle]) < 0.5 * leg


def test_stretched_legs_are_those_of_another_person():
    tracks, (fault,) = inject_faults(CROWD, 1, kinds=["stretch"])
    own = rows_of(tracks, fault)
    leg = CROWD.skeleton.joints.index("left_ankle")
    for row in np.flatnonzero(own):
        same = (CROWD.clip == fault.clip) & (CROWD.frame == tracks.frame[row])
        other = same & (CROWD.track != fault.track)
        assert (CROWD.keypoints[other, leg] == tracks.keypoints[row, leg]).all(1).any()
    unchanged = ~own
    np.testing.assert_array_equal(tracks.keypoints[unchanged], CROWD.keypoints[unchanged])


def test_swapped_sides_are_exchanged_pairs():
    tracks, (fault,) = inject_faults(CROWD, 1, kinds=["swap"])
    own = rows_of(tracks, fault)
    left, right = CROWD.skeleton.pairs[0]
    np.testing.assert_array_equal(tracks.keypoints[own, left], CROWD.keypoints[own, right])
    np.testing.assert_array_equal(tracks.confidence[own, right], CROWD.confidence[own, left])
    np.testing.assert_array_equal(tracks.keypoints[~own], CROWD.keypoints[~own])


def test_unusable_input_is_refused():
    with pytest.raises(
        InputError, match="^kind must be switch or duplicate or stretch or swap, got 'blink'$"
    ):
        inject_faults(CROWD, 1, kinds=["blink"])
    with pytest.raises(InputError, match="^poses must have more people for this many faults, got "):
        inject_faults(CROWD.select(clips=[0]), 99)
    flat = CROWD.with_(
        keypoints=CROWD.keypoints[:, :5], confidence=CROWD.confidence[:, :5], skeleton="box5"
    )
    with pytest.raises(
        InputError,
        match="^poses must be 2D with knees and ankles for faults, got 2D poses of skeleton 'box5'",
    ):
        inject_faults(flat, 1)
