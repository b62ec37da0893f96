"""Times in the names of pictures: dates, times of the day, epochs, seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np

_DAY = 24 * 3600 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Digits of an epoch in seconds, milli-, micro- and nanoseconds, all from 2001 to 2033: nanoseconds of each.
_EPOCHS = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}
# Digits of the fields of year, month, day, hour, minute, second; of milli- or microseconds behind them.
_DATES = (
    *([4, 2, 2, 2, 2, 2], [8, 2, 2, 2], [4, 2, 2, 6], [8, 6], [14]),
    *([8, 9], [8, 12], [17], [20]),
    # With a year of two digits.
    *([2, 2, 2, 2, 2, 2], [2, 2, 2, 6], [6, 2, 2, 2], [6, 6]),
)
_WHOLE = 14
# A gap longer than this many usual ones holds missing frames.
_LONG = 1.5
_MINUTE = 60_000_000
# Words before seconds, and units behind numbers.
_OF_TIMES = re.compile(
    r"(?:^|[^a-z])(t|time|ts|timestamp|sec|seconds|pos|at|f|frame|img|image)$", re.I
)
_UNIT = re.compile(r"(ms|msec|us|usec|ns|nsec)(?![a-zA-Z])", re.I)
# Nobody numbers the pictures of a video in steps of so many frames.
_FAR = 2000
# No camera takes more pictures a second.
_MOST = 1000


@dataclass(frozen=True)
class Times:
    """Fields of names that are one time.

    Attributes:
        first: The first of the fields.
        last: The last of them.
        micros: The time that each name has, in microseconds.
    """

    first: int
    last: int
    micros: list[int]


def frames_of_times(micros: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Frame numbers of times, and frames a second.

    The rate is one over the median gap; over the mean of gaps of up to 1.5 medians where that is the same to
    within the digits of the times (33, 33 and 34 milliseconds are 30 a second). Longer gaps hold missing
    frames; each shorter one is one frame, as cameras do not keep time exactly.

    Args:
        micros: :math:`[F]` different times in microseconds, in any order.

    Returns:
        :math:`[F]` frame numbers from 0, and the rate; ``None`` of fewer than two times.
    """
    order = np.argsort(micros, kind="stable")
    gaps = np.diff(np.asarray(micros, dtype=np.int64)[order])
    if not len(gaps):
        return np.zeros(len(order), dtype=np.int64), None
    usual = float(np.median(gaps))
    mean = float(gaps[gaps <= _LONG * usual].mean())
    if abs(mean - usual) <= np.gcd.reduce(gaps):
        usual = mean
    steps = np.where(gaps > _LONG * usual, np.maximum(np.rint(gaps / usual), 2), 1)
    frames = np.zeros(len(order), dtype=np.int64)
    frames[order[1:]] = np.cumsum(steps.astype(np.int64))
    return frames, 1e6 / usual


def find_times(
    fields: Sequence[Sequence[str]], between: Sequence[str], before: str, behind: str
) -> Times | None:
    """The fields of names that are a time, if there is one that differs from name to name.

    Args:
        fields: The runs of digits in the names: of each run the text in every name.
        between: What stands between one run and the next, the same in all names.
        before: What stands before the first.
        behind: What stands behind the last.
    """
    texts = [before, *between]
    ways = (_date_and_time, _time_of_day, _glued_time, _epoch, _seconds, _with_unit, _far_apart)
    # A date says more than a time of the day, and that more than a number.
    for read in ways:
        found = [
            read(fields, [*between, behind], first, texts[first]) for first in range(len(fields))
        ]
        times = [one for one in found if one is not None and len(set(one.micros)) > 1]
        if times and read is _date_and_time:
            return times[0]
        if times:
            # Of fields that can be read in several ways, the one that tells most names apart.
            return max(times, key=lambda one: len(set(one.micros)))
    return None


# -- inner -----------------------------------------------------------------------------------------


def _width(field: Sequence[str]) -> int:
    """How many digits all texts of a field have; 0 where they differ, or are no digits."""
    widths = {len(text) if text.isdecimal() else 0 for text in field}
    return widths.pop() if len(widths) == 1 else 0


