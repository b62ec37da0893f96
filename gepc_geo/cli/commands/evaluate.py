"""``gepc-geo evaluate``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from gepc_geo.cli.commands.score import score_options
from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import (
    InputPath,
    check_one_kind_of_labels,
    data_options,
    device_option,
    run_argument,
)
from gepc_geo.errors import InputError


@click.command(cls=Computing)
@run_argument
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Metrics to write (.json)."
)
@click.option("--labels", type=InputPath(), help="Folder of frame masks (.npy).")
@click.option(
    "--plots/--no-plots",
    default=True,
    show_default=True,
    help="Plots beside the metrics: for metrics.json metrics_roc.png and, of frames, "
    "metrics_timelines.png.",
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
    faults: bool,
    padded: bool | None,
    frames: int | None,
    device: str,
) -> None:
    """Measure the detector of RUN on labelled poses: AUC, AP, EER, events, AUC of each mode.

    Labels are frame masks (--labels, or in DATA) or, for whole clips, the classes of --normal.

    For example:

        gepc-geo evaluate runs/mine poses/test --labels poses/masks --out metrics.json
    """
    from gepc_geo.cli.classes import checked_classes
    from gepc_geo.cli.jobs.evaluate import show, write_evaluation
    from gepc_geo.cli.reading import read_data, warn_of_faults
    from gepc_geo.cli.run import Run, load_run
    from gepc_geo.evaluation.evaluator import evaluate as measure
    from gepc_geo.evaluation.score_options import ScoreOptions
    from gepc_geo.evaluation.states import describe_states
    from gepc_geo.utils.files import check_destination

    if out.suffix != ".json":
        raise InputError(f"{out} must have suffix .json, got {out.suffix!r}")
    check_one_kind_of_labels(labels, normal)
    check_destination(out)
    Run.of(run).check()
    tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
    warn_of_faults(tracks, data)
    names = checked_classes(tracks, normal, data)
    detector = load_run(run, frames, device, tracks)
    if labels is not None and tracks.frame_labels is not None:
        unknown = np.split(tracks.frame_labels < 0, tracks.frame_offset[1:-1])
        without = [
            name for name, mask in zip(tracks.clip_names, unknown, strict=True) if mask.all()
        ]
        if without:
            click.echo(
                f"note: {len(without)} of {tracks.num_clips} clips have no mask in {labels} and "
                f"are not measured, the first is {without[0]!r}",
                err=True,
            )
    options = ScoreOptions(mode, protocol, smooth, people_correction, padded, faults)
    result = measure(detector, tracks, normal=names, options=options, quiet=False)
    written = write_evaluation(result, tracks, out, plots)
    show(result.metrics)
    click.echo(f"metrics: {out}")
    if written[1:]:
        click.echo(f"plots:   {', '.join(map(str, written[1:]))}")
    for sentence in describe_states(result.metrics["states"], f"{result.metrics['level']}s"):
        click.echo(f"note: {sentence}", err=True)
