"""The spatial attention convolution: sparse and dense against each other and against plain loops."""

from __future__ import annotations

import copy
import math
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError
from gepc_geo.nn import DenseSpatialAttentionConv, SpatialAttentionConv
from gepc_geo.skeleton import SKELETONS

BRANCHES = ("static", "global", "inferred")
SUBSETS = [c for n in (1, 2, 3) for c in combinations(BRANCHES, n)]


def batched(adj: torch.Tensor, graphs: int) -> tuple[torch.Tensor, ...]:
    """A block-diagonal batch of graphs with a dense adjacency."""
    kind, source, target = adj.nonzero(as_tuple=True)
    shift = torch.arange(graphs).repeat_interleave(len(kind)) * adj.size(1)
    edge_index = torch.stack([source.repeat(graphs), target.repeat(graphs)]) + shift
    weight = adj[kind, source, target].repeat(graphs)
    batch = torch.arange(graphs).repeat_interleave(adj.size(1))
    return edge_index, weight, kind.repeat(graphs), batch


def oracle(layer: SpatialAttentionConv, x: torch.Tensor, adj: torch.Tensor) -> torch.Tensor:
    """The formulas of section 3.2, a number at a time: x [T, V, C] of one graph, evaluation mode."""
    state = {k: v.double() for k, v in layer.state_dict().items()}
    frames, nodes, _ = x.shape
    relations, out = layer.num_relations, layer.out_channels
    stacked = torch.zeros(frames, nodes, len(layer.branches) * out, dtype=torch.float64)
    for b, branch in enumerate(layer.branches):
        weight = state["weight"][b].view(relations, layer.in_channels, out)
        for s in range(relations):
            if branch == "static":
                matrix = adj[s]
            elif branch == "global":
                matrix = state["adjacency"][s]
            else:
                width = layer.attention_channels
                rows = slice(s * width, (s + 1) * width)
                logits = torch.zeros(nodes, nodes, dtype=torch.float64)
                for v in range(nodes):
                    for w in range(nodes):
                        for t in range(frames):
                            theta = (
                                state["attention.theta.weight"][rows] @ x[t, v] + state["attention.theta.bias"][rows]
                            )
                            phi = state["attention.phi.weight"][rows] @ x[t, w] + state["attention.phi.bias"][rows]
                            logits[v, w] += theta @ phi
                matrix = torch.stack([logits[:, w].softmax(0) for w in range(nodes)], 1)
            for t in range(frames):
                for w in range(nodes):
                    for v in range(nodes):
                        stacked[t, w, b * out : (b + 1) * out] += matrix[v, w] * (
                            x[t, v] @ weight[s]
                        )
    if layer.norm is None:
        stacked = stacked + state["bias"]
    else:
        scale = state["norm.weight"] / (state["norm.running_var"] + layer.norm.eps).sqrt()
        stacked = ((stacked - state["norm.running_mean"]) * scale + state["norm.bias"]).relu()
    result = stacked @ state["reduction.weight"].T + state["reduction.bias"]
    if not layer.residual:
        return result
    if layer.shortcut is None:
        return result + x
    short = x @ state["shortcut.weight"].T
    scale = (
        state["shortcut_norm.weight"]
        / (state["shortcut_norm.running_var"] + layer.shortcut_norm.eps).sqrt()
    )
    return (
        result + (short - state["shortcut_norm.running_mean"]) * scale + state["shortcut_norm.bias"]
    )


def with_statistics(layer: torch.nn.Module) -> torch.nn.Module:
    """Norm statistics and weights as training would leave them, not zeros and ones."""
    generator = torch.Generator().manual_seed(7)
    for name, value in layer.state_dict().items():
        if "norm" in name and value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        if name == "adjacency":
            value.add_(torch.rand(value.shape, generator=generator) * 0.2)
    return layer


@pytest.mark.parametrize("branches", SUBSETS, ids="+".join)
@pytest.mark.parametrize(
    ("norm", "residual", "out"), [(True, True, 4), (True, True, 6), (False, False, 3)]
)
def test_both_forms_equal_plain_loops(branches, norm, residual, out):
    torch.manual_seed(0)
    adj = SKELETONS["box5"].adjacency().double()
    layer = SpatialAttentionConv(4, out, 5, branches=branches, norm=norm, residual=residual)
    layer = with_statistics(layer).double().eval()
    dense = DenseSpatialAttentionConv(4, out, 5, branches=branches, norm=norm, residual=residual)
    dense.double().load_state_dict(layer.state_dict())
    dense.eval()
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    expected = torch.stack([oracle(layer, one, adj) for one in x])
    torch.testing.assert_close(dense(x, adj), expected, rtol=1e-10, atol=1e-10)
    edge_index, weight, kind, batch = batched(adj, 2)
    flat = x.transpose(1, 2).reshape(10, 3, 4)
    sparse = layer(flat, edge_index, weight, kind, batch).view(2, 5, 3, out).transpose(1, 2)
    torch.testing.assert_close(sparse, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    nodes=st.integers(1, 7),
    relations=st.integers(1, 3),
    frames=st.integers(1, 4),
    branches=st.sampled_from(SUBSETS),
    double=st.booleans(),
)
def test_sparse_and_dense_agree_forward_and_backward(
    seed, nodes, relations, frames, branches, double
):
    torch.manual_seed(seed)
    dtype = torch.float64 if double else torch.float32
    tolerance = 1e-10 if double else 1e-5
    adj = torch.rand(relations, nodes, nodes, dtype=dtype)
    adj = adj * (torch.rand(relations, nodes, nodes) < 0.5)
    sparse = SpatialAttentionConv(3, 5, nodes, relations, branches).to(dtype)
    dense = DenseSpatialAttentionConv(3, 5, nodes, relations, branches).to(dtype)
    dense.load_state_dict(sparse.state_dict())
    sparse.eval(), dense.eval()
    x = torch.randn(3, frames, nodes, 3, dtype=dtype, requires_grad=True)
    edge_index, weight, kind, batch = batched(adj, 3)
    flat = x.transpose(1, 2).reshape(3 * nodes, frames, 3)
    one = sparse(flat, edge_index, weight, kind, batch)
    one = one.view(3, nodes, frames, 5).transpose(1, 2)
    other = dense(x, adj)
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    probe = torch.randn_like(other)
    names = [name for name, _ in sparse.named_parameters()]
    ours = torch.autograd.grad((one * probe).sum(), [x, *sparse.parameters()])
    theirs = torch.autograd.grad((other * probe).sum(), [x, *dense.parameters()])
    for name, a, b in zip(["x", *names], ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=10 * tolerance, atol=10 * tolerance, msg=name)


