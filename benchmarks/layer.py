"""The spatial attention convolution beside what it replaces and beside PyG's layers.

    python benchmarks/layer.py

The first table runs on skeletons, the second on random graphs of up to a million edges. Every number
is a median after a warm-up; ratios compare rows of the same run, measured one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import click
import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer
from torch_geometric.nn import GATConv, GATv2Conv, GCNConv

from gepc_geo.device import pick_device
from gepc_geo.memory import kept_memory
from gepc_geo.nn import DenseSpatialAttentionConv, SpatialAttentionConv
from gepc_geo.skeleton import SKELETONS

SKELETON_NAMES = ("box5", "penn13", "coco18", "ntu25")


class OrdinaryConv(nn.Module):
    """The usual way to write the layer: ``[N, C, T, V]``, 1x1 expansion, then an einsum.

    Built from a dense layer with all three branches and norms, and equal to it.
    """

    def __init__(self, layer: DenseSpatialAttentionConv) -> None:
        super().__init__()
        self.relations, out, inner = layer.num_relations, layer.out_channels, layer.in_channels
        attention = layer.attention
        self.theta, self.phi = conv1x1(attention.theta), conv1x1(attention.phi)
        self.expand = nn.ModuleList()
        self.norms = nn.ModuleList()
        for b, weight in enumerate(layer.weight.detach()):
            expand = nn.Conv2d(inner, self.relations * out, 1, bias=False)
            weight = weight.view(self.relations, inner, out).transpose(1, 2)
            expand.weight.data.copy_(weight.reshape(-1, inner, 1, 1))
            self.expand.append(expand)
            self.norms.append(norm2d(layer.norms[b]))
        self.adjacency = nn.Parameter(layer.adjacency.detach().clone())
        self.reduction = conv1x1(layer.reduction)
        self.shortcut = nn.Identity()
        if layer.shortcut is not None:
            self.shortcut = nn.Sequential(conv1x1(layer.shortcut), norm2d(layer.shortcut_norm))

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        def embed(conv: nn.Conv2d) -> Tensor:
            return conv(x).unflatten(1, (self.relations, -1))  # [N, K, C, T, V]

        inferred = torch.einsum("nkctv,nkctw->nkvw", embed(self.theta), embed(self.phi))
        parts = []
        for expand, norm, matrix in zip(
            self.expand, self.norms, (adj, self.adjacency, inferred.softmax(2)), strict=True
        ):
            rule = "nkctv,kvw->nctw" if matrix.dim() == 3 else "nkctv,nkvw->nctw"
            parts.append(norm(torch.einsum(rule, embed(expand), matrix)).relu())
        return self.reduction(torch.cat(parts, dim=1)) + self.shortcut(x)


def conv1x1(linear: nn.Linear) -> nn.Conv2d:
    """The same map on channels-first features."""
    conv = nn.Conv2d(linear.in_features, linear.out_features, 1, bias=linear.bias is not None)
    conv.weight.data.copy_(linear.weight[:, :, None, None])
    if linear.bias is not None:
        conv.bias.data.copy_(linear.bias)
    return conv


def norm2d(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """The same norm, channels first."""
    result = nn.BatchNorm2d(norm.num_features)
    result.load_state_dict(norm.state_dict())
    return result


def milliseconds(work: Callable[[], object], seconds: float) -> float:
    """The median of one call."""
    work()
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return 1e3 * timer.blocked_autorange(min_run_time=seconds).median


def both_ways(module: nn.Module, *arguments: object) -> Callable[[], None]:
    """Forward and backward, to the features and all weights."""

    def work() -> None:
        out = module(*arguments)
        out.backward(torch.ones_like(out))
        for tensor in (arguments[0], *module.parameters()):
            tensor.grad = None

    return work


def forward_only(module: nn.Module, *arguments: object) -> Callable[[], None]:
    """Forward as in inference."""

    def work() -> None:
        with torch.no_grad():
            module(*arguments)

    return work


def peak_megabytes(work: Callable[[], object], device: torch.device) -> float:
    """The most that tensors took at once beyond what was there before."""
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with torch.profiler.profile(profile_memory=True) as profiler:
        work()
    taken = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            taken += event.nbytes()
            peak = max(peak, taken)
    return peak / 2**20


def on_skeletons(
    name: str, batch: int, channels: int, frames: int, compiled: bool, device: torch.device
) -> Iterator[tuple[str, nn.Module, tuple[object, ...]]]:
    """Layers and their arguments on a batch of one skeleton; PyG's see every frame as a graph."""
    skeleton = SKELETONS[name]
    nodes = skeleton.num_joints
    layer = DenseSpatialAttentionConv(channels, channels, nodes).to(device)
    sparse = SpatialAttentionConv(channels, channels, nodes).to(device)
    sparse.load_state_dict(layer.state_dict())
    ordinary = OrdinaryConv(layer).to(device)

    adj = skeleton.adjacency().to(device)
    x = torch.randn(batch, frames, nodes, channels, device=device)
    first = x.permute(0, 3, 1, 2).contiguous().requires_grad_()
    series = x.transpose(1, 2).flatten(0, 1).requires_grad_()
    flat = x.flatten(0, 2).requires_grad_()
    x.requires_grad_()

    def repeat(count: int) -> tuple[Tensor, Tensor, Tensor]:
        index, kind, weight = (part.to(device) for part in skeleton.partition())
        shift = torch.arange(count, device=device).repeat_interleave(len(kind)) * nodes
        return index.repeat(1, count) + shift, kind.repeat(count), weight.repeat(count)

    index, kind, weight = repeat(batch)
    owner = torch.arange(batch, device=device).repeat_interleave(nodes)
    every_frame = repeat(batch * frames)[0]
    yield "ordinary", ordinary, (first, adj)
    yield "dense", layer, (x, adj)
    if compiled:
        torch._dynamo.reset()
        yield "dense, compiled", torch.compile(layer, fullgraph=True), (x, adj)
    yield "sparse", sparse, (series, index, weight, kind, owner, None, batch, nodes)
    yield "GCNConv", GCNConv(channels, channels).to(device), (flat, every_frame)
    yield "GATConv", GATConv(channels, channels).to(device), (flat, every_frame)
    yield "GATv2Conv", GATv2Conv(channels, channels).to(device), (flat, every_frame)


