"""Times in the names of pictures: dates, times of the day, epochs, seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np

_DAY = 24 * 3600 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Digits of an epoch time (2001 to 2033) in seconds, milli-, micro- or nanoseconds, and its unit in
# nanoseconds.
_EPOCHS = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}
# Digits of the fields from year to second, and of milli- or microseconds after them.
_DATES = (
    *([4, 2, 2, 2, 2, 2], [8, 2, 2, 2], [4, 2, 2, 6], [8, 6], [14]),
    *([8, 9], [8, 12], [17], [20]),
    # Two-digit years.
    *([2, 2, 2, 2, 2, 2], [2, 2, 2, 6], [6, 2, 2, 2], [6, 6]),
)
_DATE_DIGITS = 14
# A gap longer than this multiple of the usual one contains missing frames.
_LONG_GAP = 1.5
_MINUTE = 60_000_000
# Words before seconds; units after numbers.
_TIME_WORD = re.compile(
    r"(?:^|[^a-z])(t|time|ts|timestamp|sec|seconds|pos|at|f|frame|img|image)$", re.I
)
_UNIT = re.compile(r"(ms|msec|us|usec|ns|nsec)(?![a-zA-Z])", re.I)
# Frame numbers do not have steps this large.
_MIN_TIME_STEP = 2000
# The largest frame rate.
_MAX_FPS = 1000


@dataclass(frozen=True)
class Times:
    """A time in the fields of names.

    Attributes:
        first: The first field.
        last: The last field.
        micros: The time of each name, in microseconds.
    """

    first: int
    last: int
    micros: list[int]


def frames_of_times(micros: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Converts times to frame numbers and a frame rate.

    The rate is one over the median gap, or over the mean of gaps of up to 1.5 medians if both agree
    within the digits of the times (33, 33 and 34 milliseconds are 30 a second). A longer gap
    contains missing frames; a shorter gap is one frame, as cameras are not exact.

    Args:
        micros: :math:`[F]` different times in microseconds, in any order.

    Returns:
        :math:`[F]` frame numbers from 0, and the rate; ``None`` for fewer than two times.
    """
    order = np.argsort(micros, kind="stable")
    gaps = np.diff(np.asarray(micros, dtype=np.int64)[order])
    if not len(gaps):
        return np.zeros(len(order), dtype=np.int64), None
    usual = float(np.median(gaps))
    mean = float(gaps[gaps <= _LONG_GAP * usual].mean())
    if abs(mean - usual) <= np.gcd.reduce(gaps):
        usual = mean
    steps = np.where(gaps > _LONG_GAP * usual, np.maximum(np.rint(gaps / usual), 2), 1)
    frames = np.zeros(len(order), dtype=np.int64)
    frames[order[1:]] = np.cumsum(steps.astype(np.int64))
    return frames, 1e6 / usual


def find_times(
    fields: Sequence[Sequence[str]], between: Sequence[str], before: str, behind: str
) -> Times | None:
    """Finds a time that differs between names.

    Args:
        fields: For each run of digits in the names its text in every name.
        between: The text between consecutive runs, equal in all names.
        before: The text before the first run.
        behind: The text after the last run.

    Returns:
        The time; ``None`` without any.
    """
    texts = [before, *between]
    ways = (_date_and_time, _time_of_day, _glued_time, _epoch, _seconds, _with_unit, _far_apart)
    # A date is more specific than a time of the day, and that more than a number.
    for read in ways:
        found = [
            read(fields, [*between, behind], first, texts[first]) for first in range(len(fields))
        ]
        times = [one for one in found if one is not None and len(set(one.micros)) > 1]
        if times and read is _date_and_time:
            return times[0]
        if times:
            # Of several interpretations, the one that distinguishes most names.
            return max(times, key=lambda one: len(set(one.micros)))
    return None


# -- inner -----------------------------------------------------------------------------------------


def _width(field: Sequence[str]) -> int:
    """The common number of digits of a field's texts; 0 if they differ or are no digits."""
    widths = {len(text) if text.isdecimal() else 0 for text in field}
    return widths.pop() if len(widths) == 1 else 0


