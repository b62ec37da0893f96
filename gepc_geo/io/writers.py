"""Writing poses in the formats that can hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io.reading import NECK, WITHOUT_NECK, with_neck
from gepc_geo.io.registry import REGISTRY, WRITABLE, Format
from gepc_geo.poses.tracks import PoseTracks


def write(tracks: PoseTracks, path: str | Path, format: str = "native") -> list[Path]:
    """Writes poses in one of the formats :data:`gepc_geo.io.WRITABLE`: all of them, or where it fails none.

    Files are named after the clips (:func:`gepc_geo.io._common.names.file_names`). A file of that name is
    replaced; a folder of that name, of formats with a file a frame, is refused.

    Args:
        tracks: What to write.
        path: A file (of the formats :data:`gepc_geo.io.IN_ONE_FILE`), or the folder of the files.
        format: The format's name.

    Returns:
        The written files.

    Raises:
        InputError: Another format, poses that the format has no form for (then formats that have
            one are named), a clip whose name no file can have, a path that cannot be written to.
    """
    form = next((form for form in REGISTRY if form.name == format), None)
    if form is None or form.write is None:
        raise InputError(f"format to write is {format!r}, expected {', '.join(WRITABLE)}")
    lack = form.lack(tracks)
    if lack:
        raise InputError(f"{lack}, expected {_way_on(tracks, form)}")
    return form.write(tracks, Path(path))


# -- inner -----------------------------------------------------------------------------------------


def _way_on(tracks: PoseTracks, form: Format) -> str:
    """Formats that hold poses for which this one has no form, and how it may get one."""
    others = [one.name for one in REGISTRY if one.write is not None and not one.lack(tracks)]
    neck = ""
    nobody = tracks.with_(features=None).rows(np.zeros(tracks.num_frames, dtype=bool))
    if tracks.skeleton == WITHOUT_NECK and not form.lack(with_neck(nobody)):
        neck = f"--skeleton {NECK.name}, which adds the neck, or "
    return f"{neck}a format that holds them: {', '.join(others)}"
