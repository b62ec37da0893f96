"""The poses that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from gepc_geo.errors import InputError, naming
from gepc_geo.io import Reading, read_all
from gepc_geo.poses.tracks import PoseTracks


def read_data(
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    fps: float | None,
    labels: Path | None = None,
    image_size: Sequence[float] | None = None,
) -> PoseTracks:
    """The poses a command line names, with frame labels from ``labels``."""
    return read_whole(data, format_, skeleton, split, fps, labels, image_size).tracks


def read_whole(
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    fps: float | None,
    labels: Path | None = None,
    image_size: Sequence[float] | None = None,
) -> Reading:
    """:func:`read_data`, with how the files were understood."""
    if fps is not None and not fps > 0:
        raise InputError(f"--fps is {fps}, expected more than 0")
    found = read_all(data, format_, skeleton, fps, image_size, labels)
    tracks = found.tracks
    if (tracks.image_size == 1).all(axis=1).any():
        # They would be scored as they are, by a run trained in pixels too.
        click.echo(
            f"note: {data} holds shares of the image's width and height, which is stretched unless it "
            "is square: give --image-size, in training and scoring alike",
            err=True,
        )
    if split is None:
        return found
    with naming(data):
        return replace(found, tracks=tracks.select(split=split))
