"""Sparse layer: compared with plain loops, and in tools of PyG."""

from __future__ import annotations

import copy
import math
import pickle
from itertools import combinations

import pytest
import torch
from graphs import RAGGED, Graphs, random_graphs, trained
from helpers import NoReading
from torch_geometric import EdgeIndex
from torch_geometric.data import Data
from torch_geometric.explain import Explainer, GNNExplainer, PGExplainer
from torch_geometric.utils import to_torch_coo_tensor, to_torch_csc_tensor

from gepc_geo.errors import InputError
from gepc_geo.nn import DotProductAttention, SpatialAttentionConv

BRANCHES = ("static", "global", "inferred")
SUBSETS = [c for n in (1, 2, 3) for c in combinations(BRANCHES, n)]
NO_EDGES = torch.zeros(2, 0, dtype=torch.long)


@torch.no_grad()
def logit(layer: SpatialAttentionConv, s: int, xv: torch.Tensor, xw: torch.Tensor) -> float:
    """Logit of target w [T, C] and source v [T, C], as a plain loop."""
    form = layer.attention
    rows = slice(s * form.channels, (s + 1) * form.channels)
    theta = [form.theta.weight[rows] @ row + form.theta.bias[rows] for row in xv]
    phi = [form.phi.weight[rows] @ row + form.phi.bias[rows] for row in xw]
    name, frames = type(form).__name__, len(xv)
    if name == "AdditiveAttention":
        total = sum(float(a + b) for a, b in zip(theta, phi, strict=True)) / frames
        return total if total > 0 else 0.2 * total
    dot = sum(float(a @ b) for a, b in zip(theta, phi, strict=True))
    return dot / math.sqrt(frames * form.channels) if name.startswith("Scaled") else dot


@torch.no_grad()
def matrices(layer: SpatialAttentionConv, g: Graphs, branch: str, s: int) -> torch.Tensor:
    """Weights of sources for targets, [N, N], from the formulas of section 3.2."""
    nodes = len(g.x)
    result = torch.zeros(nodes, nodes, dtype=torch.float64)
    edges = list(zip(*g.edge_index.tolist(), g.edge_type.tolist(), g.edge_weight, strict=True))
    for w in range(nodes):
        mates = [v for v in range(nodes) if g.batch[v] == g.batch[w]]
        if branch == "static":
            for v, target, kind, weight in edges:
                if target == w and kind == s:
                    result[v, w] += weight
        elif branch == "global":
            for v in mates:
                result[v, w] = layer.adjacency[s, g.node_id[v], g.node_id[w]]
        else:
            if layer.scope == "edges":
                mates = [v for v, target, kind, _ in edges if target == w and kind == s]
            powers = [math.exp(logit(layer, s, g.x[v], g.x[w])) for v in mates]
            for v, power in zip(mates, powers, strict=True):
                result[v, w] = power / sum(powers)
    return result


@torch.no_grad()
def oracle(layer: SpatialAttentionConv, g: Graphs) -> torch.Tensor:
    """The layer in evaluation mode as plain loops in float64."""

    def normalize(y: torch.Tensor, norm: torch.nn.BatchNorm2d) -> torch.Tensor:
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return (y - norm.running_mean) * scale + norm.bias

    parts = []
    for b, branch in enumerate(layer.branches):
        weight = layer.weight[b].view(layer.num_relations, layer.in_channels, -1)
        part = torch.zeros(len(g.x), g.x.size(1), layer.out_channels, dtype=torch.float64)
        for s in range(layer.num_relations):
            matrix = matrices(layer, g, branch, s)
            for w in range(len(g.x)):
                for v in range(len(g.x)):
                    for t in range(g.x.size(1)):
                        part[w, t] += matrix[v, w] * (g.x[v, t] @ weight[s])
        if layer.norms is None:
            parts.append(part + layer.bias[b])
        else:
            parts.append(normalize(part, layer.norms[b]).relu())
    out = torch.cat(parts, -1)
    out = out @ layer.reduction.weight.T + layer.reduction.bias
    if not layer.residual:
        return out
    if layer.shortcut is None:
        return out + g.x
    return out + normalize(g.x @ layer.shortcut.weight.T, layer.shortcut_norm)


