"""The network's input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct
from torch.utils._python_dispatch import TorchDispatchMode

from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline


def pipeline_for(
    tracks: PoseTracks, lengths: tuple[int, ...] = (12,), **options: object
) -> InputPipeline:
    return InputPipeline(
        tracks.skeleton, tracks.dims, tracks.num_features, Options(**options), lengths
    )


@pytest.fixture(scope="module", params=[0, 6], ids=["frames", "coefficients"])
def fitted(walkers, request) -> tuple[InputPipeline, WindowLoader]:
    pipeline = pipeline_for(walkers, coefficients=request.param)
    loader = WindowLoader(pipeline.windows(walkers, 4), batch_size=50)
    return pipeline.fit(loader), loader


class NoUpload(TorchDispatchMode):
    """Fails on a copy from the host to the device, here the device "meta"."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ == "_to_copy" and args[0].device.type == "cpu":
            assert torch.device(kwargs.get("device", "cpu")).type == "cpu", args[0].shape
        return func(*args, **kwargs)


@pytest.mark.parametrize("augment", ["none", "flip", "vary", "paper"])
def test_no_batch_waits_for_the_host(walkers, augment):
    """From the first batch on; a copy of a table from the host would fail."""
    pipeline = pipeline_for(walkers, augment=augment)
    windows = pipeline.windows(walkers, 4)
    meta = torch.device("meta")
    pipeline.fit(WindowLoader(windows, batch_size=50)).to(meta)
    loader = WindowLoader(windows, batch_size=50, device=meta)
    index = torch.arange(50, device=meta)
    batch = loader.gather(index)
    choice = torch.zeros(50, dtype=torch.long, device=meta)
    # The first one makes the transform's matrix there.
    pipeline.tensor(batch, choice)
    with NoUpload():
        x = pipeline.tensor(batch, choice)
    assert x.shape == (50, 6, 17, 7) and x.device.type == "meta"


def test_the_guard_against_uploads_notices_one():
    with pytest.raises(AssertionError), NoUpload():
        torch.zeros(3).to("meta")


def inputs(pipeline: InputPipeline, loader: WindowLoader) -> torch.Tensor:
    return torch.cat([pipeline.tensor(batch) for batch in loader])


def test_numbers_are_standardised_and_the_confidence_is_last(fitted):
    pipeline, _ = fitted
    x = inputs(*fitted)
    assert x.shape[1:] == (pipeline.num_steps, 17, pipeline.num_channels)
    own = x[..., :-1].double()
    torch.testing.assert_close(own.mean(0), torch.zeros_like(own[0]), atol=2e-4, rtol=0)
    variance = own.var(0, unbiased=False).sum((0, 1))
    # Both coordinates by one number; of what both have together motion has 0.4 three times.
    total = 2.0 * pipeline.num_steps * 17
    assert float(variance[:2].sum()) == pytest.approx(total, rel=1e-3)
    share = torch.tensor([0.2, 0.2, 0.4, 0.4], dtype=torch.float64)
    torch.testing.assert_close(variance[2:] / total, share, atol=1e-3, rtol=0)
    assert abs(float(variance[0] / variance[1]) - 1) > 0.1
    assert float(x[..., -1].min()) >= 0 and float(x[..., -1].max()) <= 1


def test_rows_are_the_same_numbers_as_the_networks_input(fitted):
    """Distances between windows are equal, as motion at all joints weighs as much as once."""
    pipeline, loader = fitted
    batch = next(iter(loader))
    rows, x = pipeline(batch).flat(), pipeline.tensor(batch)[..., :-1].flatten(1)
    torch.testing.assert_close(torch.pdist(rows), torch.pdist(x), rtol=1e-4, atol=1e-4)


def test_coefficients_equal_scipys_of_the_frames(walkers):
    """Before statistics; scaled by the root of the length."""
    frames, low = (pipeline_for(walkers, coefficients=count) for count in (0, 6))
    batch = next(iter(WindowLoader(low.windows(walkers, 4), batch_size=9)))
    body, motion, confidence = frames._spectra(batch)
    found = low._spectra(batch)
    for ours, series, count in ((found[0], body, 6), (found[1], motion, 3)):
        wanted = dct(series.double().numpy(), axis=1, norm="ortho")[:, :count] / np.sqrt(12)
        np.testing.assert_allclose(ours.numpy(), wanted, atol=1e-5)
    torch.testing.assert_close(found[2], confidence.mean(1, keepdim=True).expand(-1, 6, -1))


