"""``gepc-geo watch``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import device_option, run_argument


@click.command(cls=Computing)
@run_argument
@click.option("--fps", type=float, help="Frames per second.  [default: as in training]")
@click.option(
    "--judge-faults",
    "faults",
    is_flag=True,
    help="Judge windows with tracking faults like all others.",
)
@device_option
def watch(run: Path, fps: float | None, faults: bool, device: str) -> None:
    """Score frames on standard input with the detector of RUN, and write alerts to standard output.

    An input line is one frame of one camera, in JSON without line breaks:

    \b
        {"camera": "gate", "frame": 17, "people": [
          {"id": 3, "keypoints": [[x, y, confidence], ...]}, ...]}

    "camera" is optional for a single camera. Frames are numbered from 0 at the camera's rate. Each
    joint of the skeleton has an entry in "keypoints": [x, y, confidence], for 3D [x, y, z,
    confidence]. Confidence is from 0 (missing) to 1; null counts as 1. Coordinates of a missing
    joint may be null. "id" and "frame" may also be written 3.0 or "3". Runs with scale image need
    "image_size": [width, height]; runs with features need "features" of each person. Lines of
    several cameras may alternate.

    Signs of wrong poses, as gepc-geo info lists them, are warned of after 200 person-frames. An
    unusable line is ignored with a warning. People without an id, and late or repeated frames,
    are counted, with a warning at most every ten seconds. A camera without frames for ten minutes
    is closed.

    An output line is an alert of an event: a series of frames of a camera whose scores reach the
    alarm threshold of gepc-geo calibrate; gaps under a second are merged. It is written when the
    event opens, and again when it closes, with "state" "open" and "closed":

    \b
        {"camera": "gate", "state": "closed", "start": 40, "peak": 52, "end": 61,
         "person": 3, "score": 4.2, "people": [3, 7],
         "start_s": 1.6, "peak_s": 2.08, "end_s": 2.44, "joints": ["left_ankle"],
         "quality": 1.0, "fault": "", "why": "", "id": "gate-3-40"}

    start, peak and end are frame numbers, and times in seconds; person and score are those of the
    peak, people are all who reach the threshold. Windows with tracking faults are not judged,
    without --judge-faults; people who were not judged are counted in a warning. A frame is scored
    when all windows that contain it are complete: by default 2 seconds and 6 frames later, with
    train --lengths 0.5s,1s one second and 6 frames later. Ctrl-C or SIGTERM closes open alerts and
    ends the command. Up to 10,000 alerts and 1,000 warnings wait for a slow reader; at the end,
    those that are not read for ten seconds are lost.

    For example:

        gepc-geo watch runs/mine < frames.jsonl > alerts.jsonl
    """  # noqa: D301
    from gepc_geo.cli.jobs.watch import watch_input

    watch_input(run, fps, device, faults)