def check_oracle(**options: object) -> None:
    layer = trained(SpatialAttentionConv(3, num_nodes=4, num_relations=2, **options))
    g = random_graphs(RAGGED)
    torch.testing.assert_close(layer(*g.sparse), oracle(layer, g), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        layer(*g.sparse, **g.sizes), oracle(layer, g), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("branches", SUBSETS, ids="+".join)
def test_equals_plain_loops(branches):
    check_oracle(out_channels=4, branches=branches)


@pytest.mark.parametrize("attention", ["dot", "scaled_dot", "additive"])
@pytest.mark.parametrize("scope", ["all", "edges"])
def test_attention_forms_equal_plain_loops(attention, scope):
    check_oracle(out_channels=8, branches=("inferred",), attention=attention, scope=scope)


@pytest.mark.parametrize(
    ("norm", "residual", "out"), [(False, False, 3), (True, True, 3), (True, True, 2)]
)
def test_norm_and_residual_equal_plain_loops(norm, residual, out):
    check_oracle(out_channels=out, norm=norm, residual=residual)


def layer_and_graphs(**options: object) -> tuple[SpatialAttentionConv, Graphs]:
    """All branches, ragged graphs, in float64 and evaluation mode."""
    layer = SpatialAttentionConv(3, 4, num_nodes=4, num_relations=2, **options)
    return trained(layer), random_graphs(RAGGED)


@pytest.mark.parametrize("scope", ["all", "edges"])
def test_permuting_nodes_permutes_the_output(scope):
    layer, g = layer_and_graphs(scope=scope)
    # Permutes within each graph: sorts by graph, then by a random number.
    order = (g.batch + torch.rand(len(g.batch)) * 0.9).argsort()
    place = order.argsort()
    out = layer(
        g.x[order], place[g.edge_index], g.edge_weight, g.edge_type, g.batch, g.node_id[order]
    )
    torch.testing.assert_close(out, layer(*g.sparse)[order])


@pytest.mark.parametrize("scope", ["all", "edges"])
def test_permuting_graphs_permutes_the_output(scope):
    layer, g = layer_and_graphs(scope=scope)
    graphs = torch.tensor([2, 0, 3, 1])
    order = torch.cat([(g.batch == graph).nonzero()[:, 0] for graph in graphs])
    batch = graphs.argsort()[g.batch[order]]
    ends = order.argsort()[g.edge_index]
    out = layer(g.x[order], ends, g.edge_weight, g.edge_type, batch, g.node_id[order])
    torch.testing.assert_close(out, layer(*g.sparse)[order])


def test_graphs_do_not_leak_into_each_other():
    layer, g = layer_and_graphs()
    x = g.x.clone().requires_grad_()
    layer(x, *g.sparse[1:])[g.batch == 2].square().sum().backward()
    assert x.grad[g.batch == 2].abs().sum() > 0
    assert x.grad[g.batch != 2].abs().sum() == 0


def test_isolated_nodes_get_only_biases_and_the_residual():
    layer = trained(SpatialAttentionConv(3, 3, num_relations=1, branches=("static",), norm=False))
    layer.bias.data.fill_(0.5)
    x = torch.randn(2, 3, dtype=torch.float64)
    out = layer(x, NO_EDGES)
    biases = layer.reduction(torch.full((2, 3), 0.5, dtype=torch.float64))
    torch.testing.assert_close(out, x + biases)


@pytest.mark.parametrize("training", [True, False])
def test_empty_graphs_and_batches_give_empty_outputs(training):
    layer = SpatialAttentionConv(3, 4, num_nodes=4, num_relations=2).train(training)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    empty = torch.zeros(0, 2, 3, requires_grad=True)
    batch = torch.zeros(0, dtype=torch.long)
    for sizes in ({}, {"batch_size": 3, "max_num_nodes": 4}):
        out = layer(empty, NO_EDGES, batch=batch, node_id=batch, **sizes)
        assert out.shape == (0, 2, 4)
        out.sum().backward()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_single_node_trains_without_statistics():
    layer = SpatialAttentionConv(3, 4, num_relations=1, branches=("inferred",))
    assert torch.isfinite(layer(torch.randn(1, 3), NO_EDGES)).all()
    assert int(layer.norms[0].num_batches_tracked) == 0


def test_features_without_frames_are_one_frame():
    layer, g = layer_and_graphs()
    out = layer(g.x[:, 0], *g.sparse[1:])
    assert out.shape == (len(g.x), 4)
    torch.testing.assert_close(out, layer(g.x[:, :1], *g.sparse[1:])[:, 0])


def test_graphs_with_all_nodes_need_no_node_ids():
    layer, _ = layer_and_graphs()
    g = random_graphs(torch.ones(3, 4, dtype=torch.bool))
    expected = layer(*g.sparse)
    torch.testing.assert_close(layer(*g.sparse[:-1]), expected)
    torch.testing.assert_close(layer(*g.sparse[:-1], **g.sizes), expected)


@pytest.mark.parametrize("scope", ["all", "edges"])
def test_sparse_tensors_and_edge_indices_give_the_same_output(scope):
    """A transposed sparse tensor and an EdgeIndex, their weights and types in stored order."""
    layer = trained(
        SpatialAttentionConv(3, 4, num_relations=2, branches=("static", "inferred"), scope=scope)
    )
    g = random_graphs(RAGGED[2:3])
    pairs, first = torch.unique(g.edge_index, dim=1, return_inverse=True)
    kind = torch.zeros(pairs.size(1), dtype=torch.long).index_copy(0, first, g.edge_type)
    weight = torch.rand(pairs.size(1), dtype=torch.float64)
    pairs, size = pairs.contiguous(), (len(g.x), len(g.x))
    stored = (pairs[1] * len(g.x) + pairs[0]).argsort()
    csc, coo = to_torch_csc_tensor(pairs, size=size), to_torch_coo_tensor(pairs.flip(0), size=size)
    index = EdgeIndex(pairs[:, stored].contiguous(), sparse_size=size, sort_order="col")
    for given in (None, weight):
        expected = layer(g.x, pairs, given, kind)
        arranged = None if given is None else given[stored]
        for edges in (csc.t(), coo.coalesce(), index, pairs[:, stored]):
            out = layer(g.x, edges, arranged, kind[stored])
            torch.testing.assert_close(out, expected)


def test_default_weights_average_over_incoming_edges():
    options = {"num_relations": 1, "branches": ("static",)}
    layer = trained(SpatialAttentionConv(2, 2, **options))
    edge_index = torch.tensor([[0, 1, 2, 0], [1, 1, 1, 2]])
    x = torch.randn(3, 2, dtype=torch.float64)
    explicit = layer(x, edge_index, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0]).double())
    torch.testing.assert_close(layer(x, edge_index), explicit, rtol=1e-6, atol=1e-6)
    values = torch.tensor([1.0, 2.0, 1.0, 3.0], dtype=torch.float64)
    held = to_torch_csc_tensor(edge_index, values, size=(3, 3)).t()
    torch.testing.assert_close(
        layer(x, held), layer(x, edge_index, torch.tensor([0.25, 0.5, 0.25, 1.0]).double())
    )
    plain = SpatialAttentionConv(2, 2, normalize="none", **options).double().eval()
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(plain(x, edge_index), layer(x, edge_index, torch.ones(4)))
    torch.testing.assert_close(plain(x, held), layer(x, edge_index, values))


