"""Reading tracked poses from files: one registry, one small module for each format."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io import alphapose, native, nw_ucla, penn_action, shanghaitech
from gepc_geo.skeleton import SKELETONS, Skeleton, coco17_to_coco18
from gepc_geo.tracks import PoseTracks

__all__ = ["FORMATS", "read"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: What ``--format`` calls it.
        suffix: The ending of its files, in lower case; files may have it in upper case.
        detect: Whether a file is of this format, by its content.
        read: Reads one file.
        any_skeleton: Whether the files do not say what their joints are, so that ``read`` takes a
            skeleton too.
    """

    name: str
    suffix: str
    detect: Callable[[Path], bool]
    read: Callable[..., PoseTracks]
    any_skeleton: bool = False


_FORMATS = (
    Format("native", ".npz", native.detect, native.read_native),
    Format(
        "alphapose-tracks",
        ".json",
        alphapose.detect_tracks,
        alphapose.read_alphapose_tracks,
        any_skeleton=True,
    ),
    Format(
        "alphapose-results",
        ".json",
        alphapose.detect_results,
        alphapose.read_alphapose_results,
        any_skeleton=True,
    ),
    Format("nw-ucla", ".json", nw_ucla.detect, nw_ucla.read_nw_ucla),
    Format("penn-action", ".mat", penn_action.detect, penn_action.read_penn_action),
    Format("shanghaitech-boxes", ".txt", shanghaitech.detect, shanghaitech.read_shanghaitech_boxes),
)

#: The names of all formats.
FORMATS = tuple(form.name for form in _FORMATS)

# What lies beside data and is none, though its ending may be that of data.
_DOCUMENTS = re.compile(r"(read[-_ ]?me|licen[cs]e|copying|notice|changelog)\b.*", re.IGNORECASE)


def read(
    path: str | Path,
    format: str = "auto",
    skeleton: str | Path | Skeleton = "auto",
    fps: float | None = None,
) -> PoseTracks:
    """Reads a file, or all files in a folder (and its folders), sorted by path, a clip a file.

    In a folder, hidden files, documents (``README``, ``LICENSE``) and files whose ending no format
    found there has (``.npy`` masks) are left alone; endings may be in upper case. Any other file is
    data, and an error where it is malformed: a clip is never passed over in silence.

    Args:
        path: File or folder.
        format: One of :data:`FORMATS`; or ``"auto"``: each file's, by its content.
        skeleton: ``"auto"``: what the format says (AlphaPose: COCO's by the joint count); or a
            skeleton the joints are named by. ``coco18`` of 17 COCO joints adds the neck.
        fps: Frames a second of clips that do not say.

    Raises:
        InputError: No such path, nothing readable in it, a malformed file, another joint count,
            files whose poses differ in kind, two clips of one name.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist, expected a file or folder of poses")
    if format != "auto" and format not in FORMATS:
        raise InputError(f"format is {format!r}, expected auto or {', '.join(FORMATS)}")
    wanted = None
    if not (isinstance(skeleton, str) and skeleton == "auto"):
        wanted = Skeleton.get(skeleton)
    if path.is_dir():
        tracks = _read_folder(path, format, wanted)
    else:
        tracks = _read_file(path, _form_of(path, format), wanted)
    if fps is not None:
        tracks = tracks.with_(fps=np.where(np.isnan(tracks.fps), fps, tracks.fps), origin=str(path))
    return tracks


def _read_folder(folder: Path, format: str, wanted: Skeleton | None) -> PoseTracks:
    forms = [form for form in _FORMATS if format in ("auto", form.name)]
    suffixes = {form.suffix for form in forms}
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and not _DOCUMENTS.fullmatch(file.stem)
        and file.is_file()
    )
    if not files:
        raise InputError(
            f"{folder} has no file of poses, expected some ending in {', '.join(sorted(suffixes))}"
        )
    if format == "auto":
        found = {
            file: next(
                (f for f in forms if f.suffix == file.suffix.lower() and f.detect(file)), None
            )
            for file in files
        }
        # A file that no format knows is read as the first known one of its ending is: it is
        # damaged, and that format's reader says best how.
        usual: dict[str, Format] = {}
        for form in found.values():
            if form is not None:
                usual.setdefault(form.suffix, form)
        if not usual:
            raise InputError(
                f"{files[0]} is of no known format, expected one of {', '.join(FORMATS)}"
            )
        chosen = [
            (file, form or usual[file.suffix.lower()])
            for file, form in found.items()
            if file.suffix.lower() in usual
        ]
    else:
        chosen = [(file, forms[0]) for file in files]
    files = [file for file, _ in chosen]
    return _join(files, [_read_file(file, form, wanted) for file, form in chosen])


def _join(files: list[Path], parts: list[PoseTracks]) -> PoseTracks:
    """All files' clips; names the files where they do not go together."""
    reference = next((i for i, part in enumerate(parts) if part.num_frames), 0)
    first = parts[reference]
    owner: dict[str, Path] = {}
    for i, (file, part) in enumerate(zip(files, parts, strict=True)):
        if part.skeleton != first.skeleton or part.dims != first.dims:
            if part.num_frames:
                raise InputError(
                    f"{file} has poses of {part.num_joints} joints ({part.skeleton.name}) in "
                    f"{part.dims} dimensions, expected {first.num_joints} ({first.skeleton.name}) "
                    f"in {first.dims} as in {files[reference]}"
                )
            # Nobody is in this file, so that it cannot say which joints people have.
            parts[i] = part.with_(
                keypoints=np.zeros((0, first.num_joints, first.dims)),
                confidence=np.zeros((0, first.num_joints)),
                skeleton=first.skeleton,
                origin=str(file),
            )
        for name in part.clip_names:
            if name in owner:
                raise InputError(
                    f"{file} has a clip named {name!r} and so has {owner[name]}, "
                    "expected different names"
                )
            owner[name] = file
    return PoseTracks.concat(parts)


def _form_of(path: Path, format: str) -> Format:
    for form in _FORMATS:
        if form.name == format or (format == "auto" and form.detect(path)):
            return form
    raise InputError(f"{path} is of no known format, expected one of {', '.join(FORMATS)}")


def _read_file(path: Path, form: Format, wanted: Skeleton | None) -> PoseTracks:
    tracks = form.read(path, wanted) if form.any_skeleton else form.read(path)
    if wanted is None or wanted == tracks.skeleton:
        return tracks
    neck, without = SKELETONS["coco18"], SKELETONS["coco17"]
    if wanted == neck and tracks.skeleton == without and tracks.features is None:
        keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
        return tracks.with_(
            keypoints=keypoints, confidence=confidence, skeleton=wanted, origin=str(path)
        )
    return tracks.with_(skeleton=wanted, origin=str(path))
