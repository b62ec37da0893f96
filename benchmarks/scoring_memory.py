"""Peak memory of scoring over the number of windows, as a table and a plot.

    python benchmarks/scoring_memory.py --out memory.png

Each size runs in a separate process. It scores simulated walkers at level ``frame``, with clips
repeated up to the number of windows. A ``--mode`` with a network uses a tiny network. ``data`` is
the memory before scoring (poses and libraries), ``peak`` the peak memory during scoring. The
difference should grow with the rows of the table only.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from gepc_geo import GEPC, PoseTracks
from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import simulate_crowd
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table
from gepc_geo.options import MODES
from gepc_geo.report import can_plot, plot_lines
from gepc_geo.utils.files import check_destination

TINY = dict(
    encoder_channels=[2, 2, 2],
    strides=[1, 2, 3],
    decoder_channels=[2, 2],
    hidden=1,
    clusters=3,
    components=2,
    budget=64,
    batch_size=32,
    augment="none",
)


def repeated(tracks: PoseTracks, times: int) -> PoseTracks:
    """Repeats clips under other names."""

    def tile(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array] * times)

    names = ("keypoints", "confidence", "frame", "track", "clip_length", "image_size", "fps")
    return replace(
        tracks,
        **{name: tile(getattr(tracks, name)) for name in names},
        clip=np.concatenate([tracks.clip + i * tracks.num_clips for i in range(times)]),
        clip_names=tuple(f"{name}_{i}" for i in range(times) for name in tracks.clip_names),
        camera=tracks.camera * times,
        clip_label=tracks.clip_label * times,
        clip_split=tracks.clip_split * times,
        frame_labels=None,
    )


def megabytes(entry: str) -> float:
    """``VmRSS`` (current) or ``VmHWM`` (peak) of this process, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{entry}:\s+(\d+) kB", status)[1]) / 1024


def child(windows: int, stride: int, clips: int, mode: str) -> None:
    """Scores, and prints windows, rows of the table, memory before scoring and peak memory."""
    crowd = simulate_crowd("train", num_clips=clips, frames_per_clip=250, random_state=0)
    detector = GEPC(**TINY, mode=mode, stride=stride, score_stride=stride).fit(crowd, device="cpu")
    tracks = repeated(crowd, -(-windows // len(detector.windows(crowd))))
    count = len(detector.windows(crowd)) * (tracks.num_clips // crowd.num_clips)
    before = megabytes("VmRSS")
    # Resets the peak, which was that of the fit.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    table = score_table(detector, tracks, "frame", ScoreOptions())
    print(count, len(table["score"]), before, megabytes("VmHWM"))


@click.command(cls=Command)
@click.option("--windows", "sizes", default="10000,50000,100000", show_default=True)
@click.option("--stride", default=1, show_default=True, help="Frames between windows.")
@click.option("--clips", default=12, show_default=True, help="Simulated clips to repeat.")
@click.option("--mode", type=click.Choice(MODES), default=MODES[0], show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Plot to write (.png).")
@click.option("--child", "child_size", type=int, hidden=True)
def main(
    sizes: str, stride: int, clips: int, mode: str, out: Path | None, child_size: int | None
) -> None:
    """Print the table and, with --out, draw the plot."""
    if child_size is not None:
        child(child_size, stride, clips, mode)
        return
    if out is not None:
        check_destination(out)
    click.echo("     windows   data MB   peak MB   scoring adds MB")
    rows = []
    for size in sizes.split(","):
        command = [sys.executable, __file__, "--child", size, "--stride", str(stride)]
        command += ["--clips", str(clips), "--mode", mode]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        count, _, before, peak = map(float, text.split())
        rows.append((count, before, peak))
        click.echo(f"{int(count):12,}{before:10.0f}{peak:10.0f}{peak - before:14.0f}")
    if out is not None and can_plot():
        counts, before, peak = zip(*rows, strict=True)
        added = [p - b for p, b in zip(peak, before, strict=True)]
        lines = {"peak": peak, "poses and libraries": before, "scoring adds": added}
        plot_lines(counts, lines, out, xlabel="windows", ylabel="megabytes")
        click.echo(f"plot: {out}")


if __name__ == "__main__":
    main()