def test_attention_weights_along_edges():
    layer, g = layer_and_graphs(scope="edges")
    out, (edge_index, alpha) = layer(*g.sparse, return_attention_weights=True)
    torch.testing.assert_close(out, layer(*g.sparse))
    assert edge_index is g.edge_index and alpha.shape == g.edge_type.shape
    groups = g.edge_index[1] * 2 + g.edge_type
    totals = torch.zeros(2 * len(g.x), dtype=torch.float64).index_add(0, groups, alpha)
    torch.testing.assert_close(totals[groups], torch.ones_like(alpha))

    single = trained(SpatialAttentionConv(3, 4, None, 1, ("inferred",), scope="edges"))
    pairs = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 1]])
    adj = to_torch_csc_tensor(pairs, size=(3, 3)).t()
    _, (held, alpha) = single(g.x[:3], adj, return_attention_weights=True)
    assert held.layout == adj.layout and torch.equal(held.values(), alpha)
    assert ((alpha > 0) & (alpha < 1)).sum() == 2  # node 1 has two sources


@pytest.mark.parametrize("ragged", [True, False])
def test_attention_weights_over_all_pairs(ragged):
    layer, g = layer_and_graphs()
    g = g if ragged else random_graphs(torch.ones(2, 4, dtype=torch.bool))
    ids = g.sparse if ragged else g.sparse[:-1]
    out, (pairs, alpha) = layer(*ids, return_attention_weights=True)
    torch.testing.assert_close(out, layer(*ids))
    sizes = torch.bincount(g.batch)
    assert pairs.size(1) == int((sizes * sizes).sum()) == len(torch.unique(pairs, dim=1).T)
    assert torch.equal(g.batch[pairs[0]], g.batch[pairs[1]])
    for s in range(2):
        expected = matrices(layer, g, "inferred", s)
        torch.testing.assert_close(alpha[:, s], expected[pairs[0], pairs[1]])
    with pytest.raises(InputError, match="branches must have inferred for attention weights"):
        layer_and_graphs(branches=("static",))[0](*g.sparse, return_attention_weights=True)