def _date_and_time(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """A date, then a time of the day, in separate fields or without separators."""
    widths = [_width(field) for field in fields[first : first + 6]]
    gaps = list(between[first : first + 5])
    for form in _DATES:
        count = len(form)
        if widths[:count] != form or not all(_joins(gap) for gap in gaps[: count - 1]):
            continue
        last = first + count - 1
        texts = ["".join(one) for one in zip(*fields[first : last + 1], strict=True)]
        if sum(form) < _DATE_DIGITS:
            texts = [f"20{text}" for text in texts]
        seconds = [_date(text[:_DATE_DIGITS]) for text in texts]
        if None in seconds:
            continue
        # Further digits are a fraction.
        parts = zip(texts, seconds, strict=True)
        micros = [(one or 0) + int(f"{text[_DATE_DIGITS:]:0<6}") for text, one in parts]
        if len(texts[0]) > _DATE_DIGITS:
            return Times(first, last, micros)
        return _with_fraction(fields, between, first, last, micros)
    return None


def _time_of_day(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """Hours, minutes and seconds; times after midnight belong to the next day."""
    last = first + 2
    if [_width(field) for field in fields[first : last + 1]] != [2, 2, 2]:
        return None
    if not all(_joins(gap) for gap in between[first:last]):
        return None
    hours, minutes, seconds = (
        np.array(field, dtype=np.int64) for field in fields[first : last + 1]
    )
    if hours.max() > 23 or minutes.max() > 59 or seconds.max() > 59:
        return None
    whole = (hours * 3600 + minutes * 60 + seconds) * 1_000_000
    found = _with_fraction(fields, between, first, last, whole.tolist())
    # Three numbers of two digits may be other counts.
    if not (
        _has_millis(fields, found, last)
        or _carries(np.unique(whole))
        or _is_time_code(fields, between, last, np.unique(whole))
    ):
        return None
    ordered = np.unique(found.micros)
    gaps = np.diff(ordered)
    if len(gaps) and gaps.max() > _DAY // 2:
        after = ordered[int(gaps.argmax())]
        micros = [one + _DAY if one <= after else one for one in found.micros]
        return Times(found.first, found.last, micros)
    return found


def _has_millis(fields: Sequence[Sequence[str]], found: Times, last: int) -> bool:
    """Whether a fraction in milliseconds or finer follows a time."""
    return found.last > last and max(map(len, fields[found.last])) >= 3


def _carries(whole: np.ndarray) -> bool:
    """Whether minutes change right after second 59, as in a clock."""
    gaps = np.diff(whole)
    new = whole[1:] // _MINUTE != whole[:-1] // _MINUTE
    return bool(new.any() and (gaps[new] <= _LONG_GAP * np.median(gaps)).mean() >= 0.5)


def _is_time_code(
    fields: Sequence[Sequence[str]], between: Sequence[str], last: int, whole: np.ndarray
) -> bool:
    """Whether the frame count restarts in consecutive seconds, as in ``00-00-07-24``."""
    frames = fields[last + 1] if last + 1 < len(fields) else []
    if not frames or _width(frames) != 2 or between[last] != between[last - 1]:
        return False
    return len(whole) > 2 and bool(np.median(np.diff(whole)) <= 2_000_000)


def _glued_time(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """``HHMMSS``, optionally with milliseconds.

    Frame numbers can look alike. The value is a time if it is more regular as a time than as a
    number (115959, 120000), or if a fraction of a second follows.
    """
    field = fields[first]
    if _width(field) not in (6, 9) or min(map(int, field)) < 10 ** (_width(field) - 2):
        return None
    hours, minutes, seconds = (
        np.array([int(text[at : at + 2]) for text in field], dtype=np.int64) for at in (0, 2, 4)
    )
    if hours.max() > 23 or minutes.max() > 59 or seconds.max() > 59:
        return None
    millis = np.array([int(text[6:] or 0) for text in field], dtype=np.int64)
    whole = (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + millis * 1000
    found = _with_fraction(fields, between, first, first, whole.tolist())
    numbers = np.unique(np.array(field, dtype=np.int64))
    even = len(set(np.diff(np.unique(whole)))) < len(set(np.diff(numbers)))
    return found if even or found.last > first else None


def _epoch(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """An epoch time."""
    width = _width(fields[first])
    nanos = _EPOCHS.get(width)
    if nanos is None or not all(text.startswith("1") for text in fields[first]):
        return None
    micros = [int(text) * nanos // 1000 for text in fields[first]]
    return (
        _with_fraction(fields, between, first, first, micros)
        if width == 10
        else Times(first, first, micros)
    )


def _seconds(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """Seconds with a decimal point, as in ``12.480``, unless another word precedes them."""
    if before[-1:].isalpha() and not _TIME_WORD.search(before):
        return None
    last = first + 1
    if last >= len(fields) or between[first] != "." or _width(fields[last]) == 0:
        return None
    if any(
        not text.isdecimal() or (len(text) > 1 and text.startswith("0")) or len(text) > 9
        for text in fields[first]
    ):
        return None
    whole = [int(text) * 1_000_000 for text in fields[first]]
    found = _with_fraction(fields, between, first, first, whole)
    return found if found.last == last else None


def _with_unit(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """A number with its unit, as in ``40ms``."""
    unit = _UNIT.match(between[first])
    field = fields[first]
    if unit is None or not all(text.isdecimal() and len(text) < 19 for text in field):
        return None
    nanos = {"m": 1_000_000, "u": 1_000, "n": 1}[unit[1][0].lower()]
    return Times(first, first, [int(text) * nanos // 1000 for text in field])


def _far_apart(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """Micro- or nanoseconds: a number with steps too large for frame numbers."""
    field = fields[first]
    if len(field) < 3 or not all(text.isdecimal() and len(text) < 19 for text in field):
        return None
    numbers = np.unique(np.array(field, dtype=np.int64))
    if len(numbers) < len(field):
        return None
    gaps = np.diff(numbers)
    usual = np.median(gaps)
    if gaps.min() < max(_MIN_TIME_STEP, usual / 2):
        return None
    # Other numbers, such as those of a collection's pictures, are less regular.
    if (gaps > _LONG_GAP * usual).mean() > 0.2:
        return None
    nanos = usual >= 1000 * _MIN_TIME_STEP
    return Times(first, first, [int(text) // (1000 if nanos else 1) for text in field])


def _date(text: str) -> int | None:
    """``YYYYMMDDhhmmss`` in microseconds."""
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    if not 1970 <= moment.year < 2100:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _joins(gap: str) -> bool:
    """Whether a text separates parts of a time: ``-``, ``_``, ``T``, ``h``, ``m``."""
    return len(gap) == 1 and gap in "-_:. Thm"


def _with_fraction(
    fields: Sequence[Sequence[str]],
    between: Sequence[str],
    first: int,
    last: int,
    whole: list[int],
) -> Times:
    """Adds the following field to a time of whole seconds, if it is a fraction."""
    after = last + 1
    if after >= len(fields) or between[last] not in (".", ",", "_", "-"):
        return Times(first, last, whole)
    fraction = fields[after]
    if max(map(len, fraction)) > 9 or not _is_fraction(whole, fraction, between[last]):
        return Times(first, last, whole)
    micros = [one + int(f"{text[:6]:0<6}") for one, text in zip(whole, fraction, strict=True)]
    return Times(first, after, micros)


def _is_fraction(whole: list[int], behind: Sequence[str], gap: str) -> bool:
    """Whether the numbers after seconds are fractions and not frame counts."""
    decimal = gap in ".,"
    # After a decimal sign, trailing zeros may be missing.
    if not all(text.isdecimal() for text in behind) or not (_width(behind) or decimal):
        return False
    texts: dict[int, list[str]] = {}
    for second, text in zip(whole, behind, strict=True):
        texts.setdefault(second, []).append(text)
    groups = {second: [int(text) for text in group] for second, group in texts.items()}
    if max(map(len, groups.values())) > _MAX_FPS:
        return False
    # Frame counts have steps of 1; times of 3 digits or more almost never do.
    steps = np.concatenate([np.diff(sorted(set(group))) for group in groups.values()])
    if len(steps) and np.median(steps) == 1:
        return False
    # Fractions reach the second half of consecutive seconds.
    sizes = [len(group) for group in groups.values()]
    reach = [max(group)[:1] >= "5" for group in texts.values()]
    if len(groups) > 1 and np.median(sizes) >= 3 and np.median(reach) < 0.5:
        return False
    if len(groups) == 1:
        return decimal and max(map(len, behind)) >= 3
    ordered = [min(group) for _, group in sorted(groups.items())]
    last = [max(group) for _, group in sorted(groups.items())]
    # A count continues into the next second, or restarts with each recording.
    continues = all(low > high for low, high in zip(ordered[1:], last[:-1], strict=True))
    return not continues
