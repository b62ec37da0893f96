"""Seconds that ``gepc-geo adapt`` takes for the normal poses of a new camera.

    python benchmarks/adapt_speed.py

The detector is the default, or one with a network after a short training (--mode; speed does not
depend on the weights). It has the largest number of neighbours of each length. It adapts to a
simulated crowd with about --windows windows of all lengths. It scores all windows and learns every
eighth.
"""

from __future__ import annotations

import time

import click
import numpy as np
import torch
from online_latency import describe, model

from gepc_geo import GEPC, PoseTracks
from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import simulate_crowd
from gepc_geo.options import MODES
from gepc_geo.streaming.adaptation import adapt_to_poses
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.machine import machine
from gepc_geo.utils.memory import keep_memory

# Goal of the adaptation time, in seconds.
_GOAL = 20


def crowd(detector: GEPC, windows: int) -> PoseTracks:
    """Poses of whole clips with at least ``windows`` windows in total."""
    # A clip has about 500 windows.
    tracks = simulate_crowd(
        "train", num_clips=1 + windows // 300, frames_per_clip=72, random_state=1
    )
    count = np.cumsum(np.bincount(detector.windows(tracks).without_padded().clip))
    return tracks.select(clips=range(min(int((count < windows).sum()) + 1, tracks.num_clips)))


@click.command(cls=Command)
@click.option("--windows", default=10_000, show_default=True, help="Approximate number of windows.")
@click.option(
    "--mode", type=click.Choice(MODES), default=MODES[0], show_default=True, help="Scoring mode."
)
@click.option("--hidden", default=8, show_default=True, help="Channel unit of the network.")
@click.option("--device", default="auto", show_default=True)
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True
)
def main(windows: int, mode: str, hidden: int, device: str, precision: str) -> None:
    """Measure how long a detector takes to adapt to a new camera."""
    keep_memory()  # as the command line does
    target = pick_device(device)
    for name, value in machine(target).items():
        click.echo(f"{name:16s}{value}")
    click.echo(f"threads         {torch.get_num_threads()}")
    detector = model(mode, hidden, precision, device)
    options = detector.options_
    tracks = crowd(detector, windows)
    scored, learned = (
        len(detector.pipeline_.windows(tracks, stride).without_padded())
        for stride in (options.score_stride, options.stride)
    )
    start = time.perf_counter()
    adapt_to_poses(detector, tracks)
    seconds = time.perf_counter() - start
    click.echo(describe(detector))
    click.echo(f"windows         {scored:,} scored, {learned:,} learned")
    click.echo(f"seconds         {seconds:.1f} (goal: {_GOAL})")


if __name__ == "__main__":
    main()
