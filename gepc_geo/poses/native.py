"""The native file of poses: a zip of plain arrays (``.npz``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import ARRAYS, OPTIONAL, ROWS, STRINGS
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.utils.files import atomic_path, read_npz

#: Version of the native file format, stored in every file.
FORMAT_VERSION = 1


def write_native(fields: Mapping[str, Any], path: str | Path) -> None:
    """Implements :meth:`~gepc_geo.poses.tracks.PoseTracks.save` for its attributes by name."""
    arrays: dict[str, Any] = {name: fields[name] for name in ARRAYS if fields[name] is not None}
    # Without a type, numpy makes an empty list of strings float64.
    arrays |= {name: np.array(fields[name], dtype=np.str_) for name in STRINGS}
    arrays["skeleton"] = np.array(json.dumps(fields["skeleton"].to_dict()))
    arrays["format_version"] = np.array(FORMAT_VERSION)
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path} must have suffix .npz, got {path.suffix!r}")
    for name in STRINGS:
        check_text(fields[name], name, str(path))
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def read_native(path: str | Path, mmap: bool) -> dict[str, Any]:
    """The arguments of :meth:`~gepc_geo.poses.tracks.PoseTracks.build` from a native file."""
    mapped = ROWS if mmap else ()
    arrays: dict[str, Any] = {**read_npz(path, "pose file (.npz)", mapped)}
    version = arrays.pop("format_version", None)
    if version is None or version.shape != () or version != FORMAT_VERSION:
        raise InputError(
            f"{path} must have format version {FORMAT_VERSION}, "
            f"got {None if version is None else version.tolist()}"
        )
    known = {*ARRAYS, *STRINGS, "skeleton"}
    missing = sorted(known - set(OPTIONAL) - set(arrays))
    if missing:
        raise InputError(
            f"{path} must have array {missing[0]!r}, got {', '.join(sorted(arrays)) or 'no array'}"
        )
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise InputError(
            f"{path} must have only the arrays {', '.join(sorted(known))}, got {unknown[0]!r}"
        )
    try:
        skeleton = Skeleton.from_dict(json.loads(str(arrays.pop("skeleton"))), f"{path}: skeleton")
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: skeleton must be JSON, got an error: {error}") from None
    for name in STRINGS:
        if arrays[name].ndim != 1 or arrays[name].dtype.kind != "U":
            raise InputError(
                f"{path}: {name} must be a list of strings, one a clip, got "
                f"{arrays[name].ndim} dimensions of {arrays[name].dtype}"
            )
        arrays[name] = arrays[name].tolist()
    return {**arrays, "skeleton": skeleton, "origin": str(path)}


def check_text(values: Iterable[str], name: str, path: str) -> None:
    """Raises an InputError at unpaired surrogates, which a native file cannot store."""
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{path}: {name} must be text in UTF-8, got {value!r:.80} (is a file name in "
                "another encoding?)"
            ) from None
