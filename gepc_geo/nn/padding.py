"""Padding of graphs of different sizes to one shape, without reads from the device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import cumsum, scatter


class Padding:
    r"""Position of each node of a batch in ``batch_size`` padded graphs of ``width`` nodes.

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
