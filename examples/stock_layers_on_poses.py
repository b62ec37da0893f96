"""Stock PyG layers on windows: unrolled in time, a window is an ordinary PyG graph.

The network has four attention layers over the graph of T V nodes and predicts hidden joints. It
trains on normal clips of a simulated crowd. The score of a window is the error at hidden joints.

    python examples/stock_layers_on_poses.py
"""

from __future__ import annotations

from collections.abc import Callable

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GATv2Conv, TransformerConv
from torch_geometric.transforms import Compose
from torch_geometric.utils import scatter

from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import simulate_crowd
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import frame_scores, person_frame_scores
from gepc_geo.scoring.metrics import auc
from gepc_geo.transforms.normalize import normalize
from gepc_geo.transforms.unroll import ToSpatioTemporalGraph
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.progress import progress_bar
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader

LAYERS = {"GATv2Conv": GATv2Conv, "TransformerConv": TransformerConv}
HIDDEN_SHARE = 0.3


class FillIn(nn.Module):
    """Predicts coordinates from node features, with hidden nodes set to zero: [N, C] -> [N, 2]."""

    def __init__(self, layer: Callable[..., nn.Module], channels: int, joints: int) -> None:
        super().__init__()
        # The network knows the joint of each node, and whether it is hidden.
        self.joint = nn.Embedding(joints, 32)
        self.embed = nn.Linear(channels + 1, 32)
        # Edge types, for bones and time, are one-hot features of edges.
        self.layers = nn.ModuleList(layer(32, 8, heads=4, edge_dim=5) for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in self.layers)
        self.out = nn.Linear(32, 2)

    def forward(self, graph: Batch, hidden: Tensor) -> Tensor:
        """Predicts the coordinates of all nodes."""
        x = torch.cat([graph.x.masked_fill(hidden[:, None], 0), hidden[:, None].float()], dim=1)
        h = self.embed(x) + self.joint(graph.joint)
        edge_attr = F.one_hot(graph.edge_type, 5).float()
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = h + layer(norm(h).relu(), graph.edge_index, edge_attr)
        return self.out(h)


def window_scores(model: FillIn, loader: WindowLoader) -> Tensor:
    """Mean squared error at hidden joints, over three random choices of them."""
    generator = torch.Generator().manual_seed(0)
    scores = []
    with torch.no_grad():
        for graph in loader:
            error = torch.zeros(graph.num_graphs, device=graph.x.device)
            for _ in range(3):
                error += _error(model, graph, generator)
            scores.append(error / 3)
    return torch.cat(scores)


def _error(model: FillIn, graph: Batch, generator: torch.Generator) -> Tensor:
    """Mean squared error [B] at random hidden joints that were detected."""
    draws = torch.rand(graph.num_nodes, generator=generator).to(graph.x.device)
    hidden = (draws < HIDDEN_SHARE) & (graph.x[:, 2] > 0)
    square = (model(graph, hidden) - graph.x[:, :2]).square().mean(1) * hidden
    count = scatter(hidden.float(), graph.batch, dim_size=graph.num_graphs)
    return scatter(square, graph.batch, dim_size=graph.num_graphs) / count.clamp(min=1)


def frame_auc(scores: Tensor, windows: PoseWindows, tracks: PoseTracks) -> float:
    """AUC of frame scores; the score of a frame is that of the most abnormal person."""
    table, offset = windows.table, tracks.frame_offset
    rows = person_frame_scores(
        scores.double(), torch.as_tensor(windows.first), windows.length, len(table.frame)
    )
    frames = frame_scores(
        rows,
        torch.as_tensor(offset[table.clip] + table.frame),
        torch.as_tensor(table.track),
        int(offset[-1]),
        empty_score=float(scores.min()),
    )
    return auc(tracks.frame_labels, frames.score.numpy())


@click.command(cls=Command)
@click.option("--layer", type=click.Choice(list(LAYERS)), default="GATv2Conv", show_default=True)
@click.option(
    "--clips",
    default=36,
    show_default=True,
    type=click.IntRange(2),
    help="Simulated clips for training and for test.",
)
@click.option("--frames", default=240, show_default=True, help="Frames in each clip.")
@click.option("--epochs", default=4, show_default=True, type=click.IntRange(1))
@click.option("--device", default="auto", show_default=True)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def main(layer: str, clips: int, frames: int, epochs: int, device: str, seed: int) -> None:
    """Train on normal clips and print the frame AUC of the error."""
    target = pick_device(device)
    torch.manual_seed(seed)
    train, test = (
        simulate_crowd(split, num_clips=clips, frames_per_clip=frames, random_state=seed)
        for split in ("train", "test")
    )
    unroll = Compose([normalize(train.skeleton, 2), ToSpatioTemporalGraph()])
    windows = PoseWindows(train, length=12, stride=8)
    loader = WindowLoader(windows, 64, shuffle=True, device=target, transform=unroll)
    model = FillIn(LAYERS[layer], next(iter(loader)).x.size(1), train.num_joints).to(target)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(seed)
    with progress_bar(layer, epochs * len(windows), "windows") as bar:
        for graph in (graph for _ in range(epochs) for graph in loader):
            optimizer.zero_grad()
            loss = _error(model, graph, generator).mean()
            loss.backward()
            optimizer.step()
            bar.update(graph.num_graphs)
    scored = PoseWindows(test, length=12, stride=4).without_padded()
    scores = window_scores(model.eval(), WindowLoader(scored, 256, device=target, transform=unroll))
    graph = unroll(windows[0])
    click.echo(f"one window: {graph.num_nodes} nodes, {graph.num_edges} edges")
    click.echo(f"{layer}: frame AUC {frame_auc(scores.cpu(), scored, test):.3f}")


if __name__ == "__main__":
    main()