def along_edges(
    edges: int, channels: int, device: torch.device
) -> Iterator[tuple[str, int, nn.Module, tuple[object, ...]]]:
    """Layers, their relation-branches and their arguments on a random graph of degree 10."""
    nodes = max(2, edges // 10)
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(0, nodes, (2, edges), generator=generator).to(device)
    kind = torch.randint(0, 3, (edges,), generator=generator).to(device)
    x = torch.randn(nodes, channels, device=device, requires_grad=True)
    yield "GATConv", 1, GATConv(channels, channels, add_self_loops=False).to(device), (x, index)

    def make(branches: tuple[str, ...], relations: int, attention: str) -> SpatialAttentionConv:
        layer = SpatialAttentionConv(
            channels, channels, None, relations, branches, "edges", attention
        )
        return layer.to(device)

    sizes = (None, None, 1, nodes)
    for attention in ("additive", "dot"):
        layer = make(("inferred",), 1, attention)
        yield f"inferred, {attention}", 1, layer, (x, index, None, None, *sizes)
    layer = make(("static", "inferred"), 3, "dot")
    yield "static + inferred, 3 relations", 6, layer, (x, index, None, kind, *sizes)


@click.command()
@click.option("--device", default="auto", show_default=True)
@click.option("--batches", default="64,512,4096", show_default=True, help="Graphs in a batch.")
@click.option("--edges", default="1000,10000,100000,1000000", show_default=True)
@click.option("--channels", default=32, show_default=True)
@click.option("--frames", default=12, show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="Time for each number, at least.")
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True)
@click.option("--keep-memory", is_flag=True, help="As in training: freed memory is kept (CPU).")
def main(
    device: str,
    batches: str,
    edges: str,
    channels: int,
    frames: int,
    seconds: float,
    compiled: bool,
    keep_memory: bool,
) -> None:
    """Print the tables."""
    with kept_memory() if keep_memory else nullcontext():
        tables(device, batches, edges, channels, frames, seconds, compiled)


def tables(
    device: str,
    batches: str,
    edges: str,
    channels: int,
    frames: int,
    seconds: float,
    compiled: bool,
) -> None:
    """Both of them, line by line."""
    target = pick_device(device)
    click.echo(f"device {target}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    click.echo(f"{channels} channels in and out, float32, milliseconds\n")
    click.echo(f"{'skeletons':34s}  forward  both ways  speed over ordinary")
    for name in SKELETON_NAMES:
        for batch in map(int, batches.split(",")):
            reference = 0.0
            cases = on_skeletons(name, batch, channels, frames, compiled, target)
            for what, module, arguments in cases:
                once = milliseconds(forward_only(module, *arguments), seconds)
                both = milliseconds(both_ways(module, *arguments), seconds)
                reference = reference or both
                click.echo(
                    f"{name:7s}{batch:6d}  {what:19s}{once:9.2f}{both:11.2f}{reference / both:12.2f}"
                )
    click.echo(
        f"\n{'scope edges':43s}  forward  both ways  over GATConv, per relation-branch  peak MB"
    )
    for count in map(int, edges.split(",")):
        reference = 0.0
        for what, parts, module, arguments in along_edges(count, channels, target):
            once = milliseconds(forward_only(module, *arguments), seconds)
            work = both_ways(module, *arguments)
            both = milliseconds(work, seconds)
            reference = reference or both
            click.echo(
                f"{count:9d} edges  {what:31s}{once:8.2f}{both:11.2f}{both / reference:14.2f}"
                f"{both / reference / parts:21.2f}{peak_megabytes(work, target):9.1f}"
            )


if __name__ == "__main__":
    main()
