"""Spatial attention graph convolution on any PyG graph (section 3.2 of the paper)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric import EdgeIndex, is_compiling
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import Adj, SparseTensor
from torch_geometric.utils import is_sparse, scatter, softmax, to_edge_index
from torch_geometric.utils.sparse import set_sparse_value

from gepc_geo.errors import InputError
from gepc_geo.nn.attention import full_precision
from gepc_geo.nn.checks import check_features, check_length, check_range, check_tensor, indices
from gepc_geo.nn.padding import make_padding
from gepc_geo.nn.spatial import SpatialAttention


class Edges(NamedTuple):
    r"""Edges in stored order.

    ``source`` and ``target`` index pairs of a node and a relation, :math:`w S + s`.
    """

    edge_index: Tensor  # [2, E]
    source: Tensor  # [E]
    target: Tensor  # [E]
    weight: Tensor | None  # [E], values of a sparse adjacency


class SpatialAttentionConv(SpatialAttention, MessagePassing):
    r"""Graph convolution with three adjacencies: static, learned and inferred by attention.

    It is the layer of `"Graph Embedded Pose Clustering for Anomaly Detection"
    <https://arxiv.org/abs/1912.11850>`_ (section 3.2):

    .. math::
        \mathbf{H}^{(b)} = \mathrm{ReLU}\Big(\mathrm{BN}\Big(\sum_{s=1}^{S}
        {\mathbf{M}^{(b)}_s}^{\top} \mathbf{X} \mathbf{W}^{(b)}_s\Big)\Big), \qquad
        \mathbf{X}^{\prime} = \big[\mathbf{H}^{(A)} \,\Vert\, \mathbf{H}^{(B)} \,\Vert\,
        \mathbf{H}^{(C)}\big]\mathbf{W} + \mathrm{res}(\mathbf{X})

    :math:`\mathbf{M}_{s}[v, w]` is the weight from source :math:`v` to target :math:`w` under
    relation :math:`s`. Each branch has its own matrix:

    - ``static`` (:math:`\mathbf{A}`) is the graph: ``edge_index`` and ``edge_weight``, one matrix
      for each ``edge_type``.
    - ``global`` (:math:`\mathbf{B}`) is learned, shared by all graphs, and uniform at the start. It
      has one row and one column for each of ``num_nodes`` nodes. Graphs in which some of these
      nodes are missing need ``node_id``.
    - ``inferred`` (:math:`\mathbf{C}`) is an attention between the nodes of each graph,

      .. math::
          \mathbf{C}_s[v, w] = \underset{v}{\mathrm{softmax}} \sum_{t}
          \langle \theta_s(\mathbf{x}_{v,t}), \phi_s(\mathbf{x}_{w,t}) \rangle ,

      over all nodes :math:`v` of the graph (``scope="all"``, the paper; memory grows with the
      square of the number of nodes), or only over nodes with an edge of type :math:`s` to
      :math:`w` (``scope="edges"``, for graphs of any size). The layer adds no self-loops.

    For a node without any source, the output of a branch is its bias. With ``norm``, a training
    batch with fewer than two values of a channel is normalised by the running statistics.

    Edge masks of :class:`torch_geometric.explain.Explainer` act on the branches that pass messages
    along ``edge_index``: ``static``, and ``inferred`` with ``scope="edges"``. The other branches
    ignore them. Explainers need node features of two dimensions: wrap the layer in a model that
    takes :math:`(N, T C)` and reshapes.

    The keys of ``state_dict`` are stable, and the same as those of
    :class:`DenseSpatialAttentionConv`: ``weight`` (branches, relations x in, out), ``adjacency``
    (``global``: relation, source, target), ``attention.theta.*`` and ``attention.phi.*``
    (``inferred``), ``norms.<branch>.*`` or, without ``norm``, ``bias`` (branches, out),
    ``reduction.*`` (out, branches x out), and, if sizes differ, ``shortcut.*`` and
    ``shortcut_norm.*``. Branches are in the order above, relations in the order of their numbers.

    Args:
        in_channels: Size of each input node feature.
        out_channels: Size of each output node feature.
        num_nodes: Nodes of a graph, :math:`V`; needed by ``global``. (default: :obj:`None`)
        num_relations: Edge types (partition subsets), :math:`S`. (default: :obj:`3`)
        branches: Adjacencies to use.
            (default: :obj:`("static", "global", "inferred")`)
        scope: Pairs of nodes that ``inferred`` attends over: ``"all"`` pairs of a graph, or its
            ``"edges"``. (default: :obj:`"all"`)
        attention: Attention form of ``inferred``: ``"dot"`` (the paper), ``"scaled_dot"``,
            ``"additive"`` (as in :class:`~torch_geometric.nn.conv.GATConv`), or an
            :class:`~gepc_geo.nn.Attention`, which is not reinitialised. (default: :obj:`"dot"`)
        attention_channels: Size of both embeddings of ``inferred``, for each relation; used by
            ``"dot"`` and ``"scaled_dot"``. (default: a quarter of ``out_channels``)
        normalize: Weights of ``static`` if ``edge_weight`` is not given. They are the values of a
            sparse tensor, or ones; ``"column"`` divides them by their sum over all edges into the
            target, ``"none"`` does not. (default: :obj:`"column"`)
        norm: Whether each branch ends with batch normalisation and ReLU. (default: :obj:`True`)
        residual: Whether the layer has a residual connection; it is a 1x1 convolution with batch
            normalisation if input and output sizes differ. (default: :obj:`True`)

    Shapes:
        - **input:** node features :math:`(N, C_{in})` or :math:`(N, T, C_{in})`, edges
          :math:`(2, E)` or a transposed sparse tensor, edge weights :math:`(E)` *(optional)*, edge
          types :math:`(E)` *(optional)*, batch vector :math:`(N)` *(optional)*, node ids
          :math:`(N)` *(optional)*
        - **output:** :math:`(N, C_{out})` or :math:`(N, T, C_{out})`. With
          ``return_attention_weights`` also ``((2, E), (E))`` (``scope="edges"``) or
          ``((2, P), (P, S))`` for all :math:`P` pairs of nodes in the same graph
          (``scope="all"``)

    Raises:
        InputError: An option is not one of those above.
    """

    _base_options = {"aggr": "add", "node_dim": 0}

    def forward(
        self,
        x: Tensor,
        edge_index: Adj,
        edge_weight: Tensor | None = None,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
        node_id: Tensor | None = None,
        batch_size: int | None = None,
        max_num_nodes: int | None = None,
        return_attention_weights: bool = False,
    ) -> Tensor | tuple[Tensor, tuple[Adj, Tensor]]:
        r"""Runs the layer.

        Under a compiler, or with both ``batch_size`` and ``max_num_nodes``, the layer checks shapes
        only, not values; a ``max_num_nodes`` that is too small then mixes graphs. With both, the
        layer reads nothing from the device, except for a CSR tensor of edges and for the attention
        weights of ``scope="all"``.

        Args:
            x: Node features.
            edge_index: Edges from source to target: a tensor, an
                :class:`~torch_geometric.EdgeIndex` or a transposed sparse tensor (its rows are
                targets; CSR or COO). Every edge counts: parallel edges each pass a message, and
                ``scope="edges"`` also attends along edges of weight 0.
            edge_weight: Weight of each edge, in stored order, used without normalisation.
                (default: see ``normalize``)
            edge_type: Relation of each edge, in stored order. (default: all 0)
            batch: Graph of each node, sorted. (default: one graph)
            node_id: Index of each node among ``num_nodes``; used by ``global`` only.
                (default: every graph has all nodes, in order)
            batch_size: Number of graphs. (default: read from ``batch``)
            max_num_nodes: Nodes of the largest graph. (default: read from ``batch``)
            return_attention_weights: Whether to return ``(out, (edge_index, weights))`` with the
                weights of ``inferred`` before any edge mask. With ``scope="edges"``,
                ``edge_index`` is the argument (a sparse tensor holds the weights) and each edge has
                one weight, under its own type. With ``scope="all"``, ``edge_index`` is all pairs of
                nodes in the same graph, and each pair has one weight for each relation.
                (default: :obj:`False`)

        Returns:
            Node features of the shapes above, and the attention weights on request.

        Raises:
            InputError: Sizes or values do not match each other or the layer.
        """
        check_features(x, self.in_channels, (2, 3), "[N, C] or [N, T, C]")
        if return_attention_weights and self.attention is None:
            raise InputError(
                f"branches must have inferred for attention weights, got {list(self.branches)}"
            )
        trusted = is_compiling() or (batch_size is not None and max_num_nodes is not None)
        out = x.unsqueeze(1) if x.dim() == 2 else x  # [N, T, C]
        outputs: list[Tensor] = []  # of each branch
        attended: tuple[Adj, Tensor] | None = None

        along_edges = "inferred" in self.branches and self.scope == "edges"
        if "static" in self.branches or along_edges:
            edges = self._edges(edge_index, edge_type, x.size(0), trusted)
        if "global" in self.branches or ("inferred" in self.branches and not along_edges):
            width = None if self.adjacency is None else self.adjacency.size(1)
            padding = make_padding(x, batch, node_id, batch_size, max_num_nodes, width, trusted)
            dense = padding.pad(out)  # [B, T, V, C]

        if "static" in self.branches:
            summed = self._pass(out, edges, self._weights(out, edges, edge_weight))
            outputs.append(self._mix(len(outputs), summed))
        if self.adjacency is not None:
            convolved = self._convolve(len(outputs), dense, self.adjacency)
            outputs.append(padding.unpad(convolved))
        if along_edges:
            alpha = self._attend(out, edges)  # [E]
            outputs.append(self._mix(len(outputs), self._pass(out, edges, alpha)))
            if return_attention_weights:
                sparse = is_sparse(edge_index)
                attended = set_sparse_value(edge_index, alpha) if sparse else edge_index, alpha
        elif "inferred" in self.branches:
            mask = padding.mask
            inferred = self._infer(dense, None if mask is None else mask[:, None, :, None])
            outputs.append(padding.unpad(self._convolve(len(outputs), dense, inferred)))
            if return_attention_weights:
                attended = padding.pairs(inferred)

        out = self._combine(outputs, out)
        out = out.squeeze(1) if x.dim() == 2 else out
        return (out, attended) if return_attention_weights and attended is not None else out

    def _edges(
        self, edge_index: Adj, edge_type: Tensor | None, num_nodes: int, trusted: bool
    ) -> Edges:
        weight = None
        if isinstance(edge_index, SparseTensor):
            raise InputError(
                "edge_index must be a tensor, an EdgeIndex or a transposed torch sparse tensor "
                "(to_torch_sparse_csr_tensor()), got a torch_sparse.SparseTensor"
            )
        if is_sparse(edge_index):
            if edge_index.layout == torch.sparse_csc:
                raise InputError(
                    "edge_index must be the transposed matrix in CSR or COO layout (t()), got a "
                    "sparse tensor in CSC layout"
                )
            if tuple(edge_index.size()) != (num_nodes, num_nodes):
                raise InputError(
                    f"edge_index must be a sparse tensor of {[num_nodes, num_nodes]}, "
                    f"got {list(edge_index.size())}"
                )
            index, weight = to_edge_index(edge_index)
            index = index.flip(0)
        else:
            index = edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index
            index = indices("edge_index", index)
            if index.dim() != 2 or index.size(0) != 2:
                raise InputError(f"edge_index must be [2, E], got {list(index.shape)}")
        if not trusted:
            check_range("edge_index", index, num_nodes)
        if edge_type is None:
            source, target = index[0] * self.num_relations, index[1] * self.num_relations
        else:
            edge_type = indices("edge_type", edge_type)
            check_length("edge_type", edge_type, index.size(1), "edges")
            if not trusted:
                check_range("edge_type", edge_type, self.num_relations)
            source, target = index * self.num_relations + edge_type
        return Edges(index, source, target, weight)

    def _weights(self, x: Tensor, edges: Edges, edge_weight: Tensor | None) -> Tensor:
        """Static weight of each edge [E]."""
        if edge_weight is not None:
            check_tensor("edge_weight", edge_weight)
            check_length("edge_weight", edge_weight, edges.edge_index.size(1), "edges")
            return edge_weight.to(x.dtype)
        weight = torch.ones_like(edges.target) if edges.weight is None else edges.weight
        # Sums of many edges overflow the digits of half precision.
        weight = weight.to(torch.promote_types(x.dtype, torch.float32))
        if self.normalize == "column":
            target = edges.edge_index[1]
            total = scatter(weight, target, dim_size=x.size(0))
            weight = weight / torch.where(total == 0, 1, total)[target]
        return weight.to(x.dtype)

    def _attend(self, x: Tensor, edges: Edges) -> Tensor:
        """Inferred weight of each edge [E] under its own relation."""
        assert self.attention is not None
        source, target = self.attention(x)  # [N, T, S, D]
        groups = x.size(0) * self.num_relations
        with torch.autocast(x.device.type, enabled=False):
            logits = self.attention.score(
                full_precision(source).transpose(1, 2).flatten(0, 1).index_select(0, edges.source),
                full_precision(target).transpose(1, 2).flatten(0, 1).index_select(0, edges.target),
            )
        alpha: Tensor = softmax(logits, edges.target, num_nodes=groups)
        return alpha.to(x.dtype)

    def _pass(self, x: Tensor, edges: Edges, weight: Tensor) -> Tensor:
        """Sums sources into targets along edges: [N, T, C] and [E] -> [N, T, S * C]."""
        out: Tensor = self.propagate(  # type: ignore[operator]
            edges.edge_index, x=x, edge_weight=weight, group=edges.target
        )
        out = out.view(x.size(0), self.num_relations, x.size(1), x.size(2))
        return out.transpose(1, 2).flatten(2)

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        """Multiplies source features with edge weights."""
        return edge_weight.view(-1, 1, 1) * x_j

    def aggregate(self, inputs: Tensor, group: Tensor, dim_size: int | None = None) -> Tensor:
        """Sums messages for each target and relation: :math:`(N S, T, C)`."""
        assert dim_size is not None
        out: Tensor = scatter(inputs, group, dim=0, dim_size=dim_size * self.num_relations)
        return out
