"""``gepc-geo evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from gepc_geo.cli.classes import known_classes
from gepc_geo.cli.commands.score import load_run, score_options
from gepc_geo.cli.data import (
    data_options,
    device_option,
    read_data,
)
from gepc_geo.cli.run import Run
from gepc_geo.errors import InputError
from gepc_geo.evaluation.evaluator import Evaluation
from gepc_geo.evaluation.evaluator import evaluate as measure
from gepc_geo.evaluation.tables import ScoreOptions
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report import can_plot, plot_roc, plot_timelines
from gepc_geo.utils.files import atomic_path, check_destination


@click.command(short_help="Measure a run on labelled poses.")
@click.argument("run", type=click.Path(path_type=Path))
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Metrics to write (.json)."
)
@click.option("--labels", type=click.Path(path_type=Path), help="Folder of frame masks (.npy).")
@click.option(
    "--plots/--no-plots", default=True, show_default=True, help="PNG plots beside the metrics."
)
@score_options
@device_option
def evaluate(
    run: Path,
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    out: Path,
    labels: Path | None,
    plots: bool,
    mode: str | None,
    protocol: str,
    smooth: float,
    people_correction: bool,
    padded: bool | None,
    frames: int | None,
    device: str,
) -> None:
    """Measure the detector of RUN on labelled poses: AUC, AP, EER, events, every mode.

    Labels are frame masks (--labels, or in the data) or, for whole clips, --normal classes.

    Example:

        gepc-geo evaluate runs/mine poses/test --labels poses/masks --out metrics.json
    """
    if out.suffix != ".json":
        raise InputError(f"{out} has suffix {out.suffix!r}, expected .json")
    if labels is not None and normal is not None:
        raise InputError(
            f"--labels is {labels} (for frames) and --normal {normal} (for whole clips), "
            "expected one of them"
        )
    check_destination(out)
    Run.of(run).check()
    tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
    names = known_classes(tracks, normal, data)
    detector = load_run(run, frames, device, tracks)
    if labels is not None and tracks.frame_labels is not None:
        unknown = np.split(tracks.frame_labels < 0, tracks.frame_offset[1:-1])
        lost = [name for name, one in zip(tracks.clip_names, unknown, strict=True) if one.all()]
        if lost:
            click.echo(
                f"note: {len(lost)} of {tracks.num_clips} clips have no mask in {labels} and are "
                f"left out, the first is {lost[0]!r}",
                err=True,
            )
    options = ScoreOptions(mode, protocol, smooth, people_correction, padded)
    result = measure(detector, tracks, normal=names, options=options, quiet=False)
    write_evaluation(result, tracks, out, plots)
    show(result.metrics)
    click.echo(f"metrics: {out}")


def write_evaluation(result: Evaluation, tracks: PoseTracks, out: Path, plots: bool) -> list[Path]:
    """Writes ``metrics.json`` and, beside it, the plots; returns what was written.

    Without matplotlib a note takes the place of the plots.
    """
    if plots and not can_plot():
        click.echo("note: no plots without matplotlib (pip install 'gepc_geo[plots]')", err=True)
        plots = False
    written = [out]
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(result.metrics, indent=2) + "\n", encoding="utf-8")
    if plots:
        written.append(out.with_name(f"{out.stem}_roc.png"))
        plot_roc(result.labels, result.scores, written[-1])
        if result.metrics["level"] == "frame":
            borders = tracks.frame_offset[1:-1]
            written.append(out.with_name(f"{out.stem}_timelines.png"))
            plot_timelines(
                tracks.clip_names,
                np.split(result.labels, borders),
                np.split(result.scores, borders),
                written[-1],
                threshold=result.metrics["events"]["threshold"],
            )
    return written


def show(metrics: dict[str, Any]) -> None:
    """Prints metrics as lines, nested ones in one line each."""
    for name, value in metrics.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {_text(v)}" for k, v in value.items())
        click.echo(f"{name:24s}{_text(value)}")


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
