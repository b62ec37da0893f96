"""Padding of graphs of different sizes to one shape."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import cumsum, scatter

from gepc_geo.errors import InputError
from gepc_geo.nn.checks import check_count, check_length, check_range, indices


class Padding:
    r"""Position of each node of a batch in ``batch_size`` padded graphs of ``width`` nodes.

    Only :meth:`pairs` reads from the device.

    Args:
        batch: Graph of each node, :math:`(N)`, sorted.
        batch_size: Number of graphs, :math:`B`.
        width: Nodes of a padded graph, :math:`V`.
        node_id: Position of each node in its graph, :math:`(N)`. (default: the order of the nodes)

    Attributes:
        slot: Index of each node among all :math:`B V` positions, :math:`(N)`; None if all graphs
            are full.
        mask: True where a graph has a node, :math:`(B, V)`; None if all graphs are full.
    """

    slot: Tensor | None
    mask: Tensor | None

    def __init__(
        self, batch: Tensor, batch_size: int, width: int, node_id: Tensor | None = None
    ) -> None:
        self.batch_size, self.width = batch_size, width
        nodes, cells = batch.numel(), batch_size * width
        self.slot = self.mask = None
        if node_id is None:
            if nodes == cells:
                return  # All graphs are full: the padded batch is a view.
            sizes = scatter(torch.ones_like(batch), batch, dim_size=batch_size)
            node_id = torch.arange(nodes, device=batch.device) - cumsum(sizes)[batch]
        self.slot = batch * width + node_id
        self.mask = torch.zeros(cells, dtype=torch.bool, device=batch.device)
        self.mask = self.mask.index_fill(0, self.slot, True).view(batch_size, width)

    def pad(self, x: Tensor) -> Tensor:
        r"""Nodes :math:`(N, T, C)` as graphs :math:`(B, T, V, C)`, zero where there is no node."""
        if self.slot is not None:
            cells = x.new_zeros(self.batch_size * self.width, *x.shape[1:])
            x = cells.index_copy(0, self.slot, x)
        return x.view(self.batch_size, self.width, *x.shape[1:]).transpose(1, 2)

    def unpad(self, x: Tensor) -> Tensor:
        r"""Graphs :math:`(B, T, V, C)` as nodes :math:`(N, T, C)`."""
        nodes = x.transpose(1, 2).flatten(0, 1)
        return nodes if self.slot is None else nodes.index_select(0, self.slot)

    def pairs(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        r"""All pairs of nodes of each graph :math:`(2, P)` and their weights :math:`(P, S)`.

        Args:
            weights: Weight of each relation, source and target, :math:`(B, S, V, V)`.

        The number of pairs is read from the device.
        """
        node = torch.arange(self.batch_size * self.width, device=weights.device)
        present = torch.ones_like(node, dtype=torch.bool)
        if self.slot is not None and self.mask is not None:
            present = self.mask
            node = torch.zeros_like(node).index_copy(0, self.slot, node[: len(self.slot)])
        node, present = (y.view(self.batch_size, self.width) for y in (node, present))
        graph, source, target = (present[:, :, None] & present[:, None, :]).nonzero(as_tuple=True)
        index = torch.stack([node[graph, source], node[graph, target]])
        return index, weights[graph, :, source, target]


def make_padding(
    x: Tensor,
    batch: Tensor | None,
    node_id: Tensor | None,
    batch_size: int | None,
    max_num_nodes: int | None,
    width: int | None,
    trusted: bool,
) -> Padding:
    """Checks arguments of :meth:`~gepc_geo.nn.SpatialAttentionConv.forward`; pads by them.

    Args:
        x: Node features.
        batch: Graph of each node.
        node_id: Position of each node in its graph; used with ``width`` only.
        batch_size: Number of graphs.
        max_num_nodes: Nodes of the largest graph.
        width: Nodes of each graph in the global adjacency; ``None`` without one.
        trusted: Whether only shapes are checked. Sizes that are not given are still read from the
            device.

    Raises:
        InputError: Sizes or values do not match each other.
    """
    for name, number in (("batch_size", batch_size), ("max_num_nodes", max_num_nodes)):
        if number is not None:
            check_count(name, number, least=0)
    if batch is None:
        if batch_size not in (None, 1):
            raise InputError(f"batch_size must be 1 (one graph) without batch, got {batch_size}")
        batch = torch.zeros(x.size(0), dtype=torch.long, device=x.device)
        batch_size = 1 if batch_size is None else batch_size
        max_num_nodes = x.size(0) if max_num_nodes is None else max_num_nodes
    batch = indices("batch", batch)
    check_length("batch", batch, x.size(0), "nodes")
    sizes = (0, 0)
    if batch_size is None:
        batch_size = int(batch.max()) + 1 if batch.numel() else 0
    if not trusted:
        sizes = _check_batch(batch, batch_size, max_num_nodes)
    if width is None:
        width = max_num_nodes
        if width is None:
            # Also under a compiler, this one number is read from the device.
            width = sizes[1] if not trusted else _largest(batch)
        return Padding(batch, batch_size, width)

    if node_id is None:
        if not trusted and batch_size and sizes != (width, width):
            raise InputError(
                f"each graph must have {width} nodes for the global adjacency without node_id, "
                f"got {sizes[0]} to {sizes[1]}"
            )
        if x.size(0) != batch_size * width:
            raise InputError(
                f"each graph must have {width} nodes for the global adjacency without node_id, "
                f"got {x.size(0)} nodes in {batch_size} graphs"
            )
        return Padding(batch, batch_size, width)
    node_id = indices("node_id", node_id)
    check_length("node_id", node_id, x.size(0), "nodes")
    if not trusted:
        check_range("node_id", node_id, width)
    padding = Padding(batch, batch_size, width, node_id)
    if not trusted and padding.mask is not None and int(padding.mask.sum()) != x.size(0):
        raise InputError("node_id must be unique in each graph, got duplicates")
    return padding


def _largest(batch: Tensor) -> int:
    """Number of nodes of the largest graph."""
    return int(torch.bincount(batch).max()) if batch.numel() else 0


def _check_batch(batch: Tensor, batch_size: int, max_num_nodes: int | None) -> tuple[int, int]:
    """Numbers of nodes of the smallest and of the largest graph."""
    if not batch.numel():
        return 0, 0
    check_range("batch", batch, batch_size)
    if bool((batch[1:] < batch[:-1]).any()):
        raise InputError("batch must be sorted, got values that decrease")
    smallest, largest = map(int, torch.bincount(batch, minlength=batch_size).aminmax())
    if max_num_nodes is not None and largest > max_num_nodes:
        raise InputError(f"max_num_nodes must be at least {largest}, got {max_num_nodes}")
    return smallest, largest
