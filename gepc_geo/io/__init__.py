"""Reading tracked poses from files: one registry, one small module for each format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io import alphapose, native, nw_ucla, penn_action, shanghaitech
from gepc_geo.skeleton import Skeleton, coco17_to_coco18
from gepc_geo.tracks import PoseTracks

__all__ = ["FORMATS", "read"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: What ``--format`` calls it.
        suffix: The ending of its files.
        detect: Whether a file is of this format, by its content.
        read: Reads one file.
    """

    name: str
    suffix: str
    detect: Callable[[Path], bool]
    read: Callable[[Path], PoseTracks]


_FORMATS = (
    Format("native", ".npz", native.detect, native.read_native),
    Format("alphapose-tracks", ".json", alphapose.detect_tracks, alphapose.read_alphapose_tracks),
    Format(
        "alphapose-results", ".json", alphapose.detect_results, alphapose.read_alphapose_results
    ),
    Format("nw-ucla", ".json", nw_ucla.detect, nw_ucla.read_nw_ucla),
    Format("penn-action", ".mat", penn_action.detect, penn_action.read_penn_action),
    Format("shanghaitech-boxes", ".txt", shanghaitech.detect, shanghaitech.read_shanghaitech_boxes),
)

#: The names of all formats.
FORMATS = tuple(form.name for form in _FORMATS)


def read(
    path: str | Path,
    format: str = "auto",
    skeleton: str | Path | Skeleton = "auto",
    fps: float | None = None,
) -> PoseTracks:
    """Reads a file, or all files of one format in a folder (and its folders), a clip a file.

    Args:
        path: File or folder.
        format: One of :data:`FORMATS`, or ``"auto"``: by the content. In a folder, ``auto`` leaves
            files alone that no format claims by their ending.
        skeleton: ``"auto"``: what the format says (key point files: by their joint count); or a
            skeleton the joints are named by. ``coco18`` of 17 joints adds the neck.
        fps: Frames a second of clips that do not say.

    Raises:
        InputError: No such path, nothing readable in it, a malformed file, another joint count.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist, expected a file or folder of poses")
    if format != "auto" and format not in FORMATS:
        raise InputError(f"format is {format!r}, expected auto or {', '.join(FORMATS)}")
    tracks = _read_folder(path, format) if path.is_dir() else _form_of(path, format).read(path)
    tracks = _with_skeleton(tracks, skeleton, path)
    if fps is not None:
        tracks = tracks.with_(fps=np.where(np.isnan(tracks.fps), fps, tracks.fps), origin=str(path))
    return tracks


def _read_folder(folder: Path, format: str) -> PoseTracks:
    suffixes = {form.suffix for form in _FORMATS if format in ("auto", form.name)}
    files = sorted(file for file in folder.rglob("*") if file.suffix in suffixes and file.is_file())
    if not files:
        raise InputError(
            f"{folder} has no file of poses, expected some ending in {', '.join(sorted(suffixes))}"
        )
    if format == "auto":
        # A folder is one data set: the first file of a known format decides for all of its ending,
        # so that a broken file among them is an error and not a gap.
        form = next((f for file in files for f in _FORMATS if f.detect(file)), None)
        if form is None:
            raise InputError(
                f"{files[0]} is of no known format, expected one of {', '.join(FORMATS)}"
            )
    else:
        form = _form_of(files[0], format)
    files = [file for file in files if file.suffix == form.suffix]
    return PoseTracks.concat([form.read(file) for file in files])


def _form_of(path: Path, format: str) -> Format:
    for form in _FORMATS:
        if form.name == format or (format == "auto" and form.detect(path)):
            return form
    raise InputError(f"{path} is of no known format, expected one of {', '.join(FORMATS)}")


def _with_skeleton(tracks: PoseTracks, skeleton: str | Path | Skeleton, path: Path) -> PoseTracks:
    if isinstance(skeleton, str) and skeleton == "auto":
        return tracks
    wanted = Skeleton.get(skeleton)
    if wanted == tracks.skeleton:
        return tracks
    if wanted.name == "coco18" and tracks.skeleton.name == "coco17" and tracks.features is None:
        keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
        return tracks.with_(
            keypoints=keypoints, confidence=confidence, skeleton=wanted, origin=str(path)
        )
    return tracks.with_(skeleton=wanted, origin=str(path))