def test_the_same_movement_has_the_same_numbers_at_every_length(walkers):
    """A person who moves half as fast, for twice the time; velocities and speed apart."""
    table = PoseWindows(walkers, 12).table
    known = table.keypoints[table.piece[0] : table.piece[1]]
    time = np.linspace(0, len(known) - 1, 2 * len(known) - 1)
    at = np.floor(time).astype(int)
    share = (time - at)[:, None, None]
    slow = (1 - share) * known[at] + share * known[np.minimum(at + 1, len(known) - 1)]
    short, long = (
        PoseTracks.build(
            keypoints.astype(np.float32),
            np.ones(keypoints.shape[:2], np.float32),
            np.arange(len(keypoints)),
            np.zeros(len(keypoints), np.int64),
            np.zeros(len(keypoints), np.int64),
            walkers.skeleton,
            ["a"],
        )
        for keypoints in (known, slow)
    )
    pipeline = pipeline_for(short, (12, 24), scale="rms")
    one = next(iter(WindowLoader(PoseWindows(short, 12), batch_size=1)))
    two = next(iter(WindowLoader(PoseWindows(long, 24), batch_size=1)))
    near, far = (pipeline._spectra(batch)[0] for batch in (one, two))
    assert float((near - far).abs().max()) < 0.1 * float(near.abs().max())


def test_windows_of_several_lengths_stay_in_their_order(walkers):
    pipeline = pipeline_for(walkers, (12, 24))
    windows = pipeline.windows(walkers, 8)
    loader = WindowLoader(windows, batch_size=40)
    pipeline.fit(loader)
    index = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))[:30]
    assert len(np.unique(windows.size[index.numpy()])) == 2
    choice = torch.arange(30) % 4
    found = pipeline.mixed_lengths(loader, index, choice)
    for place, (one, how) in enumerate(zip(index, choice, strict=True)):
        alone = pipeline.tensor(loader.gather(one[None]), how[None])
        torch.testing.assert_close(found[place], alone[0], atol=1e-5, rtol=1e-5)


def test_few_frames_give_as_many_coefficients(walkers):
    pipeline = pipeline_for(walkers, (4, 12))
    assert pipeline.num_steps == 4
    assert pipeline_for(walkers, (2,)).motion_steps == 2


def test_moving_and_enlarging_the_picture_changes_nothing(fitted, walkers):
    pipeline, loader = fitted
    far = simulate_crowd("train", num_clips=12, frames_per_clip=48, random_state=5)
    far.keypoints[:] = 3 * far.keypoints + 100
    other = WindowLoader(pipeline.windows(far, 4), batch_size=50)
    torch.testing.assert_close(
        inputs(pipeline, other), inputs(pipeline, loader), atol=2e-3, rtol=1e-3
    )


def test_mirroring_swaps_left_and_right_and_turns_x(fitted, walkers):
    pipeline, loader = fitted
    batch = next(iter(loader))
    plain = pipeline.tensor(batch)
    mirrored = pipeline.tensor(batch, torch.full((50,), 2))
    swapped = list(range(17))
    for left, right in walkers.skeleton.pairs:
        swapped[left], swapped[right] = right, left
    x, x_mirrored = (
        one[..., 0] * pipeline.std[0] + pipeline.mean[..., 0] for one in (plain, mirrored)
    )
    torch.testing.assert_close(x_mirrored, -x[..., swapped], atol=1e-3, rtol=0)
    y, y_mirrored = (
        one[..., 1] * pipeline.std[1] + pipeline.mean[..., 1] for one in (plain, mirrored)
    )
    torch.testing.assert_close(y_mirrored, y[..., swapped], atol=1e-3, rtol=0)


@pytest.mark.parametrize("align", [True, False])
def test_alignment_does_not_undo_a_rotation(align):
    """A person turned by 90 degrees about y has x where z was, with or without alignment."""
    skeleton = SKELETONS["kinect20"]
    rng = np.random.default_rng(0)
    keypoints = rng.normal(size=(12, 20, 3)).astype(np.float32)
    frames, none = np.arange(12), np.zeros(12, dtype=np.int64)
    tracks = PoseTracks.build(
        keypoints, np.ones((12, 20), np.float32), frames, none, none, skeleton, ["a"]
    )
    pipeline = pipeline_for(tracks, augment="paper", align=align, motion=False)
    loader = WindowLoader(pipeline.windows(tracks, 1), batch_size=1)
    pipeline.fit(loader)
    batch = next(iter(loader))
    plain, turned = (
        pipeline.tensor(batch, torch.tensor([choice]))[..., :3] * pipeline.std + pipeline.mean
        for choice in (0, 2)
    )
    torch.testing.assert_close(turned[..., 2], plain[..., 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(turned[..., 0], -plain[..., 2], atol=1e-5, rtol=0)


def test_poses_of_another_kind_are_refused(fitted):
    pipeline, _ = fitted
    other = InputPipeline(pipeline.skeleton, 3, 0, Options(), (12,))
    crowd = simulate_crowd("train", num_clips=1, frames_per_clip=24)
    with pytest.raises(InputError, match="the poses must have 3 coordinates, got 2"):
        other.check(crowd)
    other = InputPipeline(pipeline.skeleton, 2, 4, Options(), (12,))
    with pytest.raises(InputError, match="the poses must have 4 features a joint, got 0"):
        other.check(crowd)
