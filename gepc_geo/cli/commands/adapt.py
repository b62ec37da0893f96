"""``gepc-geo adapt``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import InputPath, data_options, device_option, run_argument
from gepc_geo.errors import InputError


@click.command(cls=Computing)
@run_argument
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the adapted run."
)
@click.option(
    "--normal-events",
    type=InputPath(),
    help="False alarms, lines of gepc-geo watch; a camera is the clip of DATA of that name.",
)
@click.option(
    "--anomalies",
    type=InputPath(),
    help="Labelled poses; prints the recall of abnormal events, before and after.",
)
@click.option("--labels", type=InputPath(), help="Folder of frame masks of --anomalies (.npy).")
@device_option
def adapt(
    run: Path,
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    out: Path,
    normal_events: Path | None,
    anomalies: Path | None,
    labels: Path | None,
    device: str,
) -> None:
    """Refit the reference set and thresholds of RUN to DATA; the network and RUN do not change.

    Without --normal-events, all poses in DATA are normal, for example those of a new camera. With
    it, only the poses in those events are normal: an operator marked them as false alarms. An event
    of camera "gate" belongs to the clip "gate" of DATA, by frame numbers.

    For example:

        gepc-geo adapt runs/mine poses/new_camera --out runs/adapted
        gepc-geo adapt runs/mine poses/today --normal-events false.jsonl --out runs/adapted
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.reading import read_data, warn_of_faults
    from gepc_geo.cli.run import Run, load_run
    from gepc_geo.evaluation.alarms import alarm_threshold
    from gepc_geo.streaming.adaptation import adapt_to_events, adapt_to_poses, count_raised, recall
    from gepc_geo.streaming.alerts import read_events
    from gepc_geo.utils.files import check_destination

    target = Run(out).model
    if target.exists() or Run(out).config.exists():
        raise InputError(f"{out} must be a new folder, got an existing run")
    if labels is not None and anomalies is None:
        raise InputError(f"--labels must be given with --anomalies, got {labels} alone")
    check_destination(target)
    Run.of(run).check()
    tracks = read_data(data, format_, skeleton, split, fps, image_size=image_size)
    tracks = select_classes(tracks, normal, data)
    warn_of_faults(tracks, data)
    detector = load_run(run, None, device, tracks)
    held_out = None
    if anomalies is not None:
        held_out = read_data(anomalies, "auto", skeleton, None, fps, labels, image_size)
        before = recall(detector, held_out)
    if normal_events is None:
        adapted = adapt_to_poses(detector, tracks)
    else:
        events = read_events(normal_events)
        adapted = adapt_to_events(detector, tracks, events)
        silent = len(events) - count_raised(adapted, tracks, events)
        click.echo(f"{silent} of {len(events)} marked events no longer raise an alarm")
        if held_out is None:
            spans = [(event.camera, range(event.start, event.end + 1)) for event in events]
            frames = len({(camera, frame) for camera, span in spans for frame in span})
            click.echo(
                f"note: behaviour in {frames} frames, and in the windows that overlap them, now "
                "counts as normal in every place; --anomalies shows the loss of recall"
            )
    if held_out is not None:
        click.echo(f"recall before {before}")
        click.echo(f"recall after  {recall(adapted, held_out)}")
    events_path = None if normal_events is None else str(normal_events)
    Run(out).write_adapted(adapted, Run.of(run), {"path": str(data), "normal_events": events_path})
    for name, fitted in (("before", detector), ("after", adapted)):
        mode, threshold = alarm_threshold(fitted)
        click.echo(f"threshold {name:7s}{threshold:.6g} ({mode})")
    click.echo(f"model: {target}")