def _date_and_time(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """A date, then a time of the day, in fields of their own or glued together."""
    widths = [_width(field) for field in fields[first : first + 6]]
    gaps = list(between[first : first + 5])
    for form in _DATES:
        count = len(form)
        if widths[:count] != form or not all(_joins(gap) for gap in gaps[: count - 1]):
            continue
        last = first + count - 1
        texts = ["".join(one) for one in zip(*fields[first : last + 1], strict=True)]
        if sum(form) < _WHOLE:
            texts = [f"20{text}" for text in texts]
        seconds = [_date(text[:_WHOLE]) for text in texts]
        if None in seconds:
            continue
        # Digits that are left over are a fraction.
        parts = zip(texts, seconds, strict=True)
        micros = [(one or 0) + int(f"{text[_WHOLE:]:0<6}") for text, one in parts]
        if len(texts[0]) > _WHOLE:
            return Times(first, last, micros)
        return _with_fraction(fields, between, first, last, micros)
    return None


def _time_of_day(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """Hours, minutes and seconds; what is after midnight is of the next day."""
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
    # Three numbers of two digits may count other things.
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
    """Whether a fraction of milliseconds or finer stands behind a time."""
    return found.last > last and max(map(len, fields[found.last])) >= 3


def _carries(whole: np.ndarray) -> bool:
    """Whether the next minute begins where one ends: seconds that go on to 59, and not only to some number."""
    gaps = np.diff(whole)
    new = whole[1:] // _MINUTE != whole[:-1] // _MINUTE
    return bool(new.any() and (gaps[new] <= _LONG * np.median(gaps)).mean() >= 0.5)


def _is_time_code(
    fields: Sequence[Sequence[str]], between: Sequence[str], last: int, whole: np.ndarray
) -> bool:
    """Whether frames are counted anew in each of seconds that follow each other, as in ``00-00-07-24``."""
    frames = fields[last + 1] if last + 1 < len(fields) else []
    if not frames or _width(frames) != 2 or between[last] != between[last - 1]:
        return False
    return len(whole) > 2 and bool(np.median(np.diff(whole)) <= 2_000_000)


def _glued_time(
    fields: Sequence[Sequence[str]], between: Sequence[str], first: int, before: str
) -> Times | None:
    """``HHMMSS``, alone or with milliseconds glued to it or behind it.

    Numbers of frames may look so, too: it is a time where it runs more evenly as one than as a number
    (115959, 120000), or where a fraction of a second stands behind it.
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
    """An epoch."""
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
    """Seconds with a decimal point, as in ``12.480``; not behind a word that is none of times or frames."""
    if before[-1:].isalpha() and not _OF_TIMES.search(before):
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
    """A number in steps that no count of frames has: micro- or nanoseconds from the beginning."""
    field = fields[first]
    if len(field) < 3 or not all(text.isdecimal() and len(text) < 19 for text in field):
        return None
    numbers = np.unique(np.array(field, dtype=np.int64))
    if len(numbers) < len(field):
        return None
    gaps = np.diff(numbers)
    usual = np.median(gaps)
    if gaps.min() < max(_FAR, usual / 2):
        return None
    # Other numbers, as of a collection's pictures, do not run so evenly.
    if (gaps > _LONG * usual).mean() > 0.2:
        return None
    nanos = usual >= 1000 * _FAR
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
    """Whether it stands between the parts of a time: ``-``, ``_``, ``T``, ``h``, ``m``."""
    return len(gap) == 1 and gap in "-_:. Thm"


def _with_fraction(
    fields: Sequence[Sequence[str]],
    between: Sequence[str],
    first: int,
    last: int,
    whole: list[int],
) -> Times:
    """A time of whole seconds, with the fraction behind it, if that is one and no number of frames."""
    after = last + 1
    if after >= len(fields) or between[last] not in (".", ",", "_", "-"):
        return Times(first, last, whole)
    fraction = fields[after]
    if max(map(len, fraction)) > 9 or not _is_fraction(whole, fraction, between[last]):
        return Times(first, last, whole)
    micros = [one + int(f"{text[:6]:0<6}") for one, text in zip(whole, fraction, strict=True)]
    return Times(first, after, micros)


def _is_fraction(whole: list[int], behind: Sequence[str], gap: str) -> bool:
    """Whether numbers behind seconds are their fractions; else they count frames."""
    decimal = gap in ".,"
    # Trailing zeros may have been left out behind a decimal sign.
    if not all(text.isdecimal() for text in behind) or not (_width(behind) or decimal):
        return False
    texts: dict[int, list[str]] = {}
    for second, text in zip(whole, behind, strict=True):
        texts.setdefault(second, []).append(text)
    groups = {second: [int(text) for text in group] for second, group in texts.items()}
    if max(map(len, groups.values())) > _MOST:
        return False
    # Counted frames follow each other by 1; times of 3 digits or more nearly never do.
    steps = np.concatenate([np.diff(sorted(set(group))) for group in groups.values()])
    if len(steps) and np.median(steps) == 1:
        return False
    # Fractions of one second after the other reach into the second half of each.
    sizes = [len(group) for group in groups.values()]
    reach = [max(group)[:1] >= "5" for group in texts.values()]
    if len(groups) > 1 and np.median(sizes) >= 3 and np.median(reach) < 0.5:
        return False
    if len(groups) == 1:
        return decimal and max(map(len, behind)) >= 3
    ordered = [min(group) for _, group in sorted(groups.items())]
    last = [max(group) for _, group in sorted(groups.items())]
    # A count goes on where the next second begins, or begins anew for each recording.
    goes_on = all(low > high for low, high in zip(ordered[1:], last[:-1], strict=True))
    return not goes_on
