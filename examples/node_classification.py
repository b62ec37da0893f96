"""Node classification with SpatialAttentionConv in place of GCN, GAT or GIN, without poses.

The graphs are Zachary's karate club and stochastic block models of 10,000 nodes with weak features,
so that neighbours matter. Nothing is downloaded. With ``scope="edges"`` the attention runs along
edges, so memory grows with the number of edges only.

    python examples/node_classification.py
"""

from __future__ import annotations

from collections.abc import Callable

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.datasets import KarateClub
from torch_geometric.nn import GATConv, GCNConv, GINConv
from torch_geometric.utils import add_self_loops, stochastic_blockmodel_graph

from gepc_geo.cli.refusal import Command
from gepc_geo.nn import SpatialAttentionConv
from gepc_geo.utils.device import pick_device


class SpatialAttention(SpatialAttentionConv):
    """Static and inferred adjacencies along edges, without norm and residual.

    The other layers add self-loops (or, in GIN, the node itself). This layer does not, so they are
    added here.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(
            inside,
            outside,
            num_relations=1,
            branches=("static", "inferred"),
            scope="edges",
            norm=False,
            residual=False,
        )

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Runs the layer with self-loops."""
        return super().forward(x, add_self_loops(edge_index, num_nodes=len(x))[0])


def gin(inside: int, outside: int) -> nn.Module:
    """GIN with a network of two layers."""
    return GINConv(
        nn.Sequential(nn.Linear(inside, outside), nn.ReLU(), nn.Linear(outside, outside))
    )


LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "SpatialAttentionConv": SpatialAttention,
    "GCNConv": GCNConv,
    "GATConv": GATConv,
    "GINConv": gin,
}


class Classifier(nn.Module):
    """Network of two layers of one kind."""

    def __init__(self, layer: Callable[[int, int], nn.Module], inside: int, classes: int) -> None:
        super().__init__()
        self.first, self.second = layer(inside, 32), layer(32, classes)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Computes the logits of nodes."""
        x = F.dropout(F.relu(self.first(x, edge_index)), 0.5, self.training)
        return self.second(x, edge_index)


def karate_club(seed: int) -> Data:
    """34 members in 4 communities, with one labelled member of each."""
    return KarateClub()[0]


def block_model(nodes: int) -> Callable[[int], Data]:
    """Five communities; a node has on average 6 neighbours inside and 4 outside its own."""

    def graph(seed: int) -> Data:
        torch.manual_seed(seed)
        classes, size = 5, nodes // 5
        inside, outside = 6 / size, 1 / size
        probability = torch.full((classes, classes), outside).fill_diagonal_(inside)
        edge_index = stochastic_blockmodel_graph([size] * classes, probability)
        y = torch.arange(classes).repeat_interleave(size)
        x = torch.randn(len(y), 16) + 0.8 * torch.eye(classes, 16)[y]
        # Twenty labelled nodes of each community, as in citation graphs.
        labelled = torch.cat([torch.randperm(size)[:20] + c * size for c in range(classes)])
        mask = torch.zeros(len(y), dtype=torch.bool)
        mask[labelled] = True
        return Data(x=x, edge_index=edge_index, y=y, train_mask=mask)

    return graph


def accuracy(
    layer: Callable[[int, int], nn.Module], data: Data, seed: int, epochs: int, device: torch.device
) -> float:
    """Accuracy on unlabelled nodes after the last epoch."""
    torch.manual_seed(seed)
    data = data.to(device)
    model = Classifier(layer, data.num_features, int(data.y.max()) + 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(epochs):
        optimizer.zero_grad()
        out = model(data.x, data.edge_index)
        F.cross_entropy(out[data.train_mask], data.y[data.train_mask]).backward()
        optimizer.step()
    with torch.no_grad():
        right = model.eval()(data.x, data.edge_index).argmax(1) == data.y
    return right[~data.train_mask].double().mean().item()


@click.command(cls=Command)
@click.option(
    "--nodes",
    default=10_000,
    show_default=True,
    type=click.IntRange(105),
    help="Nodes of a block model; 100 are labelled.",
)
@click.option(
    "--seeds",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="Graphs and initialisations of each row.",
)
@click.option("--epochs", default=200, show_default=True, type=click.IntRange(1))
@click.option("--device", default="auto", show_default=True)
def main(nodes: int, seeds: int, epochs: int, device: str) -> None:
    """Print mean and standard deviation of the accuracy of each layer over seeds."""
    target = pick_device(device)
    graphs = {"karate club": karate_club, f"block model, {nodes:,} nodes": block_model(nodes)}
    click.echo(f"{'accuracy in %':24s}" + "".join(f"{name:>30s}" for name in graphs))
    for name, layer in LAYERS.items():
        row = ""
        for make in graphs.values():
            accuracies = [
                accuracy(layer, make(seed), seed, epochs, target) for seed in range(seeds)
            ]
            values = 100 * torch.tensor(accuracies)
            row += f"{values.mean():22.1f} +- {values.std(unbiased=False):4.1f}"
        click.echo(f"{name:24s}{row}")


if __name__ == "__main__":
    main()
