"""Detectors on flattened windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gepc_geo.baselines import FlatMixture, FlatNeighbour, flatten
from gepc_geo.inputs import InputPipeline
from gepc_geo.loader import WindowLoader
from gepc_geo.options import Options


def test_windows_are_flattened_in_order(walkers):
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options())
    windows = pipeline.windows(walkers, 6)
    pipeline.fit(WindowLoader(windows, batch_size=64))
    flat = flatten(pipeline, windows)
    assert flat.shape == (len(windows), 12 * 17 * 6)
    last = next(iter(WindowLoader(windows.subset(np.array([len(windows) - 1])), batch_size=1)))
    expected = pipeline.tensor(last)[..., :-1].flatten().numpy()
    np.testing.assert_allclose(flat[-1], expected, atol=1e-6)


def test_windows_are_flattened_on_the_device_of_the_pipeline(walkers, monkeypatch):
    """The meta device stands for one that shares no memory with the host: mixing the two fails."""
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options())
    windows = pipeline.windows(walkers, 6)
    pipeline.fit(WindowLoader(windows, batch_size=64))
    pipeline.to(torch.device("meta"))
    came_from = []

    def copy_to_host(tensor):
        came_from.append(tensor.device.type)
        return torch.zeros(tensor.shape)

    monkeypatch.setattr(torch.Tensor, "cpu", copy_to_host)
    flat = flatten(pipeline, windows, 1)
    assert isinstance(flat, np.ndarray) and flat.shape == (len(windows), 12 * 17 * 6)
    assert set(came_from) == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_flattens_as_the_cpu_does(walkers):
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options())
    windows = pipeline.windows(walkers, 6)
    pipeline.fit(WindowLoader(windows, batch_size=64))
    expected = flatten(pipeline, windows, 1)
    there = flatten(pipeline.to(torch.device("cuda")), windows, 1)
    np.testing.assert_allclose(there, expected, atol=1e-4)


def test_neighbour_is_the_smallest_distance():
    rng = np.random.default_rng(0)
    normal, other = rng.normal(size=(40, 8)), rng.normal(size=(5, 8))
    expected = np.sqrt(((other[:, None] - normal) ** 2).sum(-1)).min(1)
    # Eight components of eight dimensions lose nothing.
    scores = FlatNeighbour(dims=8).fit(normal).decision_function(other)
    np.testing.assert_allclose(scores, expected)


def test_mixture_ranks_what_is_far_from_every_mode():
    rng = np.random.default_rng(0)
    normal = np.concatenate([rng.normal(-5, 1, (80, 4)), rng.normal(5, 1, (80, 4))])
    model = FlatMixture(components=2, dims=4).fit(normal)
    between, near = model.decision_function(np.zeros((1, 4))), model.decision_function(normal)
    assert between[0] > near.max()
