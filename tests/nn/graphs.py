"""Small batches of graphs, sparse and dense, and layers with random weights and statistics."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Graphs(NamedTuple):
    """Batch of graphs with missing nodes."""

    dense: Tensor  # [B, T, V, C]
    adj: Tensor  # [B, S, V, V]
    mask: Tensor  # [B, V]
    x: Tensor  # [N, T, C]
    edge_index: Tensor  # [2, E]
    edge_weight: Tensor  # [E]
    edge_type: Tensor  # [E]
    batch: Tensor  # [N]
    node_id: Tensor  # [N]

    @property
    def sparse(self) -> tuple[Tensor, ...]:
        """Arguments of the sparse layer up to ``node_id``."""
        return self[3:]

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes, with which the sparse layer reads nothing from the device."""
        return {"batch_size": self.mask.size(0), "max_num_nodes": self.mask.size(1)}


def random_graphs(
    mask: Tensor,
    channels: int = 3,
    frames: int = 2,
    relations: int = 2,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> Graphs:
    """Random features and edges between the nodes that ``mask`` [B, V] has; zero elsewhere."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)

    count, nodes = mask.shape
    dense = (2 * rand(count, frames, nodes, channels) - 1) * mask[:, None, :, None]
    adj = rand(count, relations, nodes, nodes)
    adj = adj * (rand(*adj.shape) < 0.5) * (mask[:, None, :, None] & mask[:, None, None, :])
    batch, node_id = mask.nonzero(as_tuple=True)
    number = torch.zeros_like(mask, dtype=torch.long)
    number[mask] = torch.arange(len(batch))
    graph, kind, source, target = adj.nonzero(as_tuple=True)
    return Graphs(
        dense,
        adj,
        mask,
        dense.transpose(1, 2)[mask],
        torch.stack([number[graph, source], number[graph, target]]),
        adj[graph, kind, source, target],
        kind,
        batch,
        node_id,
    )


RAGGED = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]], dtype=torch.bool)


def trained(layer: torch.nn.Module, dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    """Sets random norm statistics and weights, and evaluation mode."""
    generator = torch.Generator().manual_seed(7)
    for name, value in layer.state_dict().items():
        if "norm" in name and value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        if name == "adjacency":
            value.add_(torch.rand(value.shape, generator=generator) * 0.2)
    return layer.to(dtype).eval()
