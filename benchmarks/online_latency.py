"""Latency of online scoring: milliseconds from a frame to its scores, as a table.

    python benchmarks/online_latency.py

One camera has --people people at --fps. Frames that arrive during scoring wait and are pushed
together, as in ``gepc-geo watch``. Latency starts when the camera takes the frame. It grows without
limit if windows arrive faster than they are scored. The detector is the default, or one with a
network of default size after a short training (--mode; speed does not depend on the weights). It
has the largest number of neighbours of each length. CPU ms is the processor time of all threads for
a frame; it depends least on other programs. With a stride above 1, only every stride-th window of a
person is scored, and people take turns.
"""

from __future__ import annotations

import time

import click
import numpy as np
import torch

from gepc_geo import GEPC, Frame, OnlineScorer
from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import simulate_crowd
from gepc_geo.options import MODES
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.machine import machine
from gepc_geo.utils.memory import keep_memory

# Largest number of neighbours of a detector (gepc_geo.density.neighbours).
_NEIGHBOURS = 10_000
# Largest number of frames that gepc-geo watch pushes together.
_TOGETHER = 64


def model(mode: str, hidden: int, precision: str, device: str) -> GEPC:
    """Detector of full size after a short training."""
    train = simulate_crowd("train", num_clips=2, frames_per_clip=72, random_state=0)
    options = dict(mode=mode, hidden=hidden, budget=64, holdout=0.0, precision=precision)
    detector = GEPC(**options).fit(train, device=device)
    for normality in detector.scorer_.normality.values():
        nearest = normality.nearest
        state = nearest.state_dict()
        for name in ("points", "person", "log_scale"):
            rows = state[name]
            times = [-(-_NEIGHBOURS // len(rows))] + [1] * (rows.dim() - 1)
            state[name] = rows.repeat(*times)[:_NEIGHBOURS]
        nearest.load_state_dict(state)
    return detector


def describe(detector: GEPC) -> str:
    """Mode, windows and network of a detector, as text."""
    text = f"mode {detector.mode}, windows of {', '.join(map(str, detector.lengths_))} frames"
    if detector.network_ is not None:
        text += f", hidden {detector.hidden}, {detector.network_.precision}"
    return text


def measure(
    detector: GEPC, people: int, fps: float, frames: int
) -> tuple[np.ndarray, float, float]:
    """Measures latency of frames in seconds, windows a second, processor seconds a frame."""
    scorer = OnlineScorer(detector, modes=(detector.mode,))
    rng = np.random.default_rng(0)
    pose = rng.uniform(0, 100, (people, detector.skeleton_.num_joints, detector.dims_))
    position = np.zeros((people, 1, detector.dims_))
    warm = detector.lengths_[-1] + detector.max_gap + scorer.wait + 5
    stream = []
    for number in range(warm + frames):
        # People arrive one after the other, so that with a stride they take turns.
        present = np.arange(min(people, number + 1))
        position += rng.normal(0, 2, position.shape)
        keypoints = (pose + position + rng.normal(0, 1, pose.shape))[present]
        stream.append(Frame("camera", number, present, keypoints))
    for frame in stream[:warm]:
        scorer.push(frame)
    latency: list[float] = []
    busy, scored = 0.0, 0
    start, processor = time.perf_counter(), time.process_time()
    taken = start + np.arange(frames) / fps
    while len(latency) < frames:
        done = len(latency)
        time.sleep(max(0.0, taken[done] - time.perf_counter()))
        began = time.perf_counter()
        # At least one frame, in spite of rounding of the clock.
        last = max(done + 1, int(np.searchsorted(taken, began, side="right")))
        last = min(last, done + _TOGETHER)
        scores = scorer.push(*stream[warm + done : warm + last])
        ended = time.perf_counter()
        latency += (ended - taken[done:last]).tolist()
        busy += ended - began
        scored += len(scores)
    processor = (time.process_time() - processor) / frames
    return np.array(latency), scored / busy, processor


@click.command(cls=Command)
@click.option("--people", default=20, show_default=True, help="People in the picture.")
@click.option("--fps", default=25.0, show_default=True, help="Frames a second.")
@click.option("--frames", default=250, show_default=True, help="Frames to measure.")
@click.option(
    "--mode", type=click.Choice(MODES), default=MODES[0], show_default=True, help="Scoring mode."
)
@click.option("--hidden", default=8, show_default=True, help="Channel unit of the network.")
@click.option("--device", default="auto", show_default=True)
@click.option(
    "--strides",
    default="1,2,4",
    show_default=True,
    help="Values of score_stride, separated by commas.",
)
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True
)
def main(
    people: int,
    fps: float,
    frames: int,
    mode: str,
    hidden: int,
    device: str,
    strides: str,
    precision: str,
) -> None:
    """Measure the latency of the scores of people in a stream."""
    keep_memory()  # as the command line does
    target = pick_device(device)
    for name, value in machine(target).items():
        click.echo(f"{name:16s}{value}")
    click.echo(f"threads         {torch.get_num_threads()}")
    detector = model(mode, hidden, precision, device)
    click.echo(describe(detector))
    click.echo(f"\n{people} people at {fps:g} frames a second, {frames} frames")
    click.echo("stride  p50 ms  p99 ms  windows/s  CPU ms  keeps up")
    for stride in map(int, strides.split(",")):
        detector.options_.score_stride = stride
        latency, rate, processor = measure(detector, people, fps, frames)
        p50, p99 = np.percentile(latency * 1e3, [50, 99])
        keeps_up = "yes" if rate >= people * len(detector.lengths_) * fps / stride else "no"
        click.echo(f"{stride:6d}{p50:8.0f}{p99:8.0f}{rate:11.0f}{processor * 1e3:8.0f}  {keeps_up}")


if __name__ == "__main__":
    main()
