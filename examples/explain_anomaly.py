"""Draw the joints and frames that make a window abnormal.

The example trains a detector on a simulated crowd, takes the most abnormal window in test clips of
one kind, and computes |input x gradient| of the score for each joint and frame. The picture shows
four frames of the person with joints coloured by their share, and the share of each joint in each
frame.

    python examples/explain_anomaly.py --kind waving --out waving.png
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gepc_geo import GEPC, PoseTracks
from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.simulate import KINDS
from gepc_geo.scoring.joint_shares import input_shares
from gepc_geo.utils.files import atomic_path
from gepc_geo.windows.dataset import PoseWindows


def most_abnormal(detector: GEPC, tracks: PoseTracks) -> tuple[PoseWindows, float]:
    """Window with the highest score, and this score."""
    scored = detector.window_scores(tracks, padded=False)
    score = scored.scores[detector.mode]
    best = int(score.argmax())
    return scored.windows.subset([best]), float(score[best])


def draw(windows: PoseWindows, share: np.ndarray, title: str, out: Path) -> None:
    """Draws a single window and its shares [T, V]."""
    table, rows, skeleton = windows.table, windows.rows()[0], windows.skeleton
    pose = table.keypoints[rows]  # [T, V, 2]
    figure = Figure(figsize=(10, 8), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.1))
    upper.suptitle(title)
    low, high = pose.min((0, 1)) - 10, pose.max((0, 1)) + 10
    moments = np.linspace(0, len(pose) - 1, 4).round().astype(int)
    for axes, t in zip(upper.subplots(1, 4, sharex=True, sharey=True), moments, strict=True):
        for a, b in skeleton.bones:
            axes.plot(*pose[t, [a, b]].T, color="0.7", linewidth=2, zorder=1)
        axes.scatter(*pose[t].T, c=share[t], cmap="Reds", vmin=0, vmax=share.max(), s=45, zorder=2,
                     edgecolors="0.4", linewidths=0.6)  # fmt: skip
        axes.set(
            xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal", xticks=[], yticks=[]
        )
        axes.set_title(f"frame {table.frame[rows[t]]}", fontsize=9)
    axes = lower.subplots()
    image = axes.imshow(100 * share.T, cmap="Reds", aspect="auto", vmin=0)
    axes.set(xlabel="frame", yticks=range(len(skeleton.joints)))
    axes.set_yticklabels(skeleton.joints, fontsize=8)
    axes.set_xticks(range(0, len(rows), 4), table.frame[rows[::4]])
    lower.colorbar(image, label="share in the score, %")
    with atomic_path(out) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


@click.command(cls=Command)
@click.option("--kind", type=click.Choice(KINDS), default="waving", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("anomaly.png"), show_default=True
)
@click.option(
    "--clips",
    default=36,
    show_default=True,
    type=click.IntRange(9),
    help="Simulated clips for training and for test; 9 clips have every kind.",
)
@click.option("--frames", default=240, show_default=True, help="Frames in each clip.")
@click.option("--device", default="auto", show_default=True)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def main(kind: str, out: Path, clips: int, frames: int, device: str, seed: int) -> None:
    """Draw the most abnormal window of a kind; print the joints and the frame with most share."""
    train, test = (
        simulate_crowd(split, num_clips=clips, frames_per_clip=frames, random_state=seed)
        for split in ("train", "test")
    )
    detector = GEPC(score_stride=4, random_state=seed)
    detector.fit(train, device=device, quiet=False)
    windows, score = most_abnormal(detector, test.select(labels=[kind]))
    ((_, shares),) = input_shares(detector.scorer_, windows, detector.mode)
    share = shares[0].cpu().numpy()  # [T, V]
    joints, frames = share.sum(0), share.sum(1)
    order = joints.argsort()[::-1][:3]
    names = ", ".join(f"{windows.skeleton.joints[v]} {joints[v]:.0%}" for v in order)
    first = int(windows.frame[0])
    clip = windows.table.source.clip_names[int(windows.clip[0])]
    click.echo(
        f"clip {clip}, person {int(windows.track[0])}, frames {first} to {first + len(share) - 1}"
    )
    click.echo(f"score {score:.2f}, threshold {detector.threshold_:.2f}")
    click.echo(f"joints: {names}; frame: {first + int(frames.argmax())} {frames.max():.0%}")
    draw(windows, share, f"{clip}: score {score:.1f} (threshold {detector.threshold_:.1f})", out)
    click.echo(f"picture: {out}")


if __name__ == "__main__":
    main()
