"""Unrolled graphs: a hand-worked example, collation, and layers over time."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv
from torch_geometric.utils import contains_isolated_nodes, is_undirected

from gepc_geo.errors import InputError
from gepc_geo.transforms.unroll import ToSpatioTemporalGraph
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader


def test_two_joints_over_three_frames_equal_a_hand_worked_graph():
    data = Data(
        x=torch.tensor([[[0.0], [1], [2]], [[10], [11], [12]]]),  # [V, T, C]
        edge_index=torch.tensor([[0], [1]]),
        edge_type=torch.tensor([1]),
        edge_weight=torch.tensor([0.5]),
    )
    out = ToSpatioTemporalGraph()(data)
    assert out.x.flatten().tolist() == [0, 10, 1, 11, 2, 12]
    assert out.joint.tolist() == [0, 1] * 3 and out.time.tolist() == [0, 0, 1, 1, 2, 2]
    assert out.edge_index.tolist() == [
        [0, 2, 4, 0, 1, 2, 3, 2, 3, 4, 5],
        [1, 3, 5, 2, 3, 4, 5, 0, 1, 2, 3],
    ]
    assert out.edge_type.tolist() == [1] * 3 + [3] * 4 + [4] * 4
    assert out.edge_weight.tolist() == [0.5] * 3 + [1] * 8
    # The window itself stays as it was.
    assert data.x.shape == (2, 3, 1) and data.edge_index.shape == (2, 1)


def test_a_batch_is_what_pyg_collates(walkers):
    windows, unroll = PoseWindows(walkers, 12, 30), ToSpatioTemporalGraph()
    ours = next(iter(WindowLoader(windows, batch_size=7, transform=unroll)))
    theirs = next(iter(DataLoader([unroll(windows[i]) for i in range(7)], batch_size=7)))
    assert set(ours.keys()) == set(theirs.keys())
    for name in theirs.to_dict():
        assert torch.equal(ours[name], theirs[name]), name
    for i, one in enumerate(ours.to_data_list()):
        alone = unroll(windows[i])
        for name in alone.to_dict():
            assert torch.equal(one[name], alone[name]), name


def test_every_joint_reaches_its_neighbours_in_time(walkers):
    data = ToSpatioTemporalGraph()(PoseWindows(walkers, 12, 30)[0])
    assert not contains_isolated_nodes(data.edge_index, data.num_nodes)
    along = data.edge_index[:, data.edge_type >= 3]
    assert is_undirected(along, num_nodes=data.num_nodes)
    assert torch.equal(data.joint[along[0]], data.joint[along[1]])
    assert (data.time[along[0]] - data.time[along[1]]).abs().eq(1).all()
    # Frames can be told apart by what reaches them: a change in the first moves the second.
    layer, x = GCNConv(data.x.size(1), 4), data.x.clone()
    x[data.time == 0] += 1
    moved = (layer(x, data.edge_index) - layer(data.x, data.edge_index)).abs().amax(1) > 1e-6
    assert moved[data.time <= 1].all() and not moved[data.time >= 2].any()


def test_windows_without_frames_are_refused():
    with pytest.raises(InputError, match=r"x must have shape \[V, T, C\], got \[4, 3\]"):
        ToSpatioTemporalGraph()(Data(x=torch.zeros(4, 3)))
