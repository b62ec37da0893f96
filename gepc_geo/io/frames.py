"""Formats with a file for every frame: what clip a file is of, and which frame of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gepc_geo.errors import InputError
from gepc_geo.io.text import whole_number

# What tools put behind the frame number, and the folders that they put all their files into.
_ENDING = re.compile(r"[_-]keypoints$")
_FOLDERS = ("labels", "json", "keypoints")
_NUMBERED = re.compile(r"(.*?)[_-]?(\d+)", re.DOTALL)


def split_number(name: str) -> tuple[str, int | None]:
    """``"cam_000012"`` as ``("cam", 12)``; without digits at its end the frame is ``None``."""
    match = _NUMBERED.fullmatch(_ENDING.sub("", name))
    if match is None or len(match[2]) > 18:
        return name, None
    return match[1], int(match[2])


def clip_of(path: Path) -> str:
    """The clip that a frame's file is of: its name without the frame number.

    A file whose name is but a number (``000012.txt``) is of the clip named after its folder, or
    where that is one that a tool made for its files (``labels``), after the folder around it.
    """
    name, _ = split_number(path.stem)
    if name:
        return name
    # Resolved, so that a file of the working directory has a folder too.
    folder = path.resolve().parent
    return (folder.parent if folder.name in _FOLDERS else folder).name or "clip"


def frames_of(files: Sequence[Path]) -> list[int]:
    """The frame number of each of a clip's files.

    Raises:
        InputError: A file without a number at the end of its name, two files of one frame.
    """
    owner: dict[int, Path] = {}
    for path in files:
        _, frame = split_number(path.stem)
        if frame is None:
            raise InputError(
                f"{path} has no frame number at the end of its name, expected one as in clip_12"
            )
        if frame in owner:
            raise InputError(
                f"{path} is frame {frame} and so is {owner[frame]}, expected a file a frame"
            )
        owner[frame] = path
    return list(owner)


def frame_of(image: object, path: Path, where: str) -> tuple[str, int]:
    """Clip and frame of an image, given by a number (then the clip is ``""``) or by a file name.

    Raises:
        InputError: Neither, or a name without digits at its end.
    """
    if isinstance(image, str):
        # An ending such as .jp2 is no frame number; folders are part of the clip's name.
        stem = re.sub(r"\.[A-Za-z]\w*$", "", image)
        name, frame = split_number(stem)
        if frame is not None:
            return name.strip("/\\"), frame
    elif isinstance(image, int) and not isinstance(image, bool):
        return "", whole_number(image, path, "frame")
    shown = repr(image)[:40]
    raise InputError(f"{path} has image_id {shown} at {where}, expected a frame number")
