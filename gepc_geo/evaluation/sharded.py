"""Score tables in parts: what a part tells of itself, and how all parts become one table."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo._version import __version__
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.tables import (
    LEVELS,
    ScoreOptions,
    check_level,
    join_tables,
    score_table,
    smooth_frames,
    write_table,
)
from gepc_geo.poses.sharding import Shard, clip_range
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils import distributed
from gepc_geo.utils.files import read_npz

# The array beside the columns: JSON with the shard and what all parts must have in common.
_MARK = "part"
# What is in it, and of which types.
_ENTRIES: dict[str, tuple[type, ...]] = {
    "shard": (str,),
    "gepc_geo": (str,),
    "model_checksum": (str,),
    "data_checksum": (str,),
    "level": (str,),
    "mode": (str,),
    "protocol": (str,),
    "smooth": (float, int),
    "people_correction": (bool,),
    "padded": (bool, type(None)),
}


def origin(
    model: str | Path,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    labels: np.ndarray | None,
) -> dict[str, Any]:
    """What all parts of one table have in common, as plain values by name.

    Args:
        model: The detector's file.
        tracks: All clips, not those of a shard alone.
        options: With their ``mode`` named.
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
            checksum = zlib.crc32(flat.data, checksum)
    return {
        "level": level,
        **asdict(options),
        "gepc_geo": __version__,
        "model_checksum": f"{zlib.crc32(Path(model).read_bytes()):08x}",
        "data_checksum": f"{checksum:08x}",
    }


def score_shard(
    detector: GEPC,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    labels: np.ndarray | None,
    shard: Shard,
    quiet: bool = True,
) -> dict[str, np.ndarray]:
    """The rows of :func:`~gepc_geo.evaluation.tables.score_table` that are of a shard's clips, unsmoothed.

    Smoothing may cross the borders of clips, and so waits for :func:`join_parts`. Inside of
    :func:`gepc_geo.utils.distributed.process_group` each rank scores its part of the shard; the first one
    gets all of its rows, the others their own.

    Raises:
        InputError: As :func:`~gepc_geo.evaluation.tables.check_level`, and scores that are not finite numbers; on
            all ranks, if on any.
    """
    with distributed.raise_on_all_ranks():
        check_level(detector, level, options)
        own = shard.part(distributed.rank() + 1, distributed.world())
        first, last = own.clips(tracks)
        if labels is not None:
            offset = tracks.frame_offset if level == "frame" else np.arange(tracks.num_clips + 1)
            labels = labels[offset[first] : offset[last]]
        mine = clip_range(tracks, first, last)
        plain = replace(options, smooth=0.0)
        quiet = quiet or not distributed.is_first()
        columns = score_table(detector, mine, level, plain, labels, quiet=quiet)
    return join_tables(distributed.to_first(columns))


def score_all(
    detector: GEPC,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    labels: np.ndarray | None,
    quiet: bool = True,
) -> dict[str, np.ndarray]:
    """:func:`~gepc_geo.evaluation.tables.score_table` by all ranks, to the bit what one process gives.

    The first rank gets the table, the others their own rows of it.

    Raises:
        InputError: As :func:`score_shard`.
    """
    columns = score_shard(detector, tracks, level, options, labels, Shard(1, 1), quiet)
    if options.smooth and distributed.is_first():
        smooth_frames(columns, options)
    return columns


def write_part(
    columns: dict[str, np.ndarray], path: str | Path, shard: Shard, common: dict[str, Any]
) -> None:
    """Writes the rows of :func:`score_shard` and their :func:`origin` as ``.npz``.

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
        if shard.count != count:
            raise InputError(
                f"{path} is one of {shard.count} shards, expected {count} as in {paths[0]}"
            )
        for name, value in mark.items():
            if value != first[name]:
                raise InputError(
                    f"{path} has {name.replace('_', ' ')} {value}, expected {first[name]} "
                    f"as in {paths[0]}"
                )
        if shard.number in parts:
            raise InputError(
                f"{path} is shard {shard}, expected another one, as "
                f"{parts[shard.number][0]} is that one"
            )
        parts[shard.number] = (path, columns)
    for number in range(1, count + 1):
        if number not in parts:
            raise InputError(
                f"shard {Shard(number, count)} is missing, expected all {count} parts, "
                f"got {len(parts)}"
            )
    tables = [parts[number][1] for number in range(1, count + 1)]
    for number, table in enumerate(tables, 1):
        if list(table) != list(tables[0]):
            path = parts[number][0]
            raise InputError(
                f"{path} has columns {', '.join(table)}, expected {', '.join(tables[0])}"
            )
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
        sound
        and mark["level"] in LEVELS
        and needed <= set(columns)
        and len(sizes) == 1
        and len(sizes.pop()) == 1
    ):
        raise InputError(f"{path} is not a {kind}: it does not fit together")
    return shard, mark, columns


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return (str(error).splitlines() or [type(error).__name__])[0]
