"""Dense layer: compared with the sparse layer, compiled, exported, with masks."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from graphs import RAGGED, random_graphs, trained
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch_geometric.utils import to_dense_adj, to_dense_batch

from gepc_geo.errors import InputError
from gepc_geo.nn import DenseSpatialAttentionConv, SpatialAttentionConv
from gepc_geo.poses.skeleton import SKELETONS

BRANCHES = ("static", "global", "inferred")
SUBSETS = [c for n in (1, 2, 3) for c in combinations(BRANCHES, n)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    nodes=st.integers(1, 6),
    relations=st.integers(1, 3),
    frames=st.integers(1, 4),
    branches=st.sampled_from(SUBSETS),
    scope=st.sampled_from(["all", "edges"]),
    attention=st.sampled_from(["dot", "scaled_dot", "additive"]),
    norm=st.booleans(),
    training=st.booleans(),
    timeless=st.booleans(),
    full=st.booleans(),
    double=st.booleans(),
    # The side with more channels decides the order of the sums.
    channels=st.sampled_from([2, 5]),
    # From 16 graphs on, another kernel computes the products over channels.
    graphs=st.sampled_from([3, 17]),
    residual=st.booleans(),
)
def test_sparse_and_dense_agree_forward_and_backward(
    seed,
    nodes,
    relations,
    frames,
    branches,
    scope,
    attention,
    norm,
    training,
    timeless,
    full,
    double,
    channels,
    graphs,
    residual,
):
    torch.manual_seed(seed)
    dtype = torch.float64 if double else torch.float32
    tolerance = 1e-10 if double else 1e-5
    options = {"scope": scope, "attention": attention, "norm": norm, "residual": residual}
    sparse = SpatialAttentionConv(3, channels, nodes, relations, branches, **options)
    dense = DenseSpatialAttentionConv(3, channels, nodes, relations, branches, **options)
    if sparse.adjacency is not None:
        # A uniform adjacency gives all nodes of a graph the same sum, without variance.
        sparse.adjacency.data += 0.2 * torch.rand_like(sparse.adjacency)
    dense.load_state_dict(sparse.state_dict())
    mask = torch.rand(graphs, nodes) < (1.0 if full else 0.6)
    frames = 1 if timeless else frames
    # The variance of a few values may be rounding noise in float32.
    assume(not training or int(mask.sum()) * frames > 4)
    g = random_graphs(mask, 3, frames, relations, dtype, seed)
    for layer in (sparse, dense):
        layer.to(dtype).train(training)

    # Values of missing nodes do not matter.
    x = torch.where(mask[:, None, :, None], g.dense, torch.nan).requires_grad_()
    nodes_of = x.transpose(1, 2)[mask]
    one = sparse(nodes_of[:, 0] if timeless else nodes_of, *g.sparse[1:])
    there = mask[:, None, :, None] & mask[:, None, None, :]
    adj = torch.where(there, g.adj, torch.nan)
    other = dense(x[:, 0] if timeless else x, adj, None if full else mask)
    if timeless:
        one, other = one.unsqueeze(1), other.unsqueeze(1)
    assert (other.transpose(1, 2)[~mask] == 0).all()
    other = other.transpose(1, 2)[mask]
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    for (name, a), b in zip(sparse.state_dict().items(), dense.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=name)

    probe = torch.randn_like(other)
    names = ["x", *(name for name, _ in sparse.named_parameters())]
    ours = torch.autograd.grad((one * probe).sum(), [x, *sparse.parameters()], allow_unused=True)
    theirs = torch.autograd.grad((other * probe).sum(), [x, *dense.parameters()], allow_unused=True)
    for name, a, b in zip(names, ours, theirs, strict=True):
        scale = max(1.0, float(a.abs().max())) if a is not None and a.numel() else 1.0
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * scale, msg=name)


def test_one_adjacency_serves_all_graphs():
    layer = trained(DenseSpatialAttentionConv(3, 4, 4, 2, scope="edges"))
    g = random_graphs(torch.ones(3, 4, dtype=torch.bool))
    adj = g.adj[0]
    torch.testing.assert_close(
        layer(g.dense, adj), layer(g.dense, adj.expand(3, -1, -1, -1).contiguous())
    )


@pytest.mark.parametrize("training", [True, False])
def test_graphs_without_nodes_give_zeros_and_change_no_state(training):
    layer = DenseSpatialAttentionConv(3, 4, 4, 2).train(training)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    x = torch.randn(2, 3, 4, 3, requires_grad=True)
    out = layer(x, torch.rand(2, 4, 4), torch.zeros(2, 4, dtype=torch.bool))
    out.sum().backward()
    assert (out == 0).all() and (x.grad == 0).all()
    assert layer(x[:0], torch.rand(2, 4, 4)).shape == (0, 3, 4, 4)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("scope", ["all", "edges"])
def test_compiles_without_graph_breaks_for_any_size(scope):
    torch._dynamo.reset()
    layer = DenseSpatialAttentionConv(3, 4, 4, 2, scope=scope).double()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="eager")
    for rows in ([0, 1, 2], [2, 3], [0, 2, 2, 3]):
        g = random_graphs(RAGGED[rows])
        for arguments in ((g.dense, g.adj, g.mask), (g.dense, g.adj[0])):
            layer.train()
            compiled(*arguments).sum().backward()
            layer.eval()
            torch.testing.assert_close(compiled(*arguments), layer(*arguments))


def test_compiles_to_machine_code():
    torch._dynamo.reset()
    layer = DenseSpatialAttentionConv(3, 4, 4, 2)
    g = random_graphs(RAGGED, dtype=torch.float32)
    x = g.dense.requires_grad_()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    out = compiled(x, g.adj, g.mask)
    (ours,) = torch.autograd.grad(out.square().sum(), x)
    expected = layer(x, g.adj, g.mask)
    (theirs,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("masked", [True, False])
def test_exports_for_any_batch_size(masked):
    torch._dynamo.reset()
    layer = trained(DenseSpatialAttentionConv(3, 4, 4, 2), torch.float32)
    g = random_graphs(RAGGED, dtype=torch.float32)
    arguments = (g.dense, g.adj[2], g.mask) if masked else (g.dense, g.adj[2])
    size = {0: torch.export.Dim("graphs")}
    program = torch.export.export(
        layer, arguments, dynamic_shapes=(size, None, size)[: len(arguments)]
    )
    fewer = (g.dense[1:], g.adj[2], g.mask[1:])[: len(arguments)]
    torch.testing.assert_close(program.module()(*fewer), layer(*fewer))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_close_to_float32(dtype):
    layer = DenseSpatialAttentionConv(8, 16, 17).eval()
    x, adj = torch.randn(4, 12, 17, 8), SKELETONS["coco17"].adjacency()
    exact = layer(x, adj)
    with torch.autocast("cpu", dtype):
        rough = layer(x, adj)
    assert (rough.float() - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_gradients_equal_finite_differences():
    layer = trained(DenseSpatialAttentionConv(2, 3, 4, 2))
    g = random_graphs(RAGGED[:3], 2)
    inputs = (g.dense.requires_grad_(), g.adj.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, adj: layer(x, adj, g.mask), inputs)


@pytest.mark.parametrize(
    ("x", "adj", "mask", "message"),
    [
        (
            (2, 3, 5, 1),
            (2, 5, 5),
            None,
            r"x must be \[B, V, C\] or \[B, T, V, C\] with C = 3, got \[2, 3, 5, 1\]",
        ),
        (
            (2, 4, 3),
            (2, 4, 4),
            None,
            "x must have 5 nodes in each graph for the global adjacency, got 4",
        ),
        (
            (2, 5, 3),
            (3, 5, 5),
            None,
            r"adj must be \[2, 5, 5\] or \[2, 2, 5, 5\] \(S, V, V\), got \[3, 5, 5\]",
        ),
        (
            (2, 5, 3),
            (1, 2, 5, 5),
            None,
            r"adj must be \[2, 5, 5\] or \[2, 2, 5, 5\] \(S, V, V\), got \[1, 2, 5, 5\]",
        ),
        ((2, 5, 3), (2, 5, 5), (2, 4), r"mask must be \[2, 5\] of torch.bool, got \[2, 4\]"),
    ],
)
def test_wrong_input_is_refused(x, adj, mask, message):
    layer = DenseSpatialAttentionConv(3, 4, 5, 2)
    mask = None if mask is None else torch.ones(mask, dtype=torch.bool)
    with pytest.raises(InputError, match=message):
        layer(torch.zeros(x), torch.zeros(adj), mask)


def test_wrong_types_are_refused():
    layer = DenseSpatialAttentionConv(3, 4, 5, 2)
    x, adj = torch.zeros(2, 5, 3), torch.zeros(2, 5, 5)
    with pytest.raises(InputError, match="adj must be a tensor, got list"):
        layer(x, adj.tolist())
    with pytest.raises(InputError, match="mask must be a tensor, got list"):
        layer(x, adj, [[True] * 5] * 2)
    with pytest.raises(InputError, match="x must hold floating point numbers, got torch.int64"):
        layer(x.long(), adj)
    with pytest.raises(InputError, match="out_channels must be a whole number, got 4.0"):
        DenseSpatialAttentionConv(3, 4.0, 5, 2)


def test_dense_batches_of_pyg_give_the_output_of_the_sparse_layer():
    sparse = trained(SpatialAttentionConv(3, 4, None, 1, ("static", "inferred")))
    dense = DenseSpatialAttentionConv(3, 4, None, 1, ("static", "inferred")).double().eval()
    dense.load_state_dict(sparse.state_dict())
    g = random_graphs(torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]).bool(), relations=1, frames=1)
    flat = g.x[:, 0]
    x, mask = to_dense_batch(flat, g.batch)
    adj = to_dense_adj(g.edge_index, g.batch).unsqueeze(1).double()
    adj = adj / adj.sum(2, keepdim=True).clamp(min=1)
    expected = sparse(flat, g.edge_index, batch=g.batch)
    torch.testing.assert_close(dense(x, adj, mask)[mask], expected)
