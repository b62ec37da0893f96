"""``gepc-geo watch``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import device_option


@click.command(cls=Computing)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--fps", type=float, help="Frames a second.  [default: as in training]")
@device_option
def watch(run: Path, fps: float | None, device: str) -> None:
    """Watch frames on standard input with the detector of RUN; alerts go to standard output.

    A line of input is one frame of one camera:

    \b
        {"camera": "gate", "frame": 17, "people": [
          {"id": 3, "keypoints": [[x, y, confidence], ...]}, ...]}

    all in one line; "camera" may be left out where there is one only. Frames are numbered from 0 at
    the camera's rate; "keypoints" has one entry for each joint of the skeleton, [x, y, z, confidence]
    for 3D, confidence from 0 (missing) to 1. "image_size": [width, height] is needed by runs with
    scale image, a person's "features" by runs with features. Lines of several cameras may alternate.
    A joint with confidence 0 may have null coordinates; a confidence that is null counts as 1. Ids and
    frame numbers may be written 3.0 or "3"; people without an id (missing or null) are left out. A line
    that cannot be used is left out with a warning; people without an id and frames that come late or
    twice are counted, with a warning every ten seconds at most. A camera that sends nothing for ten minutes is closed.

    A line of output is an alert: a run of a camera's frames that score at least the threshold of
    gepc-geo calibrate, gaps under a second merged. It is written when it opens and again when it is
    over, with "state" "open" and "closed":

    \b
        {"camera": "gate", "state": "closed", "start": 40, "peak": 52, "end": 61,
         "person": 3, "score": 4.2}

    start, peak and end are frame numbers, person and score are those of the peak. A frame is judged
    when every window that contains it is complete (with the defaults 2 seconds and 6 frames later; with
    train --lengths 0.5s,1s a second and 6 frames). Ctrl-C, or SIGTERM, closes open alerts and ends.
    Nobody has to read alerts or warnings: 10,000 and 1,000 wait, and at the end those that nobody reads
    for ten seconds are lost.

    Example:

        gepc-geo watch runs/mine < frames.jsonl > alerts.jsonl
    """
    from gepc_geo.cli.watch import watch_input

    watch_input(run, fps, device)
