"""``gepc-geo export``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from gepc_geo.alarms import Alarm
from gepc_geo.export import FORMATS, OUTPUTS, export
from gepc_geo.options import MODES
from gepc_geo.run import Run


@click.command("export", short_help="Write a run as one ONNX or PyTorch graph.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "format_", type=click.Choice(FORMATS), default="onnx", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write (.onnx or .pt2)."
)
@click.option("--mode", type=click.Choice(MODES), help="Scoring mode.  [default: the run's]")
def export_command(run: Path, format_: str, out: Path, mode: str | None) -> None:
    """Write RUN as one graph: windows of key points in, anomaly scores and soft assignments out.

    Input: [windows, frames, joints, channels] float32, coordinates as in the training poses, then
    confidence, then features. Runs without gepc_geo, in float32, with any number of windows.

    Example:

        gepc-geo export runs/mine --format onnx --out mine.onnx
    """
    detector = Run.of(run).load(device="cpu")
    graph = export(detector, out, format_, mode, say=partial(click.echo, err=True))
    channels = detector.dims_ + 1 + detector.num_features_
    shape = f"windows, {detector.length}, {detector.skeleton_.num_joints}, {channels}"
    click.echo(f"input           keypoints [{shape}] float32")
    if graph.needs_image_size:
        click.echo("                image_size [windows, 2] float32")
    click.echo(f"output          {OUTPUTS[0]} [windows] float64 ({graph.mode})")
    click.echo(f"                {OUTPUTS[1]} [windows, {detector.clusters}] float32")
    threshold = detector.thresholds_[graph.mode]
    click.echo(f"threshold       {threshold:.4f} ({graph.mode}), for single windows: predict's")
    alarm = Alarm.of(detector)
    if alarm is not None:
        click.echo(
            f"alarm           {alarm.threshold:.4f} ({alarm.mode}), for frames: watch's and report's"
        )
    click.echo(f"size            {out.stat().st_size / 1e6:.1f} MB")
    if detector.precision_ != "fp32":
        click.echo(
            f"note: the run scores in {detector.precision_}, the graph in float32: "
            "scores differ by rounding"
        )
