"""Spatial attention graph convolution on padded batches with dense adjacencies."""

from __future__ import annotations

import torch
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.nn.checks import check_features, check_tensor
from gepc_geo.nn.spatial import SpatialAttention


class DenseSpatialAttentionConv(SpatialAttention):
    r"""Dense form of :class:`SpatialAttentionConv`, with the same parameters and ``state_dict``.

    On a PyG batch with one relation, ``normalize="column"`` and no edge weights, both layers give
    the same output with ::

        x, mask = to_dense_batch(data.x, data.batch)
        adj = to_dense_adj(data.edge_index, data.batch).unsqueeze(1)
        adj = adj / adj.sum(2, keepdim=True).clamp(min=1)
        out = layer(x, adj, mask)

    The layer does not return attention weights.

    Args:
        in_channels: Size of each input node feature.
        out_channels: Size of each output node feature.
        num_nodes: Nodes of a graph, :math:`V`; needed by ``global``. (default: :obj:`None`)
        num_relations: Relations (partition subsets), :math:`S`. (default: :obj:`3`)
        branches: Adjacencies to use.
            (default: :obj:`("static", "global", "inferred")`)
        scope: Pairs of nodes that ``inferred`` attends over: ``"all"`` pairs of a graph, or its
            ``"edges"``, the nonzero entries of ``adj``. (default: :obj:`"all"`)
        attention: Attention form of ``inferred``: ``"dot"``, ``"scaled_dot"``, ``"additive"`` or an
            :class:`~gepc_geo.nn.Attention`. (default: :obj:`"dot"`)
        attention_channels: Size of both embeddings of ``inferred``, for each relation.
            (default: a quarter of ``out_channels``)
        normalize: Used by the sparse layer only; this layer does not rescale ``adj``.
            (default: :obj:`"column"`)
        norm: Whether each branch ends with batch normalisation and ReLU. (default: :obj:`True`)
        residual: Whether the layer has a residual connection; it is a 1x1 convolution with batch
            normalisation if input and output sizes differ. (default: :obj:`True`)

    Shapes:
        - **input:** node features :math:`(B, V, C_{in})` or :math:`(B, T, V, C_{in})`, adjacency
          :math:`(S, V, V)`, shared by all graphs, or :math:`(B, S, V, V)`, indexed (relation,
          source, target), mask :math:`(B, V)` *(optional)*
        - **output:** :math:`(B, V, C_{out})` or :math:`(B, T, V, C_{out})`

    Raises:
        InputError: An option is not one of those above.
    """

    def forward(self, x: Tensor, adj: Tensor, mask: Tensor | None = None) -> Tensor:
        r"""Runs the layer.

        Args:
            x: Node features.
            adj: Weights from source :math:`v` to target :math:`w`,
                :math:`\mathbf{M}_s[v, w]`; PyG's dense layers index the target first. Parallel
                edges are one entry, the sum of their weights.
            mask: True where a graph has a node. Other entries of ``x`` and ``adj`` are ignored, and
                the output there is zero. (default: all nodes)

        Returns:
            Node features of the shapes above.

        Raises:
            InputError: Shapes do not match each other or the layer.
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

        outputs = []  # of each branch
        for i, branch in enumerate(self.branches):
            matrix = adj
            if branch == "global" and self.adjacency is not None:
                matrix = self.adjacency
            elif branch == "inferred":
                matrix = self._infer(out, allowed)
            outputs.append(self._convolve(i, out, matrix))
        out = self._combine(outputs, out, mask)
        if mask is not None:
            out = torch.where(mask[:, None, :, None], out, 0)
        return out.squeeze(1) if x.dim() == 3 else out

    def _check_shapes(self, adj: Tensor, mask: Tensor | None, batch: int, nodes: int) -> None:
        if self.adjacency is not None and nodes != self.adjacency.size(1):
            raise InputError(
                f"x must have {self.adjacency.size(1)} nodes in each graph for the global "
                f"adjacency, got {nodes}"
            )
        shape = [self.num_relations, nodes, nodes]
        check_tensor("adj", adj)
        if list(adj.shape) not in (shape, [batch, *shape]):
            raise InputError(
                f"adj must be {shape} or {[batch, *shape]} (S, V, V), got {list(adj.shape)}"
            )
        if mask is not None:
            check_tensor("mask", mask)
        if mask is not None and (mask.dtype != torch.bool or list(mask.shape) != [batch, nodes]):
            raise InputError(
                f"mask must be {[batch, nodes]} of torch.bool, got {list(mask.shape)} of "
                f"{mask.dtype}"
            )
