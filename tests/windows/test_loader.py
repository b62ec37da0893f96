"""Batches of the WindowLoader against PyG's own collation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader, to_dense


@pytest.fixture(scope="module")
def windows() -> PoseWindows:
    """Three clips with long, short and broken tracks of 13 joints with two features."""
    rng = np.random.default_rng(4)
    people = {
        (0, 1): range(30),
        (0, 2): range(5),
        (1, 1): [*range(14), *range(17, 22)],
        (2, 9): [*range(10), *range(40, 52)],
    }
    rows = np.array([(c, p, f) for (c, p), frames in people.items() for f in frames])
    shape = (len(rows), 13)
    tracks = PoseTracks.build(
        keypoints=rng.normal(size=(*shape, 2)) * 20 + 200,
        confidence=rng.uniform(size=shape) * (rng.uniform(size=shape) < 0.9),
        features=rng.normal(size=(*shape, 2)),
        clip=rows[:, 0],
        track=rows[:, 1],
        frame=rows[:, 2],
        skeleton="penn13",
        clip_names=["a", "b", "c"],
        image_size=[[640, 480], [320, 240], [np.nan, np.nan]],
    )
    return PoseWindows(tracks, length=8, stride=2)


def assert_same_batch(ours: Batch, theirs: Batch) -> None:
    """Every attribute, in value, type and order, and all that to_data_list needs."""
    assert type(ours) is type(theirs)
    assert list(ours.keys()) == list(theirs.keys())
    for name in theirs.keys():  # noqa: SIM118 (a Data is not a dict)
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)
    assert ours.num_graphs == theirs.num_graphs and ours.num_nodes == theirs.num_nodes
    for kind in ("_slice_dict", "_inc_dict"):
        one, other = getattr(ours, kind), getattr(theirs, kind)
        assert list(one) == list(other)
        for name in other:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_equals_pygs_collation_field_by_field(windows):
    assert windows.padded.any() and not windows.padded.all()
    ours, theirs = WindowLoader(windows, batch_size=7), DataLoader(windows, batch_size=7)
    assert len(ours) == len(theirs) == 4 and len(windows) % 7
    for one, other in zip(ours, theirs, strict=True):
        assert_same_batch(one, other)


def test_batches_are_separated_into_their_windows(windows):
    batch = WindowLoader(windows, batch_size=5).gather(torch.tensor([3, 0, 8]))
    parts = batch.to_data_list()
    assert len(parts) == 3
    for part, number in zip(parts, (3, 0, 8), strict=True):
        original = windows[number]
        assert list(part.keys()) == list(original.keys())
        for name in original.keys():  # noqa: SIM118
            torch.testing.assert_close(
                part[name], original[name], rtol=0, atol=0, equal_nan=True, msg=name
            )
    assert torch.equal(batch[1].x, windows[0].x)


def test_gather_takes_any_order_and_repetition(windows):
    index = torch.tensor([9, 2, 2, 0])
    batch = WindowLoader(windows, batch_size=2).gather(index)
    assert_same_batch(batch, Batch.from_data_list([windows[int(i)] for i in index]))
    assert WindowLoader(windows, batch_size=2).gather(index[:0]).num_graphs == 0


def test_subsets_load_only_their_windows(windows):
    part = windows.subset(windows.padded)
    for one, other in zip(WindowLoader(part, 2), DataLoader(part, 2), strict=True):
        assert_same_batch(one, other)


def order_of(loader: WindowLoader) -> list[int]:
    return [int(i) for batch in loader for i in batch.window]


def test_shuffle_follows_the_generator(windows):
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    loader = WindowLoader(windows, batch_size=4, shuffle=True, generator=generator)
    first, second = order_of(loader), order_of(loader)
    assert sorted(first) == sorted(second) == list(range(len(windows)))
    assert first != second and first != sorted(first)
    generator.set_state(state)
    assert order_of(loader) == first
    expected = torch.randperm(len(windows), generator=torch.Generator().manual_seed(3))
    assert first == expected.tolist()


def test_order_without_shuffle(windows):
    assert order_of(WindowLoader(windows, batch_size=4)) == list(range(len(windows)))


def test_transform_takes_whole_batches(windows):
    seen = []

    def double(batch: Batch) -> Batch:
        seen.append(batch.num_graphs)
        batch.x = batch.x * 2
        return batch

    loader = WindowLoader(windows, batch_size=20, transform=double)
    x = torch.cat([batch.x for batch in loader])
    assert seen == [20, len(windows) - 20]
    torch.testing.assert_close(x, 2 * torch.cat([data.x for data in windows]))


def test_changing_a_batch_does_not_change_the_table(windows):
    loader = WindowLoader(windows, batch_size=4)
    before = loader.gather(torch.arange(4)).x.clone()
    loader.gather(torch.arange(4)).x.zero_()
    assert torch.equal(loader.gather(torch.arange(4)).x, before)


def test_many_batch_sizes_give_correct_edges(windows):
    """More sizes than the loader keeps edges for, twice each."""
    loader = WindowLoader(windows, batch_size=4)
    for size in [*range(1, 12), *range(1, 12)]:
        index = torch.arange(size)
        other = Batch.from_data_list([windows[i] for i in range(size)])
        assert_same_batch(loader.gather(index), other)


def test_on_the_host_the_loader_shares_the_memory_of_its_windows(windows):
    loader = WindowLoader(windows, batch_size=4)
    for ours, theirs in (
        (loader._table, windows.table.channels),
        (loader._first, windows.first),
        (loader._piece, windows.piece),
    ):
        assert np.shares_memory(ours.numpy(), theirs)


def test_a_loader_without_windows_is_empty(windows):
    loader = WindowLoader(windows[[]], batch_size=4)
    assert len(loader) == 0 and list(loader) == []


def test_batch_size_zero_is_refused(windows):
    with pytest.raises(InputError, match="batch_size must be at least 1 window, got 0"):
        WindowLoader(windows, batch_size=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_are_made_on_the_device_without_the_host(windows):
    index = torch.arange(6, device="cuda")
    loader = WindowLoader(windows, batch_size=6, device="cuda")
    loader.gather(index)
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = loader.gather(index)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert batch.x.is_cuda and batch.num_nodes == 6 * SKELETONS["penn13"].num_joints
    assert_same_batch(batch.cpu(), Batch.from_data_list([windows[i] for i in range(6)]))


def test_to_dense_is_the_layout_of_a_batch():
    x = torch.randn(2, 5, 12, 3)  # graph, node, frame, channel
    assert torch.equal(to_dense(x.view(10, 12, 3), 5), x.transpose(1, 2))
