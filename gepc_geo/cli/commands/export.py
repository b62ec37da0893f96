"""``gepc-geo export``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from gepc_geo.cli.choices import GRAPHS
from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import run_argument
from gepc_geo.options import MODES


@click.command(cls=Computing)
@run_argument
@click.option("--format", "format_", type=click.Choice(GRAPHS), default="onnx", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write (.onnx or .pt2)."
)
@click.option("--mode", type=click.Choice(MODES), help="Scoring mode.  [default: the run's]")
def export(run: Path, format_: str, out: Path, mode: str | None) -> None:
    """Write RUN as one graph from windows of key points to anomaly scores.

    The input is [windows, frames, joints, channels] float32: windows of the longest length;
    channels are the coordinates (as in the training poses), the confidence and the features. The
    graph runs without gepc_geo, in float32, for any number of windows.

    For example:

        gepc-geo export runs/mine --format onnx --out mine.onnx
    """
    from gepc_geo import export as graphs
    from gepc_geo.cli.run import Run
    from gepc_geo.evaluation.alarms import Alarm
    from gepc_geo.evaluation.evaluator import frame_threshold
    from gepc_geo.evaluation.score_options import ScoreOptions

    detector = Run.of(run).load(device="cpu")
    graph = graphs.export(detector, out, format_, mode, say=partial(click.echo, err=True))
    channels = detector.dims_ + 1 + detector.num_features_
    lengths, joints = detector.lengths_, detector.skeleton_.num_joints
    shape = f"windows, {lengths[-1]}, {joints}, {channels}"
    click.echo(f"input           keypoints [{shape}] float32")
    if graph.needs_image_size:
        click.echo("                image_size [windows, 2] float32")
    several = len(lengths) > 1
    frames = f" of the frames in the middle, by {', '.join(map(str, lengths))}" if several else ""
    click.echo(f"output          score [windows] float64 ({graph.mode}){frames}")
    if "assignment" in graph.outputs:
        click.echo(f"                assignment [windows, {detector.options_.clusters}] float32")
    if several:
        threshold = frame_threshold(detector, graph.mode, ScoreOptions())
        use = "frames, as in gepc-geo evaluate"
    else:
        threshold = detector.calibration_.thresholds[graph.mode]
        use = "windows, as in GEPC.predict"
    click.echo(f"threshold       {threshold:.4f} ({graph.mode}), for {use}")
    alarm = Alarm.of(detector)
    if alarm is not None:
        click.echo(
            f"alarm           {alarm.threshold:.4f} ({alarm.mode}), for frames, as in gepc-geo "
            "watch and report"
        )
    click.echo(f"size            {out.stat().st_size / 1e6:.1f} MB")
    network = None if graph.encoder.network is None else detector.network_
    if network is not None and network.precision != "fp32":
        click.echo(
            f"note: the run scores in {network.precision}, the graph in float32: scores differ by "
            "rounding"
        )
