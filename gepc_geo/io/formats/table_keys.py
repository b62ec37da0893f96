"""The clip, person and frame of each row of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.cells import is_nothing
from gepc_geo.io._common.pictures import series_of
from gepc_geo.io._common.times import frames_of_times
from gepc_geo.poses.schema import MAX_FRAMES

_UNSIGNED = str(2**64 - 1)
_VIDEO = re.compile(r"\.(mp4|avi|mov|mkv|webm|m4v|mpe?g|wmv|flv|mts|m2ts|ts)$", re.IGNORECASE)
_PICTURE = re.compile(r"\.(jpe?g|png|bmp|tiff?|webp|gif|ppm|pgm)$", re.IGNORECASE)
# SLEAP's names: the project, the video's number in it, then the video's name.
_SLEAP = re.compile(r"(.+[._]\d{3})_(.+)\.analysis")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")
# Units of times in seconds: the first with frames at most _MAX_FRAME_GAP apart is used.
_UNITS = (1.0, 1e-3, 1e-6, 1e-9)
_MAX_FRAME_GAP = 2.0
_UNIT_WORDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "milliseconds": 1e-3,
} | {"us": 1e-6, "usec": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nsec": 1e-9, "nanoseconds": 1e-9}


@dataclass(frozen=True)
class Keys:
    """The cells of a table's rows other than joints.

    Attributes:
        path: The table.
        lines: The line of each row.
        clip: The names of each row's clip, outermost first.
        person: Ids; ``None`` without a column of ids.
        frame: Frame numbers, or names of pictures; ``None`` without a column of frames.
        time: Times; ``None`` without a column of times.
        from_zero: Whether the table's tool counts frames from 0.
        unit: Unit of the times in seconds, if the column's name has it.
    """

    path: Path
    lines: Sequence[int]
    clip: Sequence[tuple[str, ...]]
    person: Sequence[str] | None
    frame: Sequence[str] | None
    time: Sequence[str] | None
    from_zero: bool
    unit: float | None = None


@dataclass(frozen=True)
class Rows:
    """The rows of one clip.

    Attributes:
        parts: Names of the clip; see :class:`gepc_geo.io._common.clip.Clips`.
        rows: Positions of the rows.
        frames: The frame number of each row.
        counted: Whether frames may count from 1.
        fps: Frames a second, if the table has times.
    """

    parts: tuple[str, ...]
    rows: np.ndarray
    frames: np.ndarray
    counted: bool = False
    fps: float | None = None


def parts_of(name: str) -> tuple[str, ...]:
    """The clip's names in a cell: folders and name of a video's file, or the whole cell."""
    if not _VIDEO.search(name):
        return (name,) if name else ()
    parts = re.split(r"[/\\]", _VIDEO.sub("", name))
    return tuple(one for one in parts if one not in ("", ".", "..") and not one.endswith(":"))


def unit_of(name: str) -> float | None:
    """The unit in a column's name, in seconds: ``timestamp_ms``; ``None`` without one."""
    words = re.findall(r"[A-Z]?[a-z]+", name)
    return next(
        (_UNIT_WORDS[word.lower()] for word in reversed(words) if word.lower() in _UNIT_WORDS), None
    )


def are_pictures(cells: Sequence[str]) -> bool:
    """Whether all cells are file names of pictures."""
    return bool(cells) and all(_PICTURE.search(one) for one in dict.fromkeys(cells))


def ids_of(cells: Sequence[str] | None) -> list[int | None]:
    """Converts cells to ids of persons; ``None`` for a cell without an id.

    Whole numbers are ids. Texts with one number each, all different (``track_0``), have these as
    ids; other texts are numbered in order of appearance.
    """
    if cells is None:
        return []
    texts = list(dict.fromkeys(cells))
    # Trackers write -1 for people without a track, some as an unsigned number.
    none = {text for text in texts if is_nothing(text) or text == _UNSIGNED or _whole(text) == -1}
    numbers = {text: _whole(text) for text in texts if text not in none}
    if None in numbers.values():
        found = {text: re.findall(r"\d+", text) for text in numbers}
        alone = [int(one[0]) for one in found.values() if len(one) == 1 and len(one[0]) < 18]
        if len(alone) < len(numbers) or len(set(alone)) < len(alone):
            alone = list(range(len(numbers)))
        numbers = dict(zip(numbers, alone, strict=True))
    return [numbers.get(text) for text in cells]


def clips_of_rows(keys: Keys, person: Sequence[int | None]) -> Iterator[Rows]:
    """Iterates over the clips of a table, with the frame of each row.

    Raises:
        InputError: A frame that is no whole number, a picture without a number, or ambiguous
            times.
    """
    if not keys.lines:
        none = np.zeros(0, dtype=np.int64)
        yield Rows(_own_parts(keys.path), none, none)
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, parts in enumerate(keys.clip):
        groups.setdefault(parts, []).append(row)
    for parts, rows in groups.items():
        # The table's name distinguishes clips of several tables.
        yield from _with_frames(keys, (*_own_parts(keys.path), *parts), np.array(rows), person)


# -- inner -----------------------------------------------------------------------------------------


def _own_parts(path: Path) -> tuple[str, ...]:
    match = _SLEAP.fullmatch(path.stem)
    return (match[1], match[2]) if match else (path.stem,)


def _whole(text: str) -> int | None:
    """A whole number, also as ``3.0``, ``3,0`` or ``3.0e+00``; ``None`` for other cells."""
    match = re.fullmatch(r"([+-]?\d{1,19})(?:[.,]0*)?", text, re.ASCII)
    if match:
        return int(match[1]) if abs(int(match[1])) < 2**63 else None
    number = _float(text)
    return (
        int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else None
    )


