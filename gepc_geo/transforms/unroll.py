"""Spatio-temporal graphs of windows, with a node for each joint and frame."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from gepc_geo.errors import InputError


@functional_transform("to_spatio_temporal_graph")
class ToSpatioTemporalGraph(BaseTransform):
    r"""Unrolls time into a graph with a node for each joint and frame, for any PyG layer.

    Section 3.1 of the paper connects joints in successive frames; this graph has these edges. Node
    :math:`t V + v` is joint :math:`v` in frame :math:`t`. The order of edges is: those of each
    frame in the order of the window, those from each joint to the next frame, those back to the
    previous frame. It takes a window or a batch of windows of one skeleton; the result for a batch
    equals PyG's collation of the single results.

    Args:
        num_relations: Edge types of the window, :math:`S`; edges forward in time get type
            :math:`S`, edges back in time :math:`S + 1`. (default: :obj:`3`)

    Shapes:
        - **input:** ``x`` :math:`(V, T, C)`, ``edge_index`` :math:`(2, E)`, ``edge_type`` and
          ``edge_weight`` :math:`(E)` *(both optional)*; of a batch :math:`B` times as many
        - **output:** ``x`` :math:`(T V, C)`, ``edge_index`` :math:`(2, E')`, ``edge_type`` and
          ``edge_weight`` (1 along time) :math:`(E')` with :math:`E' = T E + 2 (T - 1) V`, ``joint``
          and ``time`` of each node :math:`(T V)`

    Raises:
        InputError: ``x`` has other dimensions, or the windows of a batch have several skeletons.
    """

    def __init__(self, num_relations: int = 3) -> None:
        self.num_relations = num_relations

    def forward(self, data: Data) -> Data:
        """The graph of a window or a batch; ``data`` is not modified.

        Raises:
            InputError: As the class.
        """
        if data.x.dim() != 3:
            raise InputError(f"x must have shape [V, T, C], got {list(data.x.shape)}")
        data = copy.copy(data)
        if "num_nodes" in data:
            del data.num_nodes  # the window's; PyG derives the graph's from x
        graphs = data.num_graphs if isinstance(data, Batch) else 1
        if isinstance(data, Batch):
            _check_same_size(data)
        nodes, (frames, channels) = data.x.size(0) // graphs, data.x.shape[1:]
        device = data.x.device
        data.x = data.x.view(graphs, nodes, frames, channels).transpose(1, 2).reshape(-1, channels)
        number = torch.arange(graphs * frames * nodes, device=device)
        number = number.view(graphs, frames, nodes)
        data.joint = number % nodes
        data.time = number % (frames * nodes) // nodes

        # Edges of a window, shifted by the nodes of earlier graphs and frames.
        before = number[:, :, 0] - torch.arange(graphs, device=device)[:, None] * nodes
        space = data.edge_index.view(2, graphs, 1, -1) + before[:, :, None]
        earlier, later = number[:, :-1].flatten(1), number[:, 1:].flatten(1)
        time = torch.cat([torch.stack([earlier, later]), torch.stack([later, earlier])], dim=2)
        data.edge_index = torch.cat([space.flatten(2), time], dim=2).flatten(1)

        def unrolled(values: Tensor, forward: float, back: float) -> Tensor:
            repeated = values.view(graphs, 1, -1).expand(-1, frames, -1).flatten(1)
            ends = [values.new_full(earlier.shape, value) for value in (forward, back)]
            return torch.cat([repeated, *ends], dim=1).flatten()

        if "edge_type" in data:
            data.edge_type = unrolled(data.edge_type, self.num_relations, self.num_relations + 1)
        if "edge_weight" in data:
            data.edge_weight = unrolled(data.edge_weight, 1, 1)
        data.joint, data.time = data.joint.flatten(), data.time.flatten()
        if isinstance(data, Batch):
            data.batch = torch.arange(graphs, device=device).repeat_interleave(frames * nodes)
            data.ptr = torch.arange(graphs + 1, device=device) * frames * nodes
            self._tell_collation(data, graphs, frames * nodes)
        return data

    @staticmethod
    def _tell_collation(data: Batch, graphs: int, nodes: int) -> None:
        """Updates the slices of each graph, so that the batch can still be separated."""
        counts = torch.arange(graphs + 1)
        edges = data.edge_index.size(1) // graphs
        slices = {name: counts * nodes for name in ("x", "joint", "time")}
        slices |= {name: counts * edges for name in ("edge_index", "edge_type", "edge_weight")}
        data._slice_dict = {**data._slice_dict, **slices}
        zeros = torch.zeros(graphs, dtype=torch.long)
        data._inc_dict = {**data._inc_dict, "joint": zeros, "time": zeros}
        data._inc_dict["edge_index"] = counts[:graphs] * nodes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_relations={self.num_relations})"


def _check_same_size(batch: Batch) -> None:
    nodes = batch.ptr.diff()
    edges = torch.bincount(batch.batch[batch.edge_index[0]], minlength=batch.num_graphs)
    for name, sizes in (("nodes", nodes), ("edges", edges)):
        if bool((sizes != sizes[:1]).any()):
            raise InputError(
                f"the windows of a batch must have the same number of {name} (one skeleton), got "
                f"{int(sizes.min())} to {int(sizes.max())}"
            )
