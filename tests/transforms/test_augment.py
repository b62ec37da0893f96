"""Geometric transforms: hand-worked numbers, invariances, one window or many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import BaseTransform

from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.transforms.augment import Augment
from gepc_geo.transforms.motion import AddMotion
from gepc_geo.transforms.normalize import AlignRoot, Center, ScaleByBody, ScaleByImage, normalize

PENN, KINECT = SKELETONS["penn13"], SKELETONS["kinect20"]
POINT = Skeleton("pair2", ("a", "b"), ((0, 1),), center=0)
SIZES = ("torso", "height", "rms")
FEATURES = 2


def window(
    seed: int = 0, skeleton: Skeleton = PENN, dims: int = 2, frames: int = 6, holes: float = 0.2
) -> Data:
    """A random pose that walks, in float64, with some joints missing."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    joints = skeleton.num_joints
    pose = normal(joints, 1, dims) * 30 + normal(joints, frames, dims)
    way = torch.arange(frames)[:, None] * normal(dims) * 10 + normal(dims) * 100 + 300
    confidence = torch.rand(joints, frames, 1, generator=generator, dtype=torch.float64)
    confidence[torch.rand(joints, frames, 1, generator=generator) < holes] = 0
    return Data(
        x=torch.cat([pose + way, confidence, normal(joints, frames, FEATURES)], dim=-1),
        edge_index=skeleton.partition()[0],
        image_size=torch.tensor([[640.0, 480.0]]) + seed,
    )


def moved(data: Data, coordinates: Tensor) -> Data:
    """The same window with other coordinates."""
    data = data.clone()
    dims = coordinates.size(-1)
    data.x[..., :dims] = coordinates
    return data


def transforms_of(skeleton: Skeleton, dims: int) -> list[BaseTransform]:
    return [
        *([ScaleByImage(skeleton, dims)] if dims == 2 else []),
        *(Center(skeleton, dims, by=by) for by in ("window", "frame")),
        *(ScaleByBody(skeleton, dims, by=by) for by in SIZES),
        *(AddMotion(skeleton, dims, by=by) for by in SIZES),
        AlignRoot(skeleton, dims),
        *(normalize(skeleton, dims, scale=scale) for scale in SIZES),
        *([normalize(skeleton, dims, scale="image")] if dims == 2 else []),
    ]


BODIES = [(PENN, 2), (KINECT, 3)]