@pytest.mark.parametrize("scope", ["all", "edges"])
def test_with_given_sizes_nothing_is_read_from_the_device(scope):
    layer, g = layer_and_graphs(scope=scope)
    layer.train()
    with NoReading():
        layer(*g.sparse, **g.sizes)
    with NoReading(), pytest.raises(AssertionError, match="_local_scalar_dense"):
        layer(*g.sparse)


@pytest.mark.parametrize("scope", ["all", "edges"])
@pytest.mark.parametrize("training", [True, False])
def test_compiles_without_graph_breaks_for_any_size(scope, training):
    torch._dynamo.reset()
    layer, _ = layer_and_graphs(scope=scope)
    layer.train(training)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="eager")
    for rows in ([0, 1, 2], [2, 3], [0, 2, 2, 3]):
        g = random_graphs(RAGGED[rows])
        x = g.x.clone().requires_grad_()
        state = copy.deepcopy(layer.state_dict())
        out = compiled(x, *g.sparse[1:], **g.sizes)
        out.sum().backward()
        layer.load_state_dict(state)
        torch.testing.assert_close(out, layer(*g.sparse))


def test_gradients_equal_finite_differences():
    layer, g = layer_and_graphs(scope="edges", norm=False)
    x = g.x.requires_grad_()
    weight = g.edge_weight.requires_grad_()

    def run(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return layer(x, g.edge_index, weight, g.edge_type, g.batch, g.node_id)

    assert torch.autograd.gradcheck(run, (x, weight))
    whole, g = layer_and_graphs()
    assert torch.autograd.gradcheck(lambda x: whole(x, *g.sparse[1:]), g.x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scope", ["all", "edges"])
def test_autocast_is_close_to_float32(dtype, scope):
    layer = SpatialAttentionConv(8, 16, 4, 2, scope=scope)
    g = random_graphs(torch.ones(8, 4, dtype=torch.bool), 8, dtype=torch.float32)
    exact = layer(*g.sparse)
    with torch.autocast("cpu", dtype):
        rough = layer(*g.sparse)
        # The sum of products overflows half precision; the softmax runs in float32.
        large = layer(3e3 * g.x, *g.sparse[1:])
    assert (rough.float() - exact).abs().mean() < 0.02 * exact.abs().mean()
    assert torch.isfinite(large).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("scope", ["all", "edges"])
def test_a_gpu_agrees_with_the_cpu_without_waiting(scope):
    layer, g = layer_and_graphs(scope=scope)
    expected = layer(*g.sparse)
    layer = layer.to("cuda")
    arguments = [part.to("cuda") for part in g.sparse]
    torch.cuda.set_sync_debug_mode("error")
    try:
        out = layer(*arguments, **g.sizes)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(out.cpu(), expected)


def test_copies_and_saved_states_equal_the_layer_and_reset_draws_anew(tmp_path):
    layer, g = layer_and_graphs()
    expected = layer(*g.sparse)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(*g.sparse), expected)
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    twin.reset_parameters()
    assert not torch.equal(twin.weight, layer.weight)
    assert torch.equal(twin.adjacency, torch.full((2, 4, 4), 0.25).double())
    assert twin.weight.abs().max() <= 1 / math.sqrt(layer.weight.size(1))
    assert int(twin.norms[0].num_batches_tracked) == 0
    twin.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    assert torch.equal(twin(*g.sparse), expected)
    assert all(p.dtype == torch.float32 for p in layer.to(torch.float32).parameters())


def test_names_of_the_state_are_stable():
    layer = SpatialAttentionConv(3, 4, 5)
    assert repr(layer) == (
        "SpatialAttentionConv(3, 4, num_relations=3, branches=['static', 'global', 'inferred'])"
    )
    assert {name: tuple(value.shape) for name, value in layer.named_parameters()} == {
        "weight": (3, 9, 4),
        "adjacency": (3, 5, 5),
        "attention.theta.weight": (3, 3),
        "attention.theta.bias": (3,),
        "attention.phi.weight": (3, 3),
        "attention.phi.bias": (3,),
        "norms.0.weight": (4,),
        "norms.0.bias": (4,),
        "norms.1.weight": (4,),
        "norms.1.bias": (4,),
        "norms.2.weight": (4,),
        "norms.2.bias": (4,),
        "reduction.weight": (4, 12),
        "reduction.bias": (4,),
        "shortcut.weight": (4, 3),
        "shortcut_norm.weight": (4,),
        "shortcut_norm.bias": (4,),
    }
    assert [n for n, _ in SpatialAttentionConv(3, 3, 5, norm=False).named_parameters()][1] == "bias"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"branches": ["local"]},
            r"branches must be some of static, global, inferred, got \['local'\]",
        ),
        ({"branches": []}, r"branches must be some of static, global, inferred, got \[\]"),
        ({"num_nodes": None}, "num_nodes must be a number for the global adjacency, got None"),
        ({"scope": "graph"}, "scope must be all or edges, got 'graph'"),
        ({"normalize": "row"}, "normalize must be column or none, got 'row'"),
        ({"num_relations": 0}, "num_relations must be at least 1, got 0"),
        ({"in_channels": 3.0}, "in_channels must be a whole number, got 3.0"),
        ({"in_channels": "3"}, "in_channels must be a whole number, got '3'"),
        ({"in_channels": True}, "in_channels must be a whole number, got True"),
        ({"out_channels": None}, "out_channels must be a whole number, got None"),
        ({"num_nodes": 5.5}, "num_nodes must be a whole number, got 5.5"),
        ({"num_relations": 2.0}, "num_relations must be a whole number, got 2.0"),
        ({"attention_channels": 0.25}, "attention_channels must be a whole number, got 0.25"),
        ({"attention_channels": 0}, "attention_channels must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        SpatialAttentionConv(**{"in_channels": 3, "out_channels": 4, "num_nodes": 5, **options})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": torch.zeros(5, 2, 1)},
            r"x must be \[N, C\] or \[N, T, C\] with C = 3, got \[5, 2, 1\]",
        ),
        ({"edge_index": torch.zeros(3, 1).long()}, r"edge_index must be \[2, E\], got \[3, 1\]"),
        ({"edge_index": torch.tensor([[0], [5]])}, "edge_index must be from 0 to 4, got 5"),
        (
            {"edge_index": torch.eye(3).to_sparse()},
            r"must be a sparse tensor of \[5, 5\], got \[3, 3\]",
        ),
        ({"edge_type": torch.tensor([2])}, "edge_type must be from 0 to 1, got 2"),
        ({"edge_type": torch.tensor([-1])}, "edge_type must be from 0 to 1, got -1"),
        (
            {"edge_type": torch.tensor([0, 1])},
            r"edge_type must be \[1\], the number of edges, got \[2\]",
        ),
        (
            {"edge_weight": torch.ones(1, 1)},
            r"edge_weight must be \[1\], the number of edges, got \[1, 1\]",
        ),
        ({"batch": torch.tensor([0])}, r"batch must be \[5\], the number of nodes, got \[1\]"),
        ({"batch": torch.tensor([0, 1, 0, 1, 1])}, "batch must be sorted"),
        ({"batch_size": 1}, "batch must be from 0 to 0, got 1"),
        ({"max_num_nodes": 2}, "max_num_nodes must be at least 3, got 2"),
        (
            {"node_id": None},
            "each graph must have 3 nodes for the global adjacency without node_id, got 2 to 3",
        ),
        ({"node_id": torch.zeros(5).long()}, "node_id must be unique in each graph"),
        ({"node_id": torch.tensor([0, 1, 2, 0, 3])}, "node_id must be from 0 to 2, got 3"),
        ({"node_id": torch.tensor([0])}, r"node_id must be \[5\], the number of nodes, got \[1\]"),
        (
            {"node_id": None, "batch_size": 2, "max_num_nodes": 3},
            "each graph must have 3 nodes for the global adjacency without node_id, "
            "got 5 nodes in 2 graphs",
        ),
    ],
)
def test_wrong_input_is_refused(change, message):
    layer = SpatialAttentionConv(3, 4, num_nodes=3, num_relations=2)
    arguments = {
        "x": torch.randn(5, 3),
        "edge_index": torch.tensor([[0], [1]]),
        "batch": torch.tensor([0, 0, 0, 1, 1]),
        "node_id": torch.tensor([0, 1, 2, 0, 2]),
    }
    layer(**arguments)
    with pytest.raises(InputError, match=message):
        layer(**{**arguments, **change})


