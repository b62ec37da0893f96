"""Seconds from window scores to frame scores over the number of windows, as a table and a plot.

    python benchmarks/aggregation.py --out aggregation.png

The data are simulated: tracks of 300 frames, five people in a frame, and a window of 12 frames at
every frame. It runs on one thread. Each row is the median of repeats after a warm-up.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from gepc_geo.bench.measure import median_seconds
from gepc_geo.cli.refusal import Command
from gepc_geo.report import can_plot, plot_lines
from gepc_geo.scoring.aggregation import FrameScores, frame_scores, person_frame_scores
from gepc_geo.utils.files import check_destination

LENGTH, FRAMES, PEOPLE = 12, 300, 5


def seconds(windows: int, repeats: int) -> float:
    """Seconds from about ``windows`` window scores to the scores of all frames."""
    per_track = FRAMES - LENGTH + 1
    clips = -(-windows // (per_track * PEOPLE))
    tracks = clips * PEOPLE
    low = torch.arange(tracks).mul(FRAMES).repeat_interleave(per_track)
    first = low + torch.arange(per_track).repeat(tracks)
    track = torch.arange(tracks).repeat_interleave(FRAMES)
    slot = torch.div(track, PEOPLE, rounding_mode="floor") * FRAMES
    slot += torch.arange(FRAMES).repeat(tracks)
    score = torch.randn(len(first), generator=torch.Generator().manual_seed(0)).double()

    def work() -> FrameScores:
        rows = person_frame_scores(score, first, LENGTH, len(track), low=low, high=low + FRAMES - 1)
        return frame_scores(rows, slot, track, clips * FRAMES, empty_score=0.0)

    return median_seconds(work, repeats)


@click.command(cls=Command)
@click.option("--most", default=10_000_000, show_default=True, help="Largest number of windows.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Plot to write (.png).")
def main(most: int, repeats: int, out: Path | None) -> None:
    """Print the table and, with --out, draw the plot."""
    if out is not None:
        check_destination(out)
    torch.set_num_threads(1)
    sizes = np.geomspace(most / 32, most, 6).astype(int).tolist()
    click.echo("     windows   seconds   microseconds a window")
    taken = []
    for size in sizes:
        taken.append(seconds(size, repeats))
        click.echo(f"{size:12,}{taken[-1]:10.3f}{1e6 * taken[-1] / size:12.3f}")
    if out is not None and can_plot():
        plot_lines(sizes, {"frame aggregation": taken}, out, xlabel="windows", ylabel="seconds")
        click.echo(f"plot: {out}")


if __name__ == "__main__":
    main()
