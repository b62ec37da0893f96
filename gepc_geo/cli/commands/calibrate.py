"""``gepc-geo calibrate``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import data_options, device_option, run_argument
from gepc_geo.errors import InputError
from gepc_geo.options import MODES


@click.command(cls=Computing)
@run_argument
@data_options
@click.option(
    "--false-alarms-per-hour",
    type=float,
    required=True,
    metavar="X",
    help="Largest number of false alarms per hour of normal behaviour.",
)
@click.option("--mode", type=click.Choice(MODES), help="Scoring mode.  [default: the run's]")
@device_option
def calibrate(
    run: Path,
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    false_alarms_per_hour: float,
    mode: str | None,
    device: str,
) -> None:
    """Choose the alarm threshold of RUN on the normal poses in DATA, and store it in the model.

    A false alarm is a series of alarmed frames of a camera; gaps under a second are merged. The
    stored threshold is chosen on all clips. Its rate of false alarms is measured on held-out clips:
    the threshold of each half of the clips is applied to the other half. gepc-geo info RUN shows
    the rate again. DATA must not be the training poses; a warning says if it is.

    For example:

        gepc-geo calibrate runs/mine poses/normal --false-alarms-per-hour 2
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.reading import read_data, warn_of_faults
    from gepc_geo.cli.run import Run, load_run
    from gepc_geo.streaming import thresholds as alarms
    from gepc_geo.utils.files import check_destination

    check_destination(Run.of(run).model)
    Run.of(run).check()
    tracks = read_data(data, format_, skeleton, split, fps, image_size=image_size)
    tracks = select_classes(tracks, normal, data)
    warn_of_faults(tracks, data)
    alarms.check_fps(tracks)
    if tracks.frame_labels is not None and (tracks.frame_labels == 1).any():
        raise InputError(
            f"{data} must have normal frames only, got "
            f"{int((tracks.frame_labels == 1).sum())} abnormal frames"
        )
    hours = float(np.sum(tracks.clip_length / tracks.fps)) / 3600
    alarms.check_hours(hours, false_alarms_per_hour)
    detector = load_run(run, None, device, tracks)
    if detector.was_trained_on(tracks):
        click.echo(
            f"warning: {run} was trained on {data}, and training poses have lower scores than new "
            "ones: calibrate on other normal poses, or expect more false alarms",
            err=True,
        )
    mode = detector.scoring_mode(mode)
    series = alarms.clip_series(detector, tracks, mode, quiet=False)
    alarm = alarms.choose_alarm(series, mode, false_alarms_per_hour)
    detector.alarm_ = alarm.to_dict()
    detector.save(Run.of(run).model)
    click.echo(f"wanted        {false_alarms_per_hour:g} false alarms an hour")
    click.echo(f"on held-out   {alarm.held_out}")
    on_all = alarms.false_alarms(series, alarm.threshold)
    click.echo(f"on all        {on_all / hours:.3g} an hour ({on_all} in {hours:.3g} hours)")
    click.echo(f"threshold     {alarm.threshold:.6g} ({mode})")
    click.echo(f"model: {Run.of(run).model}")