FLOATS = torch.zeros(5)
KINDS = [
    (
        {"edge_index": torch.zeros(2, 1)},
        r"edge_index must hold whole numbers \(torch\.long\), got torch.float32",
    ),
    (
        {"edge_index": torch.zeros(2, 1).bool()},
        r"edge_index must hold whole numbers \(torch\.long\), got torch.bool",
    ),
    ({"edge_index": [[0], [1]]}, "edge_index must be a tensor, got list"),
    (
        {"edge_type": torch.zeros(1)},
        r"edge_type must hold whole numbers \(torch\.long\), got torch.float32",
    ),
    (
        {"edge_type": torch.zeros(1).half()},
        r"edge_type must hold whole numbers \(torch\.long\), got torch.float16",
    ),
    ({"edge_weight": [1.0]}, "edge_weight must be a tensor, got list"),
    ({"batch": FLOATS}, r"batch must hold whole numbers \(torch\.long\), got torch.float32"),
    (
        {"batch": FLOATS.cfloat()},
        r"batch must hold whole numbers \(torch\.long\), got torch.complex64",
    ),
    ({"batch": [0, 0, 0, 1, 1]}, "batch must be a tensor, got list"),
    (
        {"node_id": FLOATS.double()},
        r"node_id must hold whole numbers \(torch\.long\), got torch.float64",
    ),
    ({"batch_size": 2.0}, "batch_size must be a whole number, got 2.0"),
    ({"max_num_nodes": 3.0}, "max_num_nodes must be a whole number, got 3.0"),
    ({"x": torch.zeros(5, 3).long()}, "x must hold floating point numbers, got torch.int64"),
]


