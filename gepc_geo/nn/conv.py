"""The spatial attention graph convolution on any PyG graph (section 3.2 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter, to_dense_batch

from gepc_geo.errors import InputError
from gepc_geo.nn.attention import SpatialAttention


class SpatialAttentionConv(SpatialAttention, MessagePassing):
    r"""The three-adjacency graph convolution of `"Graph Embedded Pose Clustering for Anomaly
    Detection" <https://arxiv.org/abs/1912.11850>`_ (section 3.2).

    .. math::
        \mathbf{H}^{(b)} = \mathrm{ReLU}\Big(\mathrm{BN}\Big(\sum_{s=1}^{S}
        {\mathbf{M}^{(b)}_s}^{\top} \mathbf{X} \mathbf{W}^{(b)}_s\Big)\Big), \qquad
        \mathbf{X}^{\prime} = \big[\mathbf{H}^{(A)} \,\Vert\, \mathbf{H}^{(B)} \,\Vert\,
        \mathbf{H}^{(C)}\big]\mathbf{W} + \mathrm{res}(\mathbf{X})

    with :math:`\mathbf{M}_{s}[v, w]` the weight from source :math:`v` to target :math:`w`:
    ``static`` (:math:`\mathbf{A}`: ``edge_index``, one matrix for each ``edge_type``), ``global``
    (:math:`\mathbf{B}`: learned, shared by all graphs, uniform at the start) and ``inferred``:

    .. math::
        \mathbf{C}_s[v, w] = \underset{v}{\mathrm{softmax}} \sum_{t}
        \langle \theta_s(\mathbf{x}_{v,t}), \phi_s(\mathbf{x}_{w,t}) \rangle .

    Args:
        in_channels: Size of each input node feature.
        out_channels: Size of each output node feature.
        num_nodes: Nodes of a graph, :math:`V`; needed by ``global``. (default: :obj:`None`)
        num_relations: Edge types (partition subsets), :math:`S`. (default: :obj:`3`)
        branches: Which adjacencies to use. (default: all three)
        attention_channels: Size of the two embeddings of ``inferred``, for each relation.
            (default: a quarter of ``out_channels``)
        norm: Batch normalisation and ReLU in each branch. (default: :obj:`True`)
        residual: The residual connection; 1x1 with batch normalisation where sizes differ.
            (default: :obj:`True`)

    Shapes:
        - **input:** node features :math:`(N, C_{in})` or :math:`(N, T, C_{in})`, edges
          :math:`(2, E)`, edge weights :math:`(E)` *(optional)*, edge types :math:`(E)`
          *(optional)*, batch vector :math:`(N)` *(optional)*
        - **output:** :math:`(N, C_{out})` or :math:`(N, T, C_{out})`
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_nodes: int | None = None,
        num_relations: int = 3,
        branches: Sequence[str] = ("static", "global", "inferred"),
        attention_channels: int | None = None,
        norm: bool = True,
        residual: bool = True,
    ) -> None:
        MessagePassing.__init__(self, aggr="add", node_dim=0)
        self._make(
            in_channels,
            out_channels,
            num_nodes,
            num_relations,
            branches,
            attention_channels,
            norm,
            residual,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all learned weights anew; ``global`` becomes uniform."""
        MessagePassing.reset_parameters(self)
        SpatialAttention.reset_parameters(self)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        r"""Runs the layer.

        Args:
            x: Node features :math:`(N, C)` or :math:`(N, T, C)`.
            edge_index: Edges from source to target.
            edge_weight: Default: one over the target's number of incoming edges.
            edge_type: Relation of each edge. (default: all 0)
            batch: Graph of each node, sorted. (default: one graph)

        Raises:
            InputError: With ``global``, a graph of another size than ``num_nodes``.
        """
        flat = x.dim() == 2
        x = x.unsqueeze(1) if flat else x  # [N, T, C]
        if batch is None:
            batch = x.new_zeros(x.size(0), dtype=torch.long)
        gathered = []
        if "static" in self.branches:
            if edge_type is None:
                edge_type = torch.zeros_like(edge_index[0])
            if edge_weight is None:
                ones = x.new_ones(edge_index.size(1))
                degree = scatter(ones, edge_index[1], dim_size=x.size(0))
                edge_weight = ones / degree[edge_index[1]]
            # propagate gives [N * S, T, C]: every target and relation on its own.
            out = self.propagate(  # type: ignore[operator]
                edge_index, x=x, edge_weight=edge_weight, edge_type=edge_type
            )
            out = out.view(x.size(0), self.num_relations, x.size(1), x.size(2))
            gathered.append(out.transpose(1, 2).flatten(2))
        if "global" in self.branches or "inferred" in self.branches:
            dense, mask = to_dense_batch(x, batch)  # [B, V, T, C], [B, V]
            dense = dense.transpose(1, 2)  # [B, T, V, C]
            if "global" in self.branches:
                if not bool((mask.sum(1) == self.num_nodes).all()):
                    raise InputError(
                        f"a graph has {int(mask.sum(1).min())} to {int(mask.sum(1).max())} nodes, "
                        f"expected exactly {self.num_nodes} for the global adjacency"
                    )
                gathered.append(self._gather(dense, self.adjacency).transpose(1, 2)[mask])
            if "inferred" in self.branches:
                inferred = self._infer(dense, mask)
                gathered.append(self._gather(dense, inferred).transpose(1, 2)[mask])
        out = self._combine(gathered, x)
        return out.squeeze(1) if flat else out

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        """Source features times the edge's weight."""
        return edge_weight.view(-1, 1, 1) * x_j

    def aggregate(
        self, inputs: Tensor, index: Tensor, edge_type: Tensor, dim_size: int | None = None
    ) -> Tensor:
        """Sums messages for each target and relation: :math:`(N S, T, C)`."""
        assert dim_size is not None
        index = index * self.num_relations + edge_type
        return scatter(inputs, index, dim=0, dim_size=dim_size * self.num_relations)


class DenseSpatialAttentionConv(SpatialAttention, nn.Module):
    r"""The dense twin of :class:`SpatialAttentionConv` for graphs that share one adjacency.

    Parameters and ``state_dict`` are the same; ``adj`` is :math:`(S, V, V)`, indexed (relation,
    source, target).

    Args:
        in_channels: Size of each input node feature.
        out_channels: Size of each output node feature.
        num_nodes: Nodes of a graph, :math:`V`; needed by ``global``. (default: :obj:`None`)
        num_relations: Relations (partition subsets), :math:`S`. (default: :obj:`3`)
        branches: Which adjacencies to use. (default: all three)
        attention_channels: Size of the two embeddings of ``inferred``, for each relation.
            (default: a quarter of ``out_channels``)
        norm: Batch normalisation and ReLU in each branch. (default: :obj:`True`)
        residual: The residual connection; 1x1 with batch normalisation where sizes differ.
            (default: :obj:`True`)

    Shapes:
        - **input:** :math:`(B, T, V, C_{in})`, :math:`(S, V, V)`
        - **output:** :math:`(B, T, V, C_{out})`
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_nodes: int | None = None,
        num_relations: int = 3,
        branches: Sequence[str] = ("static", "global", "inferred"),
        attention_channels: int | None = None,
        norm: bool = True,
        residual: bool = True,
    ) -> None:
        nn.Module.__init__(self)
        self._make(
            in_channels,
            out_channels,
            num_nodes,
            num_relations,
            branches,
            attention_channels,
            norm,
            residual,
        )
        self.reset_parameters()

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        r"""Runs the layer on :math:`(B, T, V, C)` with ``adj`` :math:`(S, V, V)`."""
        gathered = []
        if "static" in self.branches:
            gathered.append(self._gather(x, adj))
        if "global" in self.branches:
            gathered.append(self._gather(x, self.adjacency))
        if "inferred" in self.branches:
            gathered.append(self._gather(x, self._infer(x)))
        return self._combine(gathered, x)
