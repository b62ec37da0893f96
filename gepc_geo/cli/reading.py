"""Reads the poses of a command line."""

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
    """Reads poses, with frame labels from ``labels``.

    Args:
        data: A file or folder.
        format_: Value of ``--format``.
        skeleton: Value of ``--skeleton``.
        split: Value of ``--split``.
        fps: Value of ``--fps``.
        labels: Value of ``--labels``. (default: :obj:`None`)
        image_size: Value of ``--image-size``. (default: :obj:`None`)

    Raises:
        InputError: The poses cannot be read, or a value is not allowed.
    """
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
    """As :func:`read_data`, with the formats of the files and how their names were read."""
    if fps is not None and not fps > 0:
        raise InputError(f"--fps must be more than 0, got {fps}")
    reading = read_all(data, format_, skeleton, fps, image_size, labels)
    tracks = reading.tracks
    if (tracks.image_size == 1).all(axis=1).any():
        # A run that was trained in pixels would score them as they are.
        click.echo(
            f"note: {data} holds shares of the image's width and height, which distort images that "
            "are not square: give --image-size, in training and in scoring",
            err=True,
        )
    if split is None:
        return reading
    with naming(data):
        return replace(reading, tracks=tracks.select(split=split))