@pytest.mark.parametrize("scope", ["all", "edges"])
@pytest.mark.parametrize(("change", "message"), KINDS)
def test_wrong_types_are_refused_without_reading_from_the_device(change, message, scope):
    """Types and shapes are checked also if nothing is read from the device."""
    layer = SpatialAttentionConv(3, 4, num_nodes=3, num_relations=2, scope=scope)
    arguments = {
        "x": torch.randn(5, 3),
        "edge_index": torch.tensor([[0], [1]]),
        "edge_type": torch.tensor([0]),
        "edge_weight": torch.ones(1),
        "batch": torch.tensor([0, 0, 0, 1, 1]),
        "node_id": torch.tensor([0, 1, 2, 0, 2]),
        "batch_size": 2,
        "max_num_nodes": 3,
    }
    with NoReading():
        layer(**arguments)
        with pytest.raises(InputError, match=message):
            layer(**{**arguments, **change})


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_small_integer_types_are_accepted_as_indices(dtype):
    """Small index types work for batches with more nodes than the type can count."""
    g = random_graphs(torch.ones(80, 3, dtype=torch.bool))
    layer = trained(SpatialAttentionConv(3, 4, num_nodes=3, num_relations=2))
    places = {name: getattr(g, name) for name in ("edge_index", "edge_type", "batch", "node_id")}
    small = {name: one.to(dtype) for name, one in places.items()}
    torch.testing.assert_close(layer(g.x, **small), layer(g.x, **places))


