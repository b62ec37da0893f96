"""Reads the poses of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from gepc_geo.errors import InputError, naming, warn_of_input
from gepc_geo.io import Reading, read_all
from gepc_geo.poses.diagnostics import find_faults, wrong_order
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils import distributed


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


def warn_of_faults(tracks: PoseTracks, data: Path) -> None:
    """Warns of each sign of wrong poses that ``gepc-geo info`` lists, on the first rank.

    Args:
        tracks: The poses.
        data: Where they come from.
    """
    if distributed.is_first():
        for fault in find_faults(tracks):
            warn_of_input(f"{data}: {fault}")


def refuse_wrong_order(tracks: PoseTracks, data: Path, skeleton: str) -> None:
    """Refuses joints in another order than the skeleton's, unless ``--skeleton`` names it.

    Args:
        tracks: The poses.
        data: Where they come from.
        skeleton: Value of ``--skeleton``.

    Raises:
        InputError: The signs are sure, and ``skeleton`` is ``"auto"``.
    """
    found = wrong_order(tracks) if skeleton == "auto" else ""
    if found:
        name = tracks.skeleton.name
        raise InputError(
            f"{data}: joints must be in the order of skeleton {name}, got {found}: give the order "
            "of your tool (--skeleton with a name or a JSON file; gepc-geo info --picture draws a "
            f"pose), or --skeleton {name} to train on the poses as they are"
        )
