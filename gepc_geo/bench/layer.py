"""Benchmark of the spatial attention convolution against ordinary and PyG layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GATv2Conv, GCNConv

from gepc_geo.bench.measure import Work, milliseconds, peak_megabytes
from gepc_geo.bench.reference import OrdinaryConv
from gepc_geo.nn import DenseSpatialAttentionConv, SpatialAttentionConv
from gepc_geo.poses.skeleton import SKELETONS

CHANNELS, FRAMES = 32, 12
_Case = tuple[nn.Module, tuple[Any, ...]]


def run(
    device: torch.device,
    *,
    skeletons: tuple[str, ...] = ("box5", "penn13", "coco18", "ntu25"),
    batches: tuple[int, ...] = (64, 512, 4096),
    edges: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000),
    compiled: bool = False,
    seconds: float = 2.0,
) -> list[dict[str, Any]]:
    """Measures layers on batches of skeletons, and on random graphs with ``scope="edges"``.

    Each row has ``forward`` and ``both`` (forward and backward) in milliseconds, and the peak
    memory of ``both`` in MB. On skeletons, ``ratio`` is the speed relative to the ordinary layer.
    On random graphs, it is the time relative to GATConv for each relation and branch.

    Args:
        device: Device of the computation.
        skeletons: Names of skeletons.
        batches: Windows in a batch.
        edges: Edges of each random graph and relation.
        compiled: Whether to measure a compiled layer too.
        seconds: Duration of each measurement.
    """
    rows = []
    for name in skeletons:
        for batch in batches:
            cases = dict(_on_skeleton(name, batch, compiled, device))
            group = _rows(f"{name} x {batch}", cases, seconds, device)
            for row in group:
                row |= {"ratio": group[0]["both"] / row["both"]}
                if row["name"].startswith("dense"):
                    row["goal"] = ">= 2"
            rows += group
    for count in edges:
        parts, graphs = {}, {}
        for name, number, case in _along_edges(count, device):
            parts[name], graphs[name] = number, case
        group = _rows(f"{count:,} edges", graphs, seconds, device)
        for row in group:
            row |= {"ratio": row["both"] / group[0]["both"] / parts[row["name"]]}
            if row["name"] != "GATConv":
                row["goal"] = "<= 1.5"
        rows += group
    return rows


def _rows(
    where: str, cases: dict[str, _Case], seconds: float, device: torch.device
) -> list[dict[str, Any]]:
    forward = milliseconds(*map(_forward, cases.values()), seconds=seconds, device=device)
    both = milliseconds(*map(_both, cases.values()), seconds=2 * seconds, device=device)
    return [
        {
            "suite": "layer",
            "where": where,
            "name": name,
            "forward": once,
            "both": twice,
            "unit": "ms",
            "peak_mb": peak_megabytes(_both(case), device),
        }
        for (name, case), once, twice in zip(cases.items(), forward, both, strict=True)
    ]


def _forward(case: _Case) -> Work:
    """Forward pass as in inference."""
    module, arguments = case

    def work() -> None:
        module.eval()
        with torch.no_grad():
            module(*arguments)

    return work


def _both(case: _Case) -> Work:
    """Forward and backward pass with gradients of features and weights, as in training."""
    module, arguments = case

    def work() -> None:
        module.train()
        out = module(*arguments)
        out.backward(torch.ones_like(out))
        for tensor in (arguments[0], *module.parameters()):
            tensor.grad = None

    return work


def _on_skeleton(
    name: str, batch: int, compiled: bool, device: torch.device
) -> Iterator[tuple[str, _Case]]:
    """Layers with arguments for a batch of one skeleton; for PyG, each frame is a graph."""
    skeleton = SKELETONS[name]
    nodes = skeleton.num_joints
    layer = DenseSpatialAttentionConv(CHANNELS, CHANNELS, nodes).to(device)
    sparse = SpatialAttentionConv(CHANNELS, CHANNELS, nodes).to(device)
    sparse.load_state_dict(layer.state_dict())
    ordinary = OrdinaryConv(layer).to(device)

    adj = skeleton.adjacency().to(device)
    x = torch.randn(batch, FRAMES, nodes, CHANNELS, device=device)
    first = x.permute(0, 3, 1, 2).contiguous().requires_grad_()
    series = x.transpose(1, 2).flatten(0, 1).requires_grad_()
    flat = x.flatten(0, 2).requires_grad_()
    x.requires_grad_()

    def repeat(count: int) -> tuple[Tensor, Tensor, Tensor]:
        index, kind, weight = (tensor.to(device) for tensor in skeleton.partition())
        shift = torch.arange(count, device=device).repeat_interleave(len(kind)) * nodes
        return index.repeat(1, count) + shift, kind.repeat(count), weight.repeat(count)

    index, kind, weight = repeat(batch)
    owner = torch.arange(batch, device=device).repeat_interleave(nodes)
    every_frame = repeat(batch * FRAMES)[0]
    yield "ordinary", (ordinary, (first, adj))
    yield "dense", (layer, (x, adj))
    if compiled:
        torch._dynamo.reset()
        yield "dense, compiled", (torch.compile(layer, fullgraph=True), (x, adj))  # type: ignore[misc]
    yield "sparse", (sparse, (series, index, weight, kind, owner, None, batch, nodes))
    for stock in (GCNConv, GATConv, GATv2Conv):
        yield stock.__name__, (stock(CHANNELS, CHANNELS).to(device), (flat, every_frame))


def _along_edges(count: int, device: torch.device) -> Iterator[tuple[str, int, _Case]]:
    """Layers with relations times branches and arguments, on random graphs of degree 10.

    Each relation has ``count`` edges.
    """
    nodes = max(2, count // 10)
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(0, nodes, (2, 3 * count), generator=generator).to(device)
    kind = torch.arange(3, device=device).repeat_interleave(count)
    x = torch.randn(nodes, CHANNELS, device=device, requires_grad=True)
    first = index[:, :count].contiguous()
    stock = GATConv(CHANNELS, CHANNELS, add_self_loops=False).to(device)
    yield "GATConv", 1, (stock, (x, first))

    def make(branches: tuple[str, ...], relations: int, attention: str) -> SpatialAttentionConv:
        layer = SpatialAttentionConv(
            CHANNELS, CHANNELS, None, relations, branches, "edges", attention
        )
        return layer.to(device)

    sizes = (None, None, 1, nodes)
    for attention in ("additive", "dot"):
        layer = make(("inferred",), 1, attention)
        yield f"inferred, {attention}", 1, (layer, (x, first, None, None, *sizes))
    layer = make(("static", "inferred"), 3, "dot")
    yield "static + inferred, 3 relations", 6, (layer, (x, index, None, kind, *sizes))
