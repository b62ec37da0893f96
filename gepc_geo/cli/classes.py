"""Classes of ``--normal``, checked against the data."""

from __future__ import annotations

from pathlib import Path

from gepc_geo.cli.data import class_names
from gepc_geo.errors import naming
from gepc_geo.poses.tracks import PoseTracks


def select_classes(tracks: PoseTracks, normal: str | None, data: Path) -> PoseTracks:
    """Selects the clips of the classes of ``--normal``; without the flag, all clips.

    Args:
        tracks: The poses.
        normal: Value of ``--normal``.
        data: Where the poses come from, for messages.

    Raises:
        InputError: No clip has one of the classes.
    """
    names = class_names(normal)
    if names is None:
        return tracks
    with naming(data):
        return tracks.select(labels=names)


def checked_classes(tracks: PoseTracks, normal: str | None, data: Path) -> list[str] | None:
    """The classes of ``--normal``, or ``None`` without the flag.

    Args:
        tracks: The poses.
        normal: Value of ``--normal``.
        data: Where the poses come from, for messages.

    Raises:
        InputError: As :func:`select_classes`.
    """
    names = class_names(normal)
    if names is not None:
        with naming(data):
            tracks.check_classes(names)
    return names
