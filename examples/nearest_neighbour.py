"""Clip-level anomaly detection by a nearest neighbour on the input of the detector.

Clips are normalised, mirrored, flattened and reduced to 64 principal components.

    python examples/nearest_neighbour.py penn_action PATH \
        --normal squat,pullup,pushup,situp,bench_press
    python examples/nearest_neighbour.py nw_ucla PATH --normal 4,5,6
"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from gepc_geo.baselines import NearestNeighbour
from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import NWUCLA, PennAction
from gepc_geo.evaluation.evaluator import clip_labels
from gepc_geo.options import Options
from gepc_geo.scoring.aggregation import clip_scores
from gepc_geo.scoring.metrics import auc


def clip_auc(root: Path, dataset: str, normal: list[str], frames: int = 12) -> float:
    """Few-vs-many AUC: trains on normal clips of the training half, tests on the test half."""
    tracks = {"penn_action": PennAction, "nw_ucla": NWUCLA}[dataset](root).tracks()
    train, test = tracks.select(split="train", labels=normal), tracks.select(split="test")
    model = NearestNeighbour(Options(frames=frames)).fit(train)
    windows = model.windows(test)
    score = torch.as_tensor(model.score_windows(windows))
    clip, track = torch.as_tensor(windows.clip), torch.as_tensor(windows.track)
    scores, _ = clip_scores(score, clip, track, test.num_clips, empty_score=float(score.min()))
    return auc(clip_labels(test, normal), scores.numpy())


@click.command(cls=Command)
@click.argument("dataset", type=click.Choice(["penn_action", "nw_ucla"]))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--normal", required=True, help="Normal classes, separated by commas.")
@click.option(
    "--frames",
    default=12,
    show_default=True,
    type=click.IntRange(2, 1000),
    help="Frames of a resampled clip.",
)
def main(dataset: str, root: Path, normal: str, frames: int) -> None:
    """Print the clip AUC of the nearest neighbour."""
    click.echo(f"clip AUC {clip_auc(root, dataset, normal.split(','), frames):.4f}")


if __name__ == "__main__":
    main()
