"""Classes that a command line names, held against the data; refusals name it."""

from __future__ import annotations

from pathlib import Path

from gepc_geo.cli.data import class_names
from gepc_geo.errors import naming
from gepc_geo.poses.tracks import PoseTracks


def of_classes(tracks: PoseTracks, normal: str | None, data: Path) -> PoseTracks:
    """The clips of the classes of ``--normal``; without it all of them.

    Raises:
        InputError: A class that no clip of ``data`` has.
    """
    names = class_names(normal)
    if names is None:
        return tracks
    with naming(data):
        return tracks.select(labels=names)


def known_classes(tracks: PoseTracks, normal: str | None, data: Path) -> list[str] | None:
    """The classes of ``--normal``.

    Raises:
        InputError: As :func:`of_classes`.
    """
    names = class_names(normal)
    if names is not None:
        with naming(data):
            tracks.check_classes(names)
    return names
