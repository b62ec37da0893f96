"""Score tables in parts: what a part tells of itself, and how all parts become one table."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo._version import __version__
from gepc_geo.detector import GEPC
from gepc_geo.errors import InputError
from gepc_geo.files import read_npz
from gepc_geo.levels import LEVELS, ScoreOptions, join_tables, smooth_frames, write_table
from gepc_geo.shards import Shard
from gepc_geo.tracks import PoseTracks

# The array beside the columns: JSON with the shard and what all parts must have in common.
_MARK = "part"
# What is in it, and of which types.
_ENTRIES: dict[str, tuple[type, ...]] = {
    "shard": (str,),
    "gepc_geo": (str,),
    "model": (str,),
    "data": (str,),
    "level": (str,),
    "mode": (str,),
    "protocol": (str,),
    "smooth": (float, int),
    "people_correction": (bool,),
    "padded": (bool, type(None)),
}


def origin(
    model: str | Path,
    detector: GEPC,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    labels: np.ndarray | None,
) -> dict[str, Any]:
    """What all parts of one table have in common, as plain values by name.

    Args:
        model: The detector's file.
        tracks: All clips, not those of a shard alone.
        labels: Labels of all clips or frames that become a column.
    """
    arrays = (
        *(tracks.clip, tracks.track, tracks.frame, tracks.keypoints, tracks.confidence),
        *(tracks.features, tracks.clip_length, tracks.image_size, labels),
    )
    checksum = zlib.crc32("\0".join(tracks.clip_names).encode("utf-8", "surrogatepass"))
    for array in arrays:
        if array is not None:
            flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            checksum = zlib.crc32(flat, checksum)
    return {
        "gepc_geo": __version__,
        "model": f"{zlib.crc32(Path(model).read_bytes()):08x}",
        "data": f"{checksum:08x}",
        "level": level,
        **asdict(options),
        "mode": options.mode_of(detector),
    }


def write_part(
    columns: dict[str, np.ndarray], path: str | Path, shard: Shard, common: dict[str, Any]
) -> None:
    """Writes a shard's rows and their :func:`origin` as ``.npz``.

    The scores of frames are to be unsmoothed: smoothing may cross the borders of clips.

    Raises:
        InputError: Another suffix (``.csv`` keeps six digits, too few to go on with), or a folder
            that cannot be written to.
    """
    if Path(path).suffix != ".npz":
        raise InputError(f"{path} has suffix {Path(path).suffix!r}, expected .npz for a shard")
    mark = json.dumps({"shard": str(shard), **common})
    write_table({**columns, _MARK: np.array(mark)}, path)


def join_parts(paths: Sequence[str | Path]) -> dict[str, np.ndarray]:
    """The table that scoring everything at once gives, from all of its parts in any order.

    Raises:
        InputError: A file that is no part, parts of different tables, a shard twice or missing.
    """
    parts: dict[int, tuple[Path, dict[str, np.ndarray]]] = {}
    first: dict[str, Any] = {}
    count = 0
    for path in map(Path, paths):
        shard, mark, columns = _read_part(path)
        if not parts:
            first, count = mark, shard.count
        for name, value in {**mark, "shard count": shard.count}.items():
            expected = {**first, "shard count": count}[name]
            if value != expected:
                raise InputError(f"{path} has {name} {value}, expected {expected} as in {paths[0]}")
        if shard.number in parts:
            raise InputError(
                f"{path} is shard {shard}, expected another one, as "
                f"{parts[shard.number][0]} is that already"
            )
        parts[shard.number] = (path, columns)
    for number in range(1, count + 1):
        if number not in parts:
            raise InputError(
                f"shard {Shard(number, count)} is missing, expected all {count} parts, "
                f"got {len(parts)}"
            )
    tables = [parts[number][1] for number in range(1, count + 1)]
    for (path, _), table in zip(parts.values(), tables, strict=True):
        if list(table) != list(tables[0]):
            raise InputError(f"{path} has columns {', '.join(table)}, expected {', '.join(tables[0])}")
    columns = join_tables(tables)
    options = ScoreOptions(protocol=first["protocol"], smooth=first["smooth"])
    if options.smooth:
        smooth_frames(columns, options)
    return columns


def _read_part(path: Path) -> tuple[Shard, dict[str, Any], dict[str, np.ndarray]]:
    """The shard, what it has in common with the others, and its columns."""
    kind = "part of a score table (score --shard)"
    columns = read_npz(path, kind)
    try:
        mark = json.loads(str(columns.pop(_MARK)))
        sound = set(mark) == set(_ENTRIES) and all(
            isinstance(mark[name], types) for name, types in _ENTRIES.items()
        )
        shard = Shard.parse(mark.pop("shard"))
        options = ScoreOptions(**{name: mark[name] for name in asdict(ScoreOptions())})
        options.check(mark["level"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        # InputError and JSON's own are ValueErrors.
        raise InputError(f"{path} is not a {kind}: {_reason(error)}") from None
    sizes = {column.shape for column in columns.values()}
    needed = {"clip", "frame", "score"} if mark["level"] == "frame" else {"clip"}
    if not (
        sound and mark["level"] in LEVELS and needed <= set(columns) and len(sizes) == 1
        and len(sizes.pop()) == 1
    ):
        raise InputError(f"{path} is not a {kind}: it does not fit together")
    return shard, mark, columns


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return (str(error).splitlines() or [type(error).__name__])[0]
