"""Score tables in parts: the part of a table has the rows of one shard of the clips."""

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
from gepc_geo.evaluation.columns import add_times
from gepc_geo.evaluation.events import sort_events
from gepc_geo.evaluation.score_options import LEVELS, ScoreOptions, check_level
from gepc_geo.evaluation.states import blank_unjudged
from gepc_geo.evaluation.tables import join_tables, score_table, smooth_frames, write_table
from gepc_geo.poses.sharding import Shard, clip_range
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils import distributed
from gepc_geo.utils.files import read_npz

# An array of a part's file: JSON with the shard and the values that all parts have in common.
_MARK = "part"
# Names and types of those values.
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
    "faults": (bool,),
}


def origin(
    model: str | Path,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    labels: np.ndarray | None,
) -> dict[str, Any]:
    """Values that all parts of one table have in common, by name.

    Args:
        model: The detector's file.
        tracks: All clips, of every shard.
        level: One of :data:`~gepc_geo.evaluation.score_options.LEVELS`.
        options: Aggregation of window scores; ``mode`` must not be ``None``.
        labels: Labels of all clips or frames, or ``None``.
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
    """Rows of :func:`~gepc_geo.evaluation.tables.score_table` for a shard's clips, not smoothed.

    :func:`join_parts` smooths, as smoothing may cross the borders of clips. In a
    :func:`gepc_geo.utils.distributed.process_group` each rank scores some clips of the shard; the
    first rank gets all rows, each other rank gets its own.

    Args:
        detector: A fitted detector.
        tracks: All clips, of every shard.
        level: One of :data:`~gepc_geo.evaluation.score_options.LEVELS`.
        options: Aggregation of window scores.
        labels: Labels of all clips or frames, or ``None``.
        shard: The shard to score.
        quiet: Show no progress. (default: :obj:`True`)

    Raises:
        InputError: As :func:`~gepc_geo.evaluation.score_options.check_level`; a score is not
            finite. An error on one rank is raised on all ranks.
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
        columns = score_table(detector, mine, level, plain, labels, quiet=quiet, blank=False)
        # Also if no clip of this shard has a frame rate.
        add_times(columns, tracks)
    return join_tables(distributed.to_first(columns))


def score_all(
    detector: GEPC,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    labels: np.ndarray | None,
    quiet: bool = True,
) -> dict[str, np.ndarray]:
    """:func:`~gepc_geo.evaluation.tables.score_table` on all ranks, bit for bit as on one.

    The first rank gets the table, each other rank gets its own rows. Events of all clips are sorted
    (:func:`~gepc_geo.evaluation.events.sort_events`).

    Args:
        detector: A fitted detector.
        tracks: The poses.
        level: One of :data:`~gepc_geo.evaluation.score_options.LEVELS`.
        options: Aggregation of window scores.
        labels: Labels of all clips or frames, or ``None``.
        quiet: Show no progress. (default: :obj:`True`)

    Raises:
        InputError: As :func:`score_shard`.
    """
    columns = score_shard(detector, tracks, level, options, labels, Shard(1, 1), quiet)
    if options.smooth and distributed.is_first():
        smooth_frames(columns, options)
    blank_unjudged(columns)
    return sort_events(columns) if level == "event" else columns


def write_part(
    columns: dict[str, np.ndarray], path: str | Path, shard: Shard, common: dict[str, Any]
) -> None:
    """Writes the rows of :func:`score_shard` and their :func:`origin` as ``.npz``.

    Args:
        columns: The rows.
        path: The file; ``.csv`` is refused, as its six digits are too few for :func:`join_parts`.
        shard: The shard of the rows.
        common: Their :func:`origin`.

    Raises:
        InputError: The suffix is not ``.npz``, or the folder is not writable.
    """
    if Path(path).suffix != ".npz":
        raise InputError(f"{path} must have suffix .npz for a shard, got {Path(path).suffix!r}")
    mark = json.dumps({"shard": str(shard), **common})
    write_table({**columns, _MARK: np.array(mark)}, path)


def join_parts(paths: Sequence[str | Path]) -> dict[str, np.ndarray]:
    """Joins all parts of a table, in any order; the table is the same as without shards.

    Args:
        paths: Files of :func:`write_part`.

    Raises:
        InputError: A file is no part, parts are of different tables, or a shard is missing or given
            twice.
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
                f"{path} must be one of {count} shards as {paths[0]} is, got {shard.count}"
            )
        for name, value in mark.items():
            if value != first[name]:
                raise InputError(
                    f"{path} must have {name.replace('_', ' ')} {first[name]} as {paths[0]} has, "
                    f"got {value}"
                )
        if shard.number in parts:
            raise InputError(
                f"{path} must be another shard than {parts[shard.number][0]}, got {shard} twice"
            )
        parts[shard.number] = (path, columns)
    for number in range(1, count + 1):
        if number not in parts:
            raise InputError(
                f"all {count} shards must be given, got {len(parts)} without shard "
                f"{Shard(number, count)}"
            )
    tables = [parts[number][1] for number in range(1, count + 1)]
    for number, table in enumerate(tables, 1):
        if list(table) != list(tables[0]):
            path = parts[number][0]
            raise InputError(
                f"{path} must have columns {', '.join(tables[0])}, got {', '.join(table)}"
            )
    columns = join_tables(tables)
    options = ScoreOptions(protocol=first["protocol"], smooth=first["smooth"])
    if options.smooth:
        smooth_frames(columns, options)
    blank_unjudged(columns)
    return sort_events(columns) if first["level"] == "event" else columns


def _read_part(path: Path) -> tuple[Shard, dict[str, Any], dict[str, np.ndarray]]:
    """The shard, the values that all parts have in common, and the columns."""
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
        raise InputError(f"{path} must be a {kind}, got an error: {_reason(error)}") from None
    sizes = {column.shape for column in columns.values()}
    needed = {"clip", "frame", "score"} if mark["level"] == "frame" else {"clip"}
    if not (
        sound
        and mark["level"] in LEVELS
        and needed <= set(columns)
        and len(sizes) == 1
        and len(sizes.pop()) == 1
    ):
        raise InputError(f"{path} must be a {kind}, got entries that do not match")
    return shard, mark, columns


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return (str(error).splitlines() or [type(error).__name__])[0]
