"""The network's input."""

from __future__ import annotations

import pytest
import torch

from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.inputs import InputPipeline
from gepc_geo.loader import WindowLoader
from gepc_geo.options import Options
from gepc_geo.skeleton import SKELETONS


@pytest.fixture(scope="module")
def fitted(walkers) -> tuple[InputPipeline, WindowLoader]:
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options())
    loader = WindowLoader(pipeline.windows(walkers, 4), batch_size=50)
    return pipeline.fit(loader), loader


def inputs(pipeline: InputPipeline, loader: WindowLoader) -> torch.Tensor:
    return torch.cat([pipeline.tensor(batch) for batch in loader])


def test_channels_are_standardised_and_the_confidence_is_last(fitted, walkers):
    x = inputs(*fitted)
    assert x.shape[1:] == (12, 17, fitted[0].num_channels)
    own = x[..., :-1].double()
    torch.testing.assert_close(own.mean((0, 1, 2)), torch.zeros(6).double(), atol=1e-4, rtol=0)
    spread = own.std((0, 1, 2), unbiased=False)
    torch.testing.assert_close(spread, torch.ones(6).double(), atol=1e-3, rtol=0)
    assert float(x[..., -1].min()) >= 0 and float(x[..., -1].max()) <= 1


def test_moving_and_enlarging_the_picture_changes_nothing(fitted, walkers):
    pipeline, loader = fitted
    far = simulate_crowd("train", num_clips=12, frames_per_clip=72, seed=5)
    far.keypoints[:] = 3 * far.keypoints + 100
    other = WindowLoader(pipeline.windows(far, 4), batch_size=50)
    torch.testing.assert_close(
        inputs(pipeline, other), inputs(pipeline, loader), atol=2e-3, rtol=1e-3
    )


def test_mirroring_swaps_left_and_right_and_turns_x(fitted, walkers):
    pipeline, loader = fitted
    batch = next(iter(loader))
    plain = pipeline.tensor(batch)
    mirrored = pipeline.tensor(batch, torch.ones(50, dtype=torch.long))
    swapped = list(range(17))
    for left, right in walkers.skeleton.pairs:
        swapped[left], swapped[right] = right, left
    x, x_mirrored = (one[..., 0] * pipeline.std[0] + pipeline.mean[0] for one in (plain, mirrored))
    torch.testing.assert_close(x_mirrored, -x[..., swapped], atol=1e-3, rtol=0)
    torch.testing.assert_close(mirrored[..., 1], plain[..., swapped, 1], atol=1e-3, rtol=0)


@pytest.mark.parametrize(("dims", "align", "count"), [(2, True, 5), (3, False, 5), (3, True, 2)])
def test_turns_that_alignment_undoes_are_left_out(dims, align, count):
    skeleton = SKELETONS["kinect20"]
    pipeline = InputPipeline(skeleton, dims, 0, Options(augment="paper", align=align))
    assert pipeline.augment.num_choices == count


def test_poses_of_another_kind_are_refused(fitted):
    pipeline, _ = fitted
    other = InputPipeline(pipeline.skeleton, 3, 0, Options())
    crowd = simulate_crowd("train", num_clips=1, frames_per_clip=24)
    with pytest.raises(InputError, match="the poses have 2 coordinates, expected 3"):
        other.check(crowd)
    other = InputPipeline(pipeline.skeleton, 2, 4, Options())
    with pytest.raises(InputError, match="the poses have 0 features a joint, expected 4"):
        other.check(crowd)