def _float(text: str) -> float | None:
    try:
        return None if "_" in text else float(text.replace(",", "."))
    except ValueError:
        return None


def _with_frames(
    keys: Keys, parts: tuple[str, ...], rows: np.ndarray, person: Sequence[int | None]
) -> Iterator[Rows]:
    if keys.frame is not None:
        numbers = [_whole(keys.frame[row]) for row in rows]
        if set(numbers) == {None}:
            yield from _with_pictures(keys, parts, rows)
            return
        if None in numbers:
            raise _no_frame(keys, rows[numbers.index(None)])
        frames = np.array(numbers, dtype=np.int64)
        outside = np.flatnonzero((frames < 0) | (frames >= MAX_FRAMES))
        if len(outside):
            raise InputError(
                f"{keys.path}: frame in row {keys.lines[rows[outside[0]]]} must be from 0 to "
                f"{MAX_FRAMES - 1}, got {frames[outside[0]]}"
            )
        fps = None if keys.time is None else _rate(_micros(keys, keys.time, rows), frames)
        yield Rows(parts, rows, frames, counted=not keys.from_zero, fps=fps)
        return
    if keys.time is not None:
        yield _with_times(keys, parts, rows, person, _micros(keys, keys.time, rows))
        return
    seen: dict[int | None, int] = {}
    frames = np.zeros(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        number = person[row] if person else None
        frames[i] = seen.get(number, 0)
        seen[number] = seen.get(number, 0) + 1
    yield Rows(parts, rows, frames)


def _no_frame(keys: Keys, row: int) -> InputError:
    cell = "" if keys.frame is None else keys.frame[row]
    return InputError(
        f"{keys.path}: frame in row {keys.lines[row]} must be a whole number, or in all rows the "
        f"name of a picture, got {cell!r:.40}"
    )


def _with_pictures(keys: Keys, parts: tuple[str, ...], rows: np.ndarray) -> Iterator[Rows]:
    """Rows with names of pictures as frames."""
    cells = [keys.frame[row] for row in rows] if keys.frame is not None else []
    for row, cell in zip(rows, cells, strict=True):
        if not re.search(r"[A-Za-z]", cell) or is_nothing(cell) or _float(cell) is not None:
            raise _no_frame(keys, row)
    names = list(dict.fromkeys(cells))
    for series in series_of(names, lambda i: f"{keys.path}: {names[i]!r:.60}"):
        number = {names[i]: frame for i, frame in zip(series.members, series.frames, strict=True)}
        chosen = [i for i, cell in enumerate(cells) if cell in number]
        frames = np.array([number[cells[i]] for i in chosen], dtype=np.int64)
        yield Rows((*parts, *series.parts), rows[chosen], frames, not series.timed, series.fps)


def _with_times(
    keys: Keys,
    parts: tuple[str, ...],
    rows: np.ndarray,
    person: Sequence[int | None],
    micros: np.ndarray,
) -> Rows:
    distinct, inverse = np.unique(micros, return_inverse=True)
    who = [person[row] for row in rows] if person else [None] * len(rows)
    # Rows of one time are several people, unless times are whole seconds with many frames each.
    coarse = not (distinct % 1_000_000).any()
    seen_people = set()
    for row, one in zip(rows, zip(micros.tolist(), who, strict=True), strict=True):
        if one in seen_people and (one[1] is not None or coarse):
            raise InputError(
                f"{keys.path} must have a column of frames, or times that distinguish all frames, "
                f"got a repeated time in row {keys.lines[row]}"
            )
        seen_people.add(one)
    frames, fps = frames_of_times(distinct)
    return Rows(parts, rows, frames[inverse], fps=fps)


def _rate(micros: np.ndarray, frames: np.ndarray) -> float | None:
    """Frames a second of numbered frames with times; ``None`` if they contradict each other."""
    numbers, first = np.unique(frames, return_index=True)
    gaps = np.diff(micros[first])
    return 1e6 / float(np.median(gaps / np.diff(numbers))) if len(gaps) and gaps.min() > 0 else None


def _micros(keys: Keys, cells: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """The times of rows in microseconds.

    Raises:
        InputError: A cell without a time.
    """
    times = np.zeros(len(rows))
    for i, row in enumerate(rows):
        try:
            times[i] = _time(cells[row])
        except (ValueError, OverflowError):
            times[i] = np.nan
        if not np.isfinite(times[i]):
            raise InputError(
                f"{keys.path}: time in row {keys.lines[row]} must be seconds, or as in 12:05:59.5 "
                f"or 2024-05-01 12:05:59.5, got {cells[row]!r:.40}"
            )
    gaps = np.diff(np.unique(times))
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    unit = keys.unit or next((one for one in _UNITS if usual * one <= _MAX_FRAME_GAP), _UNITS[-1])
    micros = np.rint(times * unit * 1e6)
    if not (np.abs(micros) < 2**62).all():
        raise InputError(
            f"{keys.path}: times must be at most {2**62 / 1e6:g} seconds, got "
            f"{np.abs(micros).max() / 1e6:g}"
        )
    return micros.astype(np.int64)


def _time(text: str) -> float:
    """Converts a number, time of day, or date and time to seconds.

    Raises:
        ValueError: Another text.
    """
    if re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?", text, re.ASCII | re.IGNORECASE):
        return float(text.replace(",", "."))
    match = _CLOCK.fullmatch(text)
    if match:
        return 3600 * int(match[1] or 0) + 60 * int(match[2]) + float(match[3].replace(",", "."))
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