class Reshaping(torch.nn.Module):
    """Model for explainers: features of two dimensions outside, three inside."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.first = SpatialAttentionConv(3, 8, num_relations=1, **options)
        self.last = SpatialAttentionConv(16, 2, num_relations=1, norm=False, **options)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        x = self.first(x.view(len(x), 2, 3), edge_index).relu()
        return self.last(x.flatten(1), edge_index)


@pytest.mark.parametrize("name", ["gnn", "pg"])
@pytest.mark.parametrize(
    "options",
    [{"branches": ("static", "inferred")}, {"branches": ("inferred",), "scope": "edges"}],
    ids=["static", "edges"],
)
def test_explainers_of_pyg_give_edge_masks(name, options):
    torch.manual_seed(0)
    model = Reshaping(**options).eval()
    edge_index = torch.randint(0, 8, (2, 24))
    data = Data(torch.randn(8, 6), edge_index)
    algorithm = GNNExplainer(epochs=3) if name == "gnn" else PGExplainer(epochs=2)
    explainer = Explainer(
        model,
        algorithm,
        explanation_type="model" if name == "gnn" else "phenomenon",
        node_mask_type="attributes" if name == "gnn" else None,
        edge_mask_type="object",
        model_config={"mode": "regression", "task_level": "node"},
    )
    target = model(data.x, edge_index).detach()
    if name == "pg":
        for epoch in range(2):
            algorithm.train(epoch, model, data.x, edge_index, target=target, index=3)
    chosen = {} if name == "gnn" else {"target": target}
    explanation = explainer(data.x, edge_index, index=3, **chosen)
    assert explanation.edge_mask.shape == (24,)
    assert explanation.edge_mask.max() > 0
    torch.testing.assert_close(model(data.x, edge_index), target)


@pytest.mark.parametrize(
    ("options", "acts"),
    [
        ({"branches": ("static",)}, True),
        ({"branches": ("inferred",), "scope": "edges"}, True),
        ({"branches": ("inferred",)}, False),
        ({"branches": ("global",), "num_nodes": 5}, False),
    ],
)
def test_edge_masks_act_on_branches_along_edges(options, acts):
    layer = trained(SpatialAttentionConv(3, 4, num_relations=1, norm=False, **options))
    x = torch.randn(5, 3, dtype=torch.float64)
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    expected = layer(x, edge_index)
    layer.explain, layer._edge_mask, layer._apply_sigmoid = True, torch.zeros(3), False
    assert torch.equal(layer(x, edge_index), expected) != acts


def test_many_graphs_without_nodes_give_empty_outputs():
    layer = SpatialAttentionConv(3, 4, num_relations=1, branches=("inferred",))
    none = torch.zeros(0, dtype=torch.long)
    assert layer(torch.zeros(0, 3), none.expand(2, 0), batch=none, batch_size=16).shape == (0, 4)


def test_a_given_attention_keeps_its_weights_until_all_are_drawn_anew():
    attention = DotProductAttention(3, 2, 3)
    before = attention.theta.weight.clone()
    layer = SpatialAttentionConv(3, 4, branches=("inferred",), attention=attention)
    assert layer.attention is attention and torch.equal(attention.theta.weight, before)
    layer.reset_parameters()
    assert not torch.equal(attention.theta.weight, before)


def test_frozen_norms_stay_frozen_in_training():
    layer, g = layer_and_graphs()
    expected = layer(*g.sparse)
    layer.train()
    for norm in (*layer.norms, layer.shortcut_norm):
        norm.eval()
    torch.testing.assert_close(layer(*g.sparse), expected)


@pytest.mark.parametrize(
    ("branches", "scope"), [(("static", "inferred"), "all"), (("global", "inferred"), "edges")]
)
def test_compiles_to_machine_code(branches, scope):
    """Uses the default compiler; the test above looks for graph breaks only."""
    layer = trained(SpatialAttentionConv(3, 4, 4, 2, branches, scope), torch.float32)
    g = random_graphs(RAGGED, dtype=torch.float32)
    run = torch.compile(layer, fullgraph=True, dynamic=True)
    torch.testing.assert_close(
        run(*g.sparse, **g.sizes), layer(*g.sparse, **g.sizes), rtol=1e-4, atol=1e-5
    )


def test_compiled_without_sizes_gives_the_same_output():
    layer = trained(SpatialAttentionConv(3, 4, None, 2, ("static", "inferred")), torch.float32)
    g = random_graphs(RAGGED, dtype=torch.float32)
    run = torch.compile(layer, backend="eager")
    given = (g.x, g.edge_index, g.edge_weight, g.edge_type, g.batch)
    torch.testing.assert_close(run(*given), layer(*given))


def test_input_that_is_easily_misread_is_refused(monkeypatch):
    layer = SpatialAttentionConv(3, 4, num_relations=1, branches=("static",))
    x, pairs = torch.zeros(3, 3), torch.tensor([[0, 1], [1, 2]])
    with pytest.raises(
        InputError,
        match=r"must be the transposed matrix in CSR or COO layout \(t\(\)\), "
        "got a sparse tensor in CSC layout",
    ):
        layer(x, to_torch_csc_tensor(pairs, size=(3, 3)))
    with pytest.raises(InputError, match=r"x must be a tensor \[N, C\] or \[N, T, C\], got tuple"):
        layer((x, x), pairs)
    with pytest.raises(
        InputError, match=r"batch_size must be 1 \(one graph\) without batch, got 2"
    ):
        SpatialAttentionConv(3, 4, branches=("inferred",))(x, pairs, batch_size=2)

    class Sparse:
        pass

    monkeypatch.setattr("gepc_geo.nn.conv.SparseTensor", Sparse)
    with pytest.raises(
        InputError,
        match="must be a tensor, an EdgeIndex or a transposed torch sparse tensor "
        r"\(to_torch_sparse_csr_tensor\(\)\), got a torch_sparse\.SparseTensor",
    ):
        layer(x, Sparse())
