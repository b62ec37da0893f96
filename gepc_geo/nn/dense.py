"""The spatial attention graph convolution on graphs stored as rectangles."""

from __future__ import annotations

import torch
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.nn.checks import check_features, check_tensor
from gepc_geo.nn.spatial import SpatialAttention


class DenseSpatialAttentionConv(SpatialAttention):
    r"""See :class:`SpatialAttentionConv`, whose parameters and ``state_dict`` this layer shares.

    Of a PyG batch with one relation, ``normalize="column"`` and no weights it is ::

        x, mask = to_dense_batch(data.x, data.batch)
        adj = to_dense_adj(data.edge_index, data.batch).unsqueeze(1)
        adj = adj / adj.sum(2, keepdim=True).clamp(min=1)
        out = layer(x, adj, mask)

    It gives no attention weights.

    Args:
        in_channels: Size of each input node feature.
        out_channels: Size of each output node feature.
        num_nodes: Nodes of a graph, :math:`V`; needed by ``global``. (default: :obj:`None`)
        num_relations: Relations (partition subsets), :math:`S`. (default: :obj:`3`)
        branches: Which adjacencies to use.
            (default: :obj:`("static", "global", "inferred")`)
        scope: The pairs of nodes ``inferred`` attends over: ``"all"`` of a graph, or its
            ``"edges"``, the entries of ``adj`` other than zero. (default: :obj:`"all"`)
        attention: The form of ``inferred``: ``"dot"``, ``"scaled_dot"``, ``"additive"`` or an
            :class:`~gepc_geo.nn.Attention`. (default: :obj:`"dot"`)
        attention_channels: Size of the two embeddings of ``inferred``, for each relation.
            (default: a quarter of ``out_channels``)
        normalize: For the sparse layer; ``adj`` is taken as it is. (default: :obj:`"column"`)
        norm: Batch normalisation and ReLU in each branch. (default: :obj:`True`)
        residual: The residual connection; 1x1 with batch normalisation where sizes differ.
            (default: :obj:`True`)

    Shapes:
        - **input:** node features :math:`(B, V, C_{in})` or :math:`(B, T, V, C_{in})`, adjacency
          :math:`(S, V, V)`, shared by all graphs, or :math:`(B, S, V, V)`, indexed (relation,
          source, target), mask :math:`(B, V)` *(optional)*
        - **output:** :math:`(B, V, C_{out})` or :math:`(B, T, V, C_{out})`
    """

    def forward(self, x: Tensor, adj: Tensor, mask: Tensor | None = None) -> Tensor:
        r"""Runs the layer.

        Args:
            x: Node features.
            adj: Weights from sources to targets: :math:`\mathbf{M}_s[v, w]`, where PyG's dense
                layers take targets first. Edges that are there twice are one entry, their sum.
            mask: True where a graph has a node; what ``x`` and ``adj`` hold elsewhere does not
                matter, and the output there is zero. (default: everywhere)

        Raises:
            InputError: Shapes do not fit one another or the layer.
        """
        check_features(x, self.in_channels, (3, 4), "[B, V, C] or [B, T, V, C]")
        out = x.unsqueeze(1) if x.dim() == 3 else x  # [B, T, V, C]
        batch, _, nodes, _ = out.shape
        self._check_shapes(adj, mask, batch, nodes)
        allowed = None
        if self.scope == "edges":
            allowed = adj != 0  # [(B,) S, V, V]
        if mask is not None:
            sources = mask[:, None, :, None]
            out = torch.where(sources, out, 0)
            adj = torch.where(sources & mask[:, None, None, :], adj, 0)
            allowed = sources if allowed is None else allowed & sources

        parts = []
        for i, branch in enumerate(self.branches):
            matrix = adj
            if branch == "global" and self.adjacency is not None:
                matrix = self.adjacency
            elif branch == "inferred":
                matrix = self._infer(out, allowed)
            parts.append(self._convolve(i, out, matrix))
        out = self._combine(parts, out, mask)
        if mask is not None:
            out = torch.where(mask[:, None, :, None], out, 0)
        return out.squeeze(1) if x.dim() == 3 else out

    def _check_shapes(self, adj: Tensor, mask: Tensor | None, batch: int, nodes: int) -> None:
        if self.adjacency is not None and nodes != self.adjacency.size(1):
            raise InputError(
                f"x has {nodes} nodes a graph, expected exactly {self.adjacency.size(1)} for the "
                "global adjacency"
            )
        shape = [self.num_relations, nodes, nodes]
        check_tensor("adj", adj)
        if list(adj.shape) not in (shape, [batch, *shape]):
            raise InputError(
                f"adj is {list(adj.shape)}, expected {shape} or {[batch, *shape]} (S, V, V)"
            )
        if mask is not None:
            check_tensor("mask", mask)
        if mask is not None and (mask.dtype != torch.bool or list(mask.shape) != [batch, nodes]):
            raise InputError(
                f"mask is {list(mask.shape)} of {mask.dtype}, expected {[batch, nodes]} of torch.bool"
            )
