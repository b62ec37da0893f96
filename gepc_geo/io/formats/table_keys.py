"""Of which clip, person and frame the rows of a table are."""

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
# SLEAP's names: those of the project and of the video's place in it, then the video's.
_SLEAP = re.compile(r"(.+[._]\d{3})_(.+)\.analysis")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")
# Seconds, milliseconds, ...: the first in which two frames are at most so many seconds apart.
_UNITS = (1.0, 1e-3, 1e-6, 1e-9)
_APART = 2.0
_NAMED = {
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
    """The cells of a table's rows that are no numbers of joints.

    Attributes:
        path: The table.
        lines: The line of each row.
        clip: What names the clip of each row, outermost first.
        person: Ids; ``None``: the table has none.
        frame: Frame numbers, or names of pictures; ``None``: the table has none.
        time: Times; ``None``: the table has none.
        from_zero: Whether its tool counts frames from 0.
        unit: Seconds in one of its times, where the column says.
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
        parts: What names it; see :class:`gepc_geo.io._common.clip.Clips`.
        rows: Their positions.
        frames: The frame number of each.
        counted: Whether they may be counted from 1.
        fps: Frames a second, where the table has times instead of frames.
    """

    parts: tuple[str, ...]
    rows: np.ndarray
    frames: np.ndarray
    counted: bool = False
    fps: float | None = None


def parts_of(name: str) -> tuple[str, ...]:
    """What a cell says of the clip: the folders and the name of a video's file, or the cell as it is."""
    if not _VIDEO.search(name):
        return (name,) if name else ()
    parts = re.split(r"[/\\]", _VIDEO.sub("", name))
    return tuple(one for one in parts if one not in ("", ".", "..") and not one.endswith(":"))


def unit_of(name: str) -> float | None:
    """Seconds in one of a column's times, where its name has the unit: ``timestamp_ms``."""
    words = re.findall(r"[A-Z]?[a-z]+", name)
    return next((_NAMED[word.lower()] for word in reversed(words) if word.lower() in _NAMED), None)


def are_pictures(cells: Sequence[str]) -> bool:
    """Whether all cells are names of files of pictures."""
    return bool(cells) and all(_PICTURE.search(one) for one in dict.fromkeys(cells))


def ids_of(cells: Sequence[str] | None) -> list[int | None]:
    """The persons' ids; ``None`` where there is none.

    Whole numbers are ids. Of texts that have one number each, all different (``track_0``), these are;
    other texts are numbered in the order in which they come.
    """
    if cells is None:
        return []
    texts = list(dict.fromkeys(cells))
    # Trackers write -1 for people whom they do not follow, some of them without its sign.
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
    """The clips of a table, and the frame of each row.

    Raises:
        InputError: A frame that is no whole number, a picture without a number, times of which
            several rows cannot be told apart.
    """
    if not keys.lines:
        none = np.zeros(0, dtype=np.int64)
        yield Rows(_own_parts(keys.path), none, none)
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, parts in enumerate(keys.clip):
        groups.setdefault(parts, []).append(row)
    for parts, rows in groups.items():
        # The table's own name tells clips of several tables apart.
        yield from _with_frames(keys, (*_own_parts(keys.path), *parts), np.array(rows), person)


# -- inner -----------------------------------------------------------------------------------------


def _own_parts(path: Path) -> tuple[str, ...]:
    match = _SLEAP.fullmatch(path.stem)
    return (match[1], match[2]) if match else (path.stem,)


def _whole(text: str) -> int | None:
    """A whole number in a cell, also as ``3.0``, ``3,0`` or ``3.0e+00``; ``None``: it is none."""
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
                f"{keys.path} has frame {frames[outside[0]]} in row {keys.lines[rows[outside[0]]]}, "
                f"expected 0 to {MAX_FRAMES - 1}"
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
        one = person[row] if person else None
        frames[i] = seen.get(one, 0)
        seen[one] = seen.get(one, 0) + 1
    yield Rows(parts, rows, frames)


def _no_frame(keys: Keys, row: int) -> InputError:
    cell = "" if keys.frame is None else keys.frame[row]
    return InputError(
        f"{keys.path} has frame {cell!r:.40} in row {keys.lines[row]}, expected a whole number, or in all "
        "rows the name of a picture"
    )


def _with_pictures(keys: Keys, parts: tuple[str, ...], rows: np.ndarray) -> Iterator[Rows]:
    """Rows whose frames are names of pictures."""
    cells = [keys.frame[row] for row in rows] if keys.frame is not None else []
    for row, cell in zip(rows, cells, strict=True):
        if not re.search(r"[A-Za-z]", cell) or is_nothing(cell) or _float(cell) is not None:
            raise _no_frame(keys, row)
    names = list(dict.fromkeys(cells))
    for series in series_of(names, lambda i: f"{keys.path}: {names[i]!r:.60}"):
        number = {names[i]: frame for i, frame in zip(series.members, series.frames, strict=True)}
        kept = [i for i, cell in enumerate(cells) if cell in number]
        frames = np.array([number[cells[i]] for i in kept], dtype=np.int64)
        yield Rows((*parts, *series.parts), rows[kept], frames, not series.timed, series.fps)


def _with_times(
    keys: Keys,
    parts: tuple[str, ...],
    rows: np.ndarray,
    person: Sequence[int | None],
    micros: np.ndarray,
) -> Rows:
    distinct, inverse = np.unique(micros, return_inverse=True)
    who = [person[row] for row in rows] if person else [None] * len(rows)
    # Several rows of a time are several people; but not where times are whole seconds, of many frames each.
    coarse = not (distinct % 1_000_000).any()
    found = set()
    for row, one in zip(rows, zip(micros.tolist(), who, strict=True), strict=True):
        if one in found and (one[1] is not None or coarse):
            raise InputError(
                f"{keys.path} has a time for the second time in row {keys.lines[row]}, expected a "
                "column of frames, or times by which all frames are told apart"
            )
        found.add(one)
    frames, fps = frames_of_times(distinct)
    return Rows(parts, rows, frames[inverse], fps=fps)


def _rate(micros: np.ndarray, frames: np.ndarray) -> float | None:
    """Frames a second of numbered frames with times; ``None`` where the two do not go together."""
    numbers, first = np.unique(frames, return_index=True)
    gaps = np.diff(micros[first])
    return 1e6 / float(np.median(gaps / np.diff(numbers))) if len(gaps) and gaps.min() > 0 else None


def _micros(keys: Keys, cells: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """The times of some rows in microseconds.

    Raises:
        InputError: A cell that is no time.
    """
    times = np.zeros(len(rows))
    for i, row in enumerate(rows):
        try:
            times[i] = _time(cells[row])
        except (ValueError, OverflowError):
            times[i] = np.nan
        if not np.isfinite(times[i]):
            raise InputError(
                f"{keys.path} has time {cells[row]!r:.40} in row {keys.lines[row]}, expected seconds, or a "
                "time as in 12:05:59.5 or 2024-05-01 12:05:59.5"
            )
    gaps = np.diff(np.unique(times))
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    unit = keys.unit or next((one for one in _UNITS if usual * one <= _APART), _UNITS[-1])
    micros = np.rint(times * unit * 1e6)
    if not (np.abs(micros) < 2**62).all():
        raise InputError(
            f"{keys.path} has times up to {times.max():g}, expected seconds of this age"
        )
    return micros.astype(np.int64)


def _time(text: str) -> float:
    """A number, or the seconds of a time of the day or of a date and time.

    Raises:
        ValueError: It is none of these.
    """
    if re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?", text, re.ASCII | re.IGNORECASE):
        return float(text.replace(",", "."))
    match = _CLOCK.fullmatch(text)
    if match:
        return 3600 * int(match[1] or 0) + 60 * int(match[2]) + float(match[3].replace(",", "."))
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
