"""Graphs of different sizes in one rectangle and back, without reading from the device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import cumsum, scatter


class Padding:
    r"""Where each node of a batch lies in a rectangle of ``batch_size`` graphs of ``width`` nodes.

    Args:
        batch: Graph of each node, :math:`(N)`, sorted.
        batch_size: Graphs, :math:`B`.
        width: Nodes of a graph at most, :math:`V`.
        node_id: Place of each node in its graph, :math:`(N)`. (default: the order of the nodes)
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
                return  # Every graph is full: the rectangle is a view.
            sizes = scatter(torch.ones_like(batch), batch, dim_size=batch_size)
            place = torch.arange(nodes, device=batch.device) - cumsum(sizes)[batch]
        else:
            place = node_id
        self.slot = batch * width + place
        self.mask = torch.zeros(cells, dtype=torch.bool, device=batch.device)
        self.mask = self.mask.index_fill(0, self.slot, True).view(batch_size, width)

    def pad(self, x: Tensor) -> Tensor:
        r"""Nodes :math:`(N, T, C)` as graphs :math:`(B, T, V, C)`, zero where no node is."""
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

        Takes the weights as :math:`(B, S, V, V)`. How many pairs there are is read from the device.
        """
        number = torch.arange(self.batch_size * self.width, device=weights.device)
        there = torch.ones_like(number, dtype=torch.bool)
        if self.slot is not None and self.mask is not None:
            there = self.mask
            number = torch.zeros_like(number).index_copy(0, self.slot, number[: len(self.slot)])
        number, there = (y.view(self.batch_size, self.width) for y in (number, there))
        graph, source, target = (there[:, :, None] & there[:, None, :]).nonzero(as_tuple=True)
        index = torch.stack([number[graph, source], number[graph, target]])
        return index, weights[graph, :, source, target]
