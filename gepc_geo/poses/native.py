"""The native file of poses: a zip of plain arrays (``.npz``)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import ARRAYS, OPTIONAL, ROWS, STRINGS
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.utils.files import atomic_path, read_npz

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks

#: Version of the native file format, stored in every file.
FORMAT_VERSION = 1


def write_native(tracks: PoseTracks, path: str | Path) -> None:
    """Writes what :meth:`~gepc_geo.poses.tracks.PoseTracks.save` describes."""
    arrays: dict[str, Any] = {
        name: getattr(tracks, name) for name in ARRAYS if getattr(tracks, name) is not None
    }
    # An empty list of strings would become float64 without its type.
    arrays |= {name: np.array(getattr(tracks, name), dtype=np.str_) for name in STRINGS}
    arrays["skeleton"] = np.array(json.dumps(tracks.skeleton.to_dict()))
    arrays["format_version"] = np.array(FORMAT_VERSION)
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path} has suffix {path.suffix!r}, expected .npz")
    for name in STRINGS:
        check_text(getattr(tracks, name), name, str(path))
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def read_native(path: str | Path, mmap: bool) -> dict[str, Any]:
    """The arguments of :meth:`~gepc_geo.poses.tracks.PoseTracks.build` from a native file."""
    mapped = ROWS if mmap else ()
    arrays: dict[str, Any] = {**read_npz(path, "pose file (.npz)", mapped)}
    version = arrays.pop("format_version", None)
    if version is None or version.shape != () or version != FORMAT_VERSION:
        raise InputError(
            f"{path} has format version {None if version is None else version.tolist()}, "
            f"expected {FORMAT_VERSION}"
        )
    known = {*ARRAYS, *STRINGS, "skeleton"}
    wrong = sorted((known - set(OPTIONAL) - set(arrays)) | (set(arrays) - known))
    if wrong:
        state = "lacks" if wrong[0] in known else "has the unknown"
        raise InputError(f"{path} {state} array {wrong[0]!r}, expected {', '.join(sorted(known))}")
    try:
        skeleton = Skeleton.from_dict(json.loads(str(arrays.pop("skeleton"))), f"{path}: skeleton")
    except json.JSONDecodeError as error:
        raise InputError(f"{path} has no readable skeleton, expected JSON: {error}") from None
    for name in STRINGS:
        if arrays[name].ndim != 1 or arrays[name].dtype.kind != "U":
            raise InputError(f"{path}: {name} is not a list of strings, expected one per clip")
        arrays[name] = arrays[name].tolist()
    return {**arrays, "skeleton": skeleton, "origin": str(path)}


def check_text(values: Iterable[str], name: str, path: str) -> None:
    """Raises an InputError where a value has halves of characters, which :meth:`PoseTracks.load` refuses."""
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{path} cannot hold {value!r:.80} in {name}, expected text (is a file named in another "
                "encoding than UTF-8?)"
            ) from None