@pytest.mark.parametrize(("skeleton", "dims"), BODIES)
def test_a_batch_is_transformed_like_its_windows(skeleton, dims):
    many = [window(seed, skeleton, dims, holes=0.3 * seed) for seed in range(4)]
    assert not many[3].x[..., dims].all()
    batch = Batch.from_data_list(many)
    for transform in transforms_of(skeleton, dims):
        expected = torch.cat([transform(data).x for data in many])
        torch.testing.assert_close(transform(batch).x, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(("skeleton", "dims"), BODIES)
def test_only_coordinates_change_and_the_input_is_not_modified(skeleton, dims):
    data = window(1, skeleton, dims)
    before = data.x.clone()
    augment = Augment(skeleton, dims, "paper")
    for transform in [*transforms_of(skeleton, dims), augment]:
        after = transform(data).x
        assert torch.equal(data.x, before), transform
        if transform is not augment:
            rest = slice(dims, dims + 1 + FEATURES)
            assert torch.equal(after[..., rest], before[..., rest]), transform
    augment.apply(data, torch.tensor([3]))
    assert torch.equal(data.x, before)


def test_scale_by_image_equals_a_hand_worked_case():
    data = Data(
        x=torch.tensor([[[0.0, 0, 1]], [[320, 480, 0]]]), image_size=torch.tensor([[640.0, 480]])
    )
    x = ScaleByImage(POINT, 2)(data).x
    assert x[:, 0].tolist() == [[-1, -1, 1], [0, 1, 0]]


def test_center_equals_a_hand_worked_case():
    """Joint a at 0 and 10 (confidence 1 and 0.5), joint b at 4 and 99 (confidence 1 and 0)."""
    x = torch.tensor([[[0.0, 0, 1], [10, 0, 0.5]], [[4, 0, 1], [99, 0, 0]]])
    by_window = Center(POINT, 2)(Data(x=x)).x
    mean = (0 * 1 + 10 * 0.5 + 4 * 1) / 2.5
    torch.testing.assert_close(by_window[..., 0], x[..., 0] - mean)
    by_frame = Center(POINT, 2, by="frame")(Data(x=x)).x
    torch.testing.assert_close(by_frame[..., 0], x[..., 0] - torch.tensor([2.0, 10]))
    x[..., 2] = 0
    nobody = Center(POINT, 2, by="frame")(Data(x=x)).x
    torch.testing.assert_close(nobody[..., 0], x[..., 0] - torch.tensor([2.0, 54.5]))


def sizes_by_hand(data: Data, by: str) -> float:
    """The body's size with loops, in plain Python."""
    x = data.x.numpy()
    keypoints, confidence = x[..., :2], x[..., 2]
    frames = range(x.shape[1])
    joint = {name: number for number, name in enumerate(PENN.joints)}
    if by == "height":
        return float(np.mean([np.ptp(keypoints[:, t, 1]) for t in frames]))
    if by == "torso":
        names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
        ls, rs, lh, rh = (joint[name] for name in names)
        seen = [t for t in frames if all(confidence[v, t] > 0 for v in (ls, rs, lh, rh))]
        lengths = [
            math.dist(
                (keypoints[ls, t] + keypoints[rs, t]) / 2, (keypoints[lh, t] + keypoints[rh, t]) / 2
            )
            for t in seen or frames
        ]
        return float(np.mean(lengths))
    sizes = []
    for weights in (confidence, np.ones_like(confidence)):
        square = weight = 0.0
        for t in frames:
            center = np.average(keypoints[:, t], axis=0, weights=weights[:, t])
            for v in range(x.shape[0]):
                square += weights[v, t] * math.dist(keypoints[v, t], center) ** 2
                weight += weights[v, t]
        sizes.append(math.sqrt(square / weight))
    return max(sizes)


@pytest.mark.parametrize("by", SIZES)
@pytest.mark.parametrize("seed", range(5))
def test_body_sizes_equal_hand_worked_ones(by, seed):
    data = window(seed, holes=0.15)
    scaled = ScaleByBody(PENN, 2, by=by)(data)
    ratio = data.x[..., :2] / scaled.x[..., :2]
    torch.testing.assert_close(ratio, torch.full_like(ratio, sizes_by_hand(data, by)))


@pytest.mark.parametrize("by", SIZES)
def test_all_joints_in_one_place_stay_finite(by):
    data = window(0)
    data = moved(data, torch.full_like(data.x[..., :2], 1234.567))
    for transform in (normalize(PENN, 2, scale=by), normalize(KINECT, 3, scale=by)):
        if transform.transforms[0].dims == 3:
            data = window(0, KINECT, 3)
            data = moved(data, torch.full_like(data.x[..., :3], 1.5))
        x = transform(data).x
        assert torch.isfinite(x).all()
        assert x[..., : transform.transforms[0].dims].abs().max() < 1e-6


@pytest.mark.parametrize("scale", SIZES)
def test_a_person_with_one_joint_seen_stays_bounded(scale):
    """The others lie on top of it, so there is no size at all; it walks 30 pixels a frame."""
    data = window(0)
    way = torch.arange(6.0, dtype=torch.float64)[:, None] * torch.tensor([30.0, 0]) + 500
    data = moved(data, way.expand(13, -1, -1))
    x = normalize(PENN, 2, scale=scale)(data).x
    assert torch.isfinite(x).all() and x.abs().max() < 200


@pytest.mark.parametrize("scale", SIZES)
def test_a_window_in_which_one_joint_is_seen_keeps_its_size(scale):
    """The other joints are known from other frames: one joint does not show the body's size."""
    data = window(0, holes=0)
    one = data.clone()
    one.x[1:, :, 2] = 0
    transform = ScaleByBody(PENN, 2, by=scale)
    torch.testing.assert_close(
        transform(one).x[..., :2], transform(data).x[..., :2], rtol=0.2, atol=0
    )


@pytest.mark.parametrize(("skeleton", "dims"), BODIES)
@pytest.mark.parametrize("scale", SIZES)
@pytest.mark.parametrize("center", ["window", "frame"])
def test_normalisation_removes_place_and_size(skeleton, dims, scale, center):
    data = window(3, skeleton, dims)
    transform = normalize(skeleton, dims, scale=scale, center=center)
    shift = torch.tensor([70.0, -30, 12], dtype=torch.float64)[:dims]
    other = moved(data, data.x[..., :dims] * 2.7 + shift)
    x = transform(data).x
    assert x.size(-1) == data.x.size(-1) + dims + 2
    torch.testing.assert_close(transform(other).x, x, rtol=1e-9, atol=1e-9)
    # And it does not forget everything.
    bent = data.x[..., :dims].clone()
    bent[0] += 20
    assert (transform(moved(data, bent)).x - x).abs().max() > 0.1


def turned(coordinates: Tensor, degrees: float) -> Tensor:
    """Turned about the origin's vertical axis."""
    a = math.radians(degrees)
    rotation = torch.tensor(
        [[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]],
        dtype=coordinates.dtype,
    )
    return coordinates @ rotation.T


def test_alignment_removes_the_heading_and_keeps_the_motion():
    data = window(5, KINECT, 3)
    transform = normalize(KINECT, 3, scale="rms")
    other = moved(data, turned(data.x[..., :3], 77))
    torch.testing.assert_close(transform(other).x, transform(data).x, rtol=1e-9, atol=1e-9)
    loose = normalize(KINECT, 3, scale="rms", align=False)
    assert (loose(other).x - loose(data).x).abs().max() > 0.1


def test_alignment_lays_the_shoulders_along_x_and_keeps_shape_and_place():
    data = window(6, KINECT, 3, holes=0)
    seen = data.x.clone()
    seen[..., 3] = 1
    data.x = seen
    left, right = KINECT.shoulders
    after = AlignRoot(KINECT, 3)(data).x[..., :3]
    x, _, z = (after[right] - after[left]).mean(0)
    assert x > 0 and abs(z) < 1e-9
    before = data.x[..., :3]
    torch.testing.assert_close(after.mean((0, 1)), before.mean((0, 1)))
    torch.testing.assert_close(after[..., 1], before[..., 1])
    flat = [part.transpose(0, 1).contiguous() for part in (after, before)]
    torch.testing.assert_close(torch.cdist(flat[0], flat[0]), torch.cdist(flat[1], flat[1]))


def test_alignment_leaves_2d_poses_and_vertical_shoulder_lines_as_they_are():
    data = window(7, KINECT, 3)
    left, right = KINECT.shoulders
    data.x[right, :, [0, 2]] = data.x[left, :, [0, 2]]
    torch.testing.assert_close(AlignRoot(KINECT, 3)(data).x, data.x, rtol=0, atol=0)
    flat = window(7)
    assert torch.equal(AlignRoot(PENN, 2)(flat).x, flat.x)


def test_motion_equals_a_hand_worked_case():
    """Two joints 2 apart (RMS size 1), at x = 0, 1, 4, 9, then twice as large in the last frame."""
    center = torch.tensor([0.0, 1, 4, 9])
    half = torch.tensor([1.0, 1, 1, 2])
    y = torch.stack([half, -half])
    x = torch.stack([center.expand(2, -1), y, torch.ones(2, 4)], dim=-1)
    motion = AddMotion(POINT, 2, by="rms")(Data(x=x)).x[..., 3:]
    assert torch.equal(motion[0], motion[1])
    size = math.sqrt((1 + 1 + 1 + 4) / 4)
    velocity = torch.tensor([1.0, 2, 4, 5]) / size
    torch.testing.assert_close(motion[0, :, 0], velocity)
    assert not motion[0, :, 1].any()
    torch.testing.assert_close(motion[0, :, 2], (velocity + 0.01).log())
    growth = torch.tensor([0, 0, 0, math.log(2)])
    torch.testing.assert_close(motion[0, :, 3], growth - math.log(2) / 4)


def test_motion_of_a_single_frame_is_zero():
    motion = AddMotion(PENN, 2)(window(0, frames=1)).x[..., -4:]
    assert not motion[..., :2].any() and not motion[..., 3].any()


@pytest.mark.parametrize(("skeleton", "dims"), BODIES)
def test_mirroring_twice_restores_the_window(skeleton, dims):
    augment = Augment(skeleton, dims, "flip")
    data = window(8, skeleton, dims)
    once = augment.apply(data, torch.tensor([1]))
    assert (once.x - data.x).abs().max() > 1
    torch.testing.assert_close(augment.apply(once, torch.tensor([1])).x, data.x)


def test_mirroring_equals_a_hand_worked_case():
    data = window(9)
    x = Augment(PENN, 2, "flip").apply(data, torch.tensor([1])).x
    keypoints, confidence = data.x[..., :2].numpy(), data.x[..., 2].numpy()
    center = np.average(keypoints.reshape(-1, 2), axis=0, weights=confidence.reshape(-1))
    for joint, name in enumerate(PENN.joints):
        swap = {"left": "right", "right": "left"}.get(name.split("_")[0])
        other = PENN.joints.index("_".join([swap, *name.split("_")[1:]])) if swap else joint
        np.testing.assert_allclose(x[joint, :, 0], 2 * center[0] - keypoints[other, :, 0])
        np.testing.assert_allclose(x[joint, :, 1], keypoints[other, :, 1])
        # Confidence and features go with the joint.
        assert torch.equal(x[joint, :, 2:], data.x[other, :, 2:])


@pytest.mark.parametrize(("skeleton", "dims"), BODIES)
def test_rotations_turn_by_their_angle(skeleton, dims):
    augment = Augment(skeleton, dims, "paper")
    data = window(10, skeleton, dims)

    def applied(*choices: int) -> Tensor:
        result = data
        for choice in choices:
            result = augment.apply(result, torch.tensor([choice]))
        return result.x

    assert augment.num_choices == 5
    assert torch.equal(applied(0), data.x)
    torch.testing.assert_close(applied(4, 4), applied(2))
    torch.testing.assert_close(applied(2, 2, 2, 2), data.x)
    torch.testing.assert_close(applied(3), applied(1, 2))
    plane = [0, dims - 1]
    center = Center(skeleton, dims)
    # A quarter turn takes (p, q) to (-q, p).
    p, q = center(data).x[..., plane].unbind(-1)
    turned_p, turned_q = center(Data(x=applied(2))).x[..., plane].unbind(-1)
    torch.testing.assert_close(turned_p, -q)
    torch.testing.assert_close(turned_q, p)
    if dims == 3:
        torch.testing.assert_close(applied(4)[..., 1], data.x[..., 1])


def at_times(x: Tensor, times: list[float]) -> np.ndarray:
    """A window read between its frames, by NumPy."""
    frames = x.size(1)
    a, b, c = times[0], 1 + times[1], times[2]
    t = np.linspace(0, 1, frames)
    at = (a + (b - a) * t + c * np.sin(np.pi * t)) * (frames - 1)
    return np.apply_along_axis(lambda row: np.interp(at, np.arange(frames), row), 1, x.numpy())


@pytest.mark.parametrize(("skeleton", "dims"), BODIES)
def test_vary_has_small_turns_and_changes_of_speed(skeleton, dims):
    augment = Augment(skeleton, dims, "vary")
    data = window(12, skeleton, dims)
    assert (augment.num_choices, augment.num_scored) == (64, 2)
    assert torch.equal(augment.apply(data, torch.tensor([0])).x, data.x)
    flip = Augment(skeleton, dims, "flip").apply(data, torch.tensor([1])).x
    assert torch.equal(augment.apply(data, torch.tensor([2])).x, flip)
    expected = torch.tensor([[0, 0, 0], [0.1, -0.1, 0], [0.1, -0.1, 0]])
    torch.testing.assert_close(augment._times[[0, 1, 3]], expected)
    center = Center(skeleton, dims)
    for choice in (4, 10, 62):
        times = augment._times[choice].tolist()
        assert 0 < max(map(abs, times)) <= 0.1
        varied = augment.apply(data, torch.tensor([choice])).x
        slow = torch.as_tensor(at_times(data.x, times))
        # All that is not turned is the window at other times; turning keeps distances.
        torch.testing.assert_close(varied[..., dims:], slow[..., dims:], atol=1e-5, rtol=1e-5)
        ours, theirs = (center(Data(x=x)).x[..., :dims] for x in (varied, slow))
        torch.testing.assert_close(ours.norm(dim=-1), theirs.norm(dim=-1), atol=1e-3, rtol=1e-4)
        p, q = (x[..., [0, dims - 1]] for x in (theirs, ours))
        angle = torch.atan2(p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0], (p * q).sum(-1))
        degrees = torch.rad2deg(angle)
        assert 0 < float(degrees.abs().mean()) <= {2: 5.0, 3: 15.0}[dims] + 1e-3
        torch.testing.assert_close(degrees, degrees.mean().expand_as(degrees), atol=1e-2, rtol=0)
        # The mirrored variation of the next number is the variation, mirrored.
        mirrored = Augment(skeleton, dims, "flip").apply(Data(x=slow), torch.tensor([1])).x
        other = augment.apply(data, torch.tensor([choice + 1])).x
        torch.testing.assert_close(other[..., dims:], mirrored[..., dims:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name, count, copies",
    [
        ("vary", 100, 10),
        ("vary", 4_000, 5),
        ("vary", 15_000, 3),
        ("vary", 10**7, 3),
        ("flip", 100, 2),
        ("paper", 10**7, 5),
        ("none", 0, 1),
    ],
)
def test_few_windows_are_learned_from_in_more_copies(name, count, copies):
    assert Augment(PENN, 2, name).copies(count) == copies


@pytest.mark.parametrize("name", ["flip", "vary"])
def test_to_source_returns_values_to_their_frames_and_joints(name):
    augment = Augment(PENN, 2, name)
    data = window(7)
    frames = data.x.size(1)
    values = torch.rand(1, frames, 13, generator=torch.Generator().manual_seed(3)).double()
    for choice in range(min(augment.num_choices, 6)):
        given = augment.to_source(values, choice)
        torch.testing.assert_close(given.sum(), values.sum())
        # Reading is linear, and giving back is its transpose: features are read as they are.
        feature = torch.rand(13, frames, 1, generator=torch.Generator().manual_seed(4)).double()
        x = torch.cat([data.x.double(), feature], dim=2)
        read = augment.apply(Data(x=x), torch.tensor([choice])).x[..., -1]
        torch.testing.assert_close((read.T * values[0]).sum(), (feature[..., 0].T * given[0]).sum())


def test_each_window_has_its_own_augmentation():
    augment = Augment(PENN, 2, "paper")
    many = [window(seed) for seed in range(5)]
    choice = torch.tensor([4, 0, 3, 1, 2])
    batch = augment.apply(Batch.from_data_list(many), choice)
    for number, data in enumerate(many):
        single = augment.apply(data, choice[number : number + 1])
        torch.testing.assert_close(batch[number].x, single.x, rtol=1e-12, atol=1e-9)


def test_random_augmentations_follow_the_generator():
    batch = Batch.from_data_list([window(seed) for seed in range(40)])
    augment = Augment(PENN, 2, "paper")
    augment.generator = torch.Generator().manual_seed(2)
    x = augment(batch).x
    choice = torch.randint(5, (40,), generator=torch.Generator().manual_seed(2))
    assert set(choice.tolist()) == set(range(5))
    assert torch.equal(x, augment.apply(batch, choice).x)
    none = Augment(PENN, 2)
    assert none.num_choices == 1 and torch.equal(none(batch).x, batch.x)


def test_reference_protocol_is_image_then_window_mean():
    """As the public implementation: to [-1, 1] of the image, less the window's mean."""
    data = window(11, holes=0)
    x = normalize(PENN, 2, scale="image", motion=False, align=False)(data).x
    keypoints, weight = data.x[..., :2].numpy(), data.x[..., 2].numpy()
    expected = 2 * keypoints / data.image_size.numpy() - 1
    expected -= np.average(expected.reshape(-1, 2), axis=0, weights=weight.reshape(-1))
    np.testing.assert_allclose(x[..., :2], expected, atol=1e-12)
    assert torch.equal(x[..., 2:], data.x[..., 2:])


def test_the_default_size_is_the_one_of_a_detector():
    """It needs no shoulders and hips."""
    assert ScaleByBody(POINT, 2).by == AddMotion(POINT, 2).by == Options().scale == "rms"
    assert repr(normalize(POINT, 2)) == repr(normalize(POINT, 2, scale="rms"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScaleByBody(POINT, 2, by="torso"), "'pair2' must have shoulders and hips"),
        (lambda: normalize(POINT, 2, scale="torso"), "'pair2' must have shoulders and hips"),
        (
            lambda: ScaleByBody(PENN, 2, by="width"),
            "body size must be one of torso, height, rms, got 'width'",
        ),
        (
            lambda: AddMotion(PENN, 2, by="image"),
            "body size must be one of torso, height, rms, got 'image'",
        ),
        (lambda: Center(PENN, 2, by="joint"), "center must be window or frame, got 'joint'"),
        (lambda: AlignRoot(POINT, 3), "'pair2' must have shoulders"),
        (
            lambda: ScaleByImage(KINECT, 3),
            "^scale must be rms for 3D poses, which have no image size, got 'image'$",
        ),
        (
            lambda: Augment(PENN, 2, "rotate"),
            "augment must be one of none, flip, vary, paper, got 'rotate'",
        ),
        (
            lambda: normalize(PENN, 2, scale="width"),
            "scale must be one of torso, height, rms, image, got 'width'",
        ),
        (lambda: Center(PENN, 4), "dims must be 2 or 3 coordinates, got 4"),
    ],
)
def test_wrong_options_are_refused(make: Any, message: str):
    with pytest.raises(InputError, match=message):
        make()


def test_repr_names_the_options():
    assert repr(Center(PENN, 2)) == "Center(skeleton='penn13', dims=2, by='window')"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("skeleton", "dims"), BODIES)
def test_transforms_make_no_copy_between_device_and_host(skeleton, dims):
    batch = Batch.from_data_list([window(seed, skeleton, dims) for seed in range(3)])
    device = batch.clone().to("cuda")
    choice = torch.arange(3, device="cuda")
    augment = Augment(skeleton, dims, "paper")
    augment.apply(device, choice)
    torch.cuda.set_sync_debug_mode("error")
    try:
        results = [transform(device) for transform in transforms_of(skeleton, dims)]
        results.append(augment.apply(device, choice))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = [transform(batch) for transform in transforms_of(skeleton, dims)]
    expected.append(augment.apply(batch, choice.cpu()))
    for one, other in zip(results, expected, strict=True):
        torch.testing.assert_close(one.x.cpu(), other.x, rtol=1e-9, atol=1e-9)
