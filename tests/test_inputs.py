"""The network's input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.inputs import InputPipeline
from gepc_geo.loader import WindowLoader
from gepc_geo.options import Options
from gepc_geo.skeleton import SKELETONS
from gepc_geo.tracks import PoseTracks


@pytest.fixture(scope="module")
def fitted(walkers) -> tuple[InputPipeline, WindowLoader]:
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options())
    loader = WindowLoader(pipeline.windows(walkers, 4), batch_size=50)
    return pipeline.fit(loader), loader


class NoUpload(TorchDispatchMode):
    """Fails where something goes from the host to the device, here the one named "meta"."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ == "_to_copy" and args[0].device.type == "cpu":
            assert torch.device(kwargs.get("device", "cpu")).type == "cpu", args[0].shape
        return func(*args, **kwargs)


@pytest.mark.parametrize("augment", ["none", "flip", "vary", "paper"])
def test_no_batch_waits_for_the_host(walkers, augment):
    """From the first one on; what fails is a copy of a table of the host's."""
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options(augment=augment))
    windows = pipeline.windows(walkers, 4)
    meta = torch.device("meta")
    pipeline.fit(WindowLoader(windows, batch_size=50)).to(meta)
    loader = WindowLoader(windows, batch_size=50, device=meta)
    index = torch.arange(50, device=meta)
    batch = loader.gather(index)
    with NoUpload():
        x = pipeline.tensor(batch, torch.zeros(50, dtype=torch.long, device=meta))
    assert x.shape == (50, 12, 17, 7) and x.device.type == "meta"


def test_a_copy_to_the_device_is_seen():
    with pytest.raises(AssertionError), NoUpload():
        torch.zeros(3).to("meta")


def inputs(pipeline: InputPipeline, loader: WindowLoader) -> torch.Tensor:
    return torch.cat([pipeline.tensor(batch) for batch in loader])


def test_channels_are_standardised_and_the_confidence_is_last(fitted, walkers):
    x = inputs(*fitted)
    assert x.shape[1:] == (12, 17, fitted[0].num_channels)
    own = x[..., :-1].double()
    torch.testing.assert_close(own.mean((0, 1, 2)), torch.zeros(6).double(), atol=1e-4, rtol=0)
    variance = own.var((0, 1, 2), unbiased=False)
    # Both coordinates by one number; the four motion channels together 0.2 of them.
    torch.testing.assert_close(float(variance[:2].sum()), 2.0, atol=2e-3, rtol=0)
    share = torch.full((4,), 0.2 * 2 / 4, dtype=torch.float64)
    torch.testing.assert_close(variance[2:], share, atol=1e-3, rtol=0)
    assert abs(float(variance[0] / variance[1]) - 1) > 0.1
    assert float(x[..., -1].min()) >= 0 and float(x[..., -1].max()) <= 1


def test_moving_and_enlarging_the_picture_changes_nothing(fitted, walkers):
    pipeline, loader = fitted
    far = simulate_crowd("train", num_clips=12, frames_per_clip=48, seed=5)
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
    x, x_mirrored = (one[..., 0] * pipeline.std[0] + pipeline.mean[0] for one in (plain, mirrored))
    torch.testing.assert_close(x_mirrored, -x[..., swapped], atol=1e-3, rtol=0)
    torch.testing.assert_close(mirrored[..., 1], plain[..., swapped, 1], atol=1e-3, rtol=0)


@pytest.mark.parametrize("align", [True, False])
def test_alignment_does_not_undo_a_turn(align):
    """A person turned by 90 degrees about the vertical axis has x where z was, aligned before or not."""
    skeleton = SKELETONS["kinect20"]
    rng = np.random.default_rng(0)
    keypoints = rng.normal(size=(12, 20, 3)).astype(np.float32)
    frames, none = np.arange(12), np.zeros(12, dtype=np.int64)
    tracks = PoseTracks.build(
        keypoints, np.ones((12, 20), np.float32), frames, none, none, skeleton, ["a"]
    )
    options = Options(augment="paper", align=align, motion=False)
    pipeline = InputPipeline(skeleton, 3, 0, options)
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
    other = InputPipeline(pipeline.skeleton, 3, 0, Options())
    crowd = simulate_crowd("train", num_clips=1, frames_per_clip=24)
    with pytest.raises(InputError, match="the poses have 2 coordinates, expected 3"):
        other.check(crowd)
    other = InputPipeline(pipeline.skeleton, 2, 4, Options())
    with pytest.raises(InputError, match="the poses have 0 features a joint, expected 4"):
        other.check(crowd)
