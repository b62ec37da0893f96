"""Writers of poses, in the formats that can store them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io.reading import NECK, WITHOUT_NECK, with_neck
from gepc_geo.io.registry import REGISTRY, WRITABLE, Format
from gepc_geo.poses.tracks import PoseTracks


def write(tracks: PoseTracks, path: str | Path, format: str = "native") -> list[Path]:
    """Writes poses in one of the formats :data:`gepc_geo.io.WRITABLE`, completely or not at all.

    File names are the clip names (:func:`gepc_geo.io._common.file_names.file_names`). An existing
    file is replaced; an existing folder of a clip, in formats with a file for each frame, is
    refused.

    Args:
        tracks: The poses.
        path: A file (formats :data:`gepc_geo.io.IN_ONE_FILE`), or the folder of the files.
        format: The format's name.

    Returns:
        The written files.

    Raises:
        InputError: An unknown format, poses that the format cannot store (the error lists formats
            that can), a clip name that no file can have, a path that cannot be written.
    """
    form = next((form for form in REGISTRY if form.name == format), None)
    if form is None or form.write is None:
        raise InputError(f"format to write must be one of {', '.join(WRITABLE)}, got {format!r}")
    mismatch = form.mismatch(tracks)
    if mismatch:
        raise InputError(f"{mismatch}: use {_alternatives(tracks, form)}")
    return form.write(tracks, Path(path))


# -- inner -----------------------------------------------------------------------------------------


def _alternatives(tracks: PoseTracks, form: Format) -> str:
    """Formats that can store the poses, and a conversion for this format."""
    others = [
        other.name for other in REGISTRY if other.write is not None and not other.mismatch(tracks)
    ]
    neck = ""
    empty = tracks.with_(features=None).rows(np.zeros(tracks.num_frames, dtype=bool))
    if tracks.skeleton == WITHOUT_NECK and not form.mismatch(with_neck(empty)):
        neck = f"--skeleton {NECK.name}, which adds the neck, or "
    return f"{neck}a format that can store them: {', '.join(others)}"
