"""Signs of wrong poses: each fault in correct poses is found, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.poses.diagnostics import find_faults, wrong_order
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks


def reordered(tracks: PoseTracks, *pairs: tuple[str, str]) -> PoseTracks:
    """The joints of each pair in each other's place."""
    order = np.arange(tracks.num_joints)
    for pair in pairs:
        a, b = (tracks.skeleton.joints.index(name) for name in pair)
        order[[a, b]] = order[[b, a]]
    return tracks.with_(
        keypoints=tracks.keypoints[:, order], confidence=tracks.confidence[:, order]
    )


def test_good_poses_have_no_faults(walkers, actions):
    assert find_faults(walkers) == []
    assert find_faults(actions) == []
    nobody = walkers.rows(np.zeros(0, dtype=np.int64))
    assert find_faults(nobody) == []


def test_people_who_do_not_stand_along_y_are_a_fault(walkers):
    """Tools differ in the vertical axis; rotation about another axis turns people upside down."""
    flat = walkers.keypoints.astype(np.float64) / 100
    depth = np.zeros_like(flat[..., :1])
    upright = walkers.with_(keypoints=np.concatenate([flat, depth], axis=2), image_size=None)
    assert find_faults(upright) == []
    lying = upright.with_(keypoints=upright.keypoints[..., [0, 2, 1]])
    (fault,) = find_faults(lying)
    assert fault.startswith("people must stand along y, got z in 100% of the poses")


def test_swapped_hips_are_a_fault(walkers):
    (fault,) = find_faults(reordered(walkers, ("left_hip", "right_hip")))
    assert fault.startswith(
        "left_hip and right_hip must be in the same order as the shoulders, got"
    )
    share = int(fault.split("up to ")[1].split("%")[0])
    assert share > 90


def test_joints_in_the_order_of_another_skeleton_are_a_fault(walkers):
    """17 joints as Human3.6M orders them (hips first), taken for COCO's."""
    order = [11, 12, 14, 16, 11, 13, 15, 5, 6, 0, 0, 5, 7, 9, 6, 8, 10]
    wrong = walkers.with_(
        keypoints=walkers.keypoints[:, order], confidence=walkers.confidence[:, order]
    )
    assert any("order as the shoulders" in fault for fault in find_faults(wrong))


def test_joints_in_random_order_are_surely_wrong(walkers):
    """Of 20 random orders, 18 or more are found; the right order and one crossed pair are not."""
    assert wrong_order(walkers) == ""
    assert wrong_order(reordered(walkers, ("left_hip", "right_hip"))) == ""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        order = rng.permutation(walkers.num_joints)
        wrong = walkers.with_(
            keypoints=walkers.keypoints[:, order], confidence=walkers.confidence[:, order]
        )
        found += bool(wrong_order(wrong))
    assert found >= 18


def test_bones_of_joints_in_another_order_are_long(walkers):
    """The ratio of means of one pose, by loops."""
    order = np.random.default_rng(3).permutation(walkers.num_joints)
    one = walkers.rows(np.arange(walkers.num_frames) < 20)
    pose = one.keypoints[:1, order].astype(np.float64)
    one = one.with_(keypoints=np.repeat(pose, 20, 0), confidence=np.ones((20, 17)), image_size=None)
    points = one.keypoints[0]
    bones = [np.hypot(*(points[a] - points[b])) for a, b in one.skeleton.bones]
    pairs = [np.hypot(*(points[a] - points[b])) for a in range(17) for b in range(a)]
    ratio = np.mean(bones) / np.mean(pairs)
    assert ratio > 0.75
    assert wrong_order(one).startswith(
        f"bones {ratio:.2f} times as long as the distance of any two joints"
    )
    assert any(
        fault.startswith(f"bones must connect neighbouring joints, got bones {ratio:.2f} times")
        for fault in find_faults(one)
    )


def test_two_crossed_pairs_are_surely_wrong(walkers):
    crossed = reordered(walkers, ("left_hip", "right_hip"), ("left_knee", "right_knee"))
    found = wrong_order(crossed)
    assert found.startswith("left_hip and right_hip; left_knee and right_knee in the opposite")
    assert wrong_order(walkers.rows(np.zeros(0, dtype=np.int64))) == ""


def faces(mirrored: bool, confidence: float = 0.9) -> PoseTracks:
    """40 people who look at the camera, 100 pixels tall."""
    skeleton = SKELETONS["coco17"]
    pose = np.zeros((17, 2))
    for v, name in enumerate(skeleton.joints):
        x = 12.0 if name.startswith("left") else -12.0 if name.startswith("right") else 0.0
        pose[v] = [x * (0.4 if "eye" in name else 1), 6.0 * v]
    pose[:, 0] *= -1 if mirrored else 1
    keypoints = np.stack([pose + [200 + 2 * t, 100] for t in range(40)])
    trust = np.full((40, 17), confidence)
    return PoseTracks.build(keypoints, trust, np.arange(40), [1] * 40, [0] * 40, skeleton, ["a"])


def test_mirrored_faces_are_a_fault():
    assert find_faults(faces(mirrored=False)) == []
    (fault,) = find_faults(faces(mirrored=True))
    assert fault.startswith("the left eye of a visible face must be right of the right eye, got")
    # A face that the estimator is not sure of may be one from behind.
    assert find_faults(faces(mirrored=True, confidence=0.4)) == []


def test_coordinates_that_are_not_pixels_are_a_fault(walkers):
    shares = walkers.keypoints / walkers.image_size[walkers.clip][:, None]
    assert find_faults(walkers.with_(keypoints=shares)) == [
        "coordinates must be in pixels, got values from 0 to 1"
    ]
    ones = np.ones_like(walkers.image_size)
    (fault,) = find_faults(walkers.with_(keypoints=shares, image_size=ones))
    assert "give --image-size WIDTHxHEIGHT" in fault
    (fault,) = find_faults(walkers.with_(image_size=walkers.image_size / 4))
    assert fault.startswith("joints must lie inside the image, got ")
    assert find_faults(walkers.with_(image_size=None)) == []


def test_ids_that_jump_are_a_fault(walkers):
    """Two people exchange their ids for the rest of a clip."""
    one, other = (
        int(walkers.track[r])
        for r in walkers.track_starts[walkers.clip[walkers.track_starts] == 0][:2]
    )
    track = walkers.track.copy()
    late = (walkers.clip == 0) & (walkers.frame >= 30)
    track[late & (walkers.track == one)] = other
    track[late & (walkers.track == other)] = one
    (fault,) = find_faults(walkers.with_(track=track))
    assert fault.startswith(
        "a person must move by less than its size a frame, got 2 jumps in 2 of "
    )
    assert f"of clip {walkers.clip_names[0]!r} moves by" in fault


@pytest.mark.parametrize("dims", [2, 3])
def test_poses_of_one_joint_have_no_size(dims):
    rng = np.random.default_rng(0)
    confidence = np.zeros((30, 17))
    confidence[:, 0] = 1
    tracks = PoseTracks.build(
        rng.uniform(5, 400, (30, 17, dims)),
        confidence,
        range(30),
        [0] * 30,
        [0] * 30,
        "coco17",
        ["a"],
    )
    assert find_faults(tracks) == []