def test_flat_features_are_one_frame():
    layer = SpatialAttentionConv(4, 6, 5).eval()
    edge_index, weight, kind, batch = batched(SKELETONS["box5"].adjacency(), 2)
    x = torch.randn(10, 4)
    out = layer(x, edge_index, weight, kind, batch)
    assert out.shape == (10, 6)
    torch.testing.assert_close(
        out, layer(x.unsqueeze(1), edge_index, weight, kind, batch).squeeze(1)
    )


def test_default_weights_average_over_incoming_edges():
    layer = SpatialAttentionConv(2, 2, num_relations=1, branches=("static",)).eval()
    edge_index = torch.tensor([[0, 1, 2, 0], [1, 1, 1, 2]])
    x = torch.randn(3, 2)
    explicit = layer(x, edge_index, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0]))
    torch.testing.assert_close(layer(x, edge_index), explicit)


def test_inferred_takes_graphs_of_different_sizes():
    """Each graph of a ragged batch alone gives the same."""
    layer = SpatialAttentionConv(3, 4, branches=("inferred",), num_relations=2).eval()
    x = torch.randn(9, 2, 3)
    batch = torch.tensor([0, 0, 1, 1, 1, 1, 1, 2, 2])
    none = torch.zeros(2, 0, dtype=torch.long)
    together = layer(x, none, batch=batch)
    apart = torch.cat([layer(x[batch == g], none) for g in range(3)])
    torch.testing.assert_close(together, apart)


def test_global_needs_graphs_of_its_size():
    layer = SpatialAttentionConv(3, 4, 5, branches=("global",))
    with pytest.raises(InputError, match="4 to 5 nodes, expected exactly 5"):
        layer(
            torch.randn(9, 3),
            torch.zeros(2, 0, dtype=torch.long),
            batch=torch.tensor([0] * 4 + [1] * 5),
        )
    with pytest.raises(InputError, match="num_nodes is None"):
        SpatialAttentionConv(3, 4)
    with pytest.raises(InputError, match=r"branches are \['local'\]"):
        SpatialAttentionConv(3, 4, 5, branches=["local"])


def test_global_starts_uniform_over_the_complete_graph():
    layer = DenseSpatialAttentionConv(3, 4, 5)
    assert torch.equal(layer.adjacency, torch.full((3, 5, 5), 0.2))


def test_attention_is_a_distribution_over_sources():
    layer = DenseSpatialAttentionConv(3, 4, 6)
    adjacency = layer._infer(torch.randn(2, 4, 6, 3))
    assert adjacency.shape == (2, 3, 6, 6)
    torch.testing.assert_close(adjacency.sum(2), torch.ones(2, 3, 6))


@pytest.mark.parametrize("kind", [SpatialAttentionConv, DenseSpatialAttentionConv])
def test_copies_files_and_resets(kind, tmp_path):
    torch.manual_seed(0)
    layer = kind(3, 4, 5)
    assert "3, 4" in repr(layer) and "inferred" in repr(layer)
    twin = copy.deepcopy(layer)
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    twin.reset_parameters()
    assert not torch.equal(twin.weight, layer.weight)
    twin.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    for one, other in zip(twin.parameters(), layer.parameters(), strict=True):
        assert torch.equal(one, other)
    bound = 1 / math.sqrt(layer.weight.size(1))
    assert layer.weight.abs().max() <= bound


def test_bf16_autocast_stays_close():
    layer = DenseSpatialAttentionConv(8, 16, 17).eval()
    x, adj = torch.randn(4, 12, 17, 8), SKELETONS["coco17"].adjacency()
    exact = layer(x, adj)
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x, adj)
    assert (rough.float() - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_dense_gradients_are_right():
    layer = DenseSpatialAttentionConv(2, 3, 3, num_relations=2).double().eval()
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    adj = torch.rand(2, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda y: layer(y, adj), (x,))
