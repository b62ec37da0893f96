"""Clip and frame of pictures, from their names.

The names of one folder are interpreted together. Names with one form differ only in digits. One of
the differing numbers is the frame number; the others name the clip (``cam1_0001``, ``cam2_0001``)
or are attributes of each picture (a time, a size) and are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.name_patterns import Form, forms_of
from gepc_geo.io._common.times import Times, find_times, frames_of_times

# Suffixes; one that begins with a digit is none (cam01.0000).
_ENDING = re.compile(r"\.[A-Za-z]\w*$")
# Endings that tools add to names.
_TOOL = re.compile(r"([_-]keypoints|\.predictions|\.(?:openp|p)ifpaf)$")
# OpenPose's additional views of a frame.
_VIEW = re.compile(r"(.*?)(_?\d+)_keypoints_(\d+)", re.DOTALL)
# Names that operating systems give to copies of files.
_COPY = re.compile(r"( - Copy( \(\d+\))?| copy( \d+)?|-copy|_copy| ?\(\d+\))$", re.I)
_DATE = 8
_FRAME_WORD = re.compile(
    r"(?:^|[^a-z])(frame|frm|fr|f|image|img|im|picture|pic|photo)[ _.=#(\[-]*$", re.I
)
_CLIP_WORD = re.compile(
    r"(?:^|[^a-z])(camera|cam|c|view|v|video|vid|clip|scene|sequence|seq|s|take|trial|subject|person|"
    r"p|set|day|session|part|run|action|a|rep|r|e|ch|channel)[ _.=#(\[-]*$",
    re.I,
)
#: Names that carry no information about the clip.
_GENERAL = re.compile(
    r"(frames?|frm|fr|f|images?|imgs?|im|pictures?|pic|photo|thumb|results?|output|out)?", re.I
)
# In characters: no path of a file is longer.
_LONGEST = 4096
_EDGES = " _.-=#+~"
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
# In microseconds: times this close are times of frames, not of recordings.
_FRAME_GAP = 2_000_000


@dataclass(frozen=True)
class Series:
    """Pictures of one clip.

    Attributes:
        parts: The common part of the names, outermost first: folders, and the text around the
            number; empty if it carries no information (``frame_0001``).
        members: Positions of the pictures among the names, in frame order.
        frames: The frame number of each picture.
        fps: Frames a second, if names are times.
        timed: Whether frame numbers come from times.
    """

    parts: tuple[str, ...]
    members: list[int]
    frames: list[int]
    fps: float | None = None
    timed: bool = False


def split_folders(name: str) -> tuple[tuple[str, ...], str]:
    """The folders of a path in a file, and the rest without endings."""
    *folders, last = re.split(r"[/\\]", name)
    named = tuple(part for part in folders if part not in ("", ".", "..") and part[-1] != ":")
    stem = _ENDING.sub("", _TOOL.sub("", last))
    view = _VIEW.fullmatch(stem)
    return named, f"{view[1]}_view{view[3]}{view[2]}" if view else _TOOL.sub("", stem)


def series_of(names: Sequence[str], describe: Callable[[int], str]) -> list[Series]:
    r"""Groups pictures by clip.

    Args:
        names: The names of the pictures, all different, with folders (``/`` or ``\``) and suffixes.
        describe: Gives the text for the picture at a position, for errors.

    Returns:
        The clips, in the order of their first pictures.

    Raises:
        InputError: A name without a number, or two pictures of one frame and clip.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    stems = []
    long = next((i for i, name in enumerate(names) if len(name) > _LONGEST), None)
    if long is not None:
        raise InputError(
            f"{describe(long)} must have a name of at most {_LONGEST} characters, "
            f"got {len(names[long])}"
        )
    for i, name in enumerate(names):
        folders, stem = split_folders(name)
        stems.append(stem)
        groups.setdefault(folders, []).append(i)
    shared = _shared_folders(list(groups))
    found = []
    for folders, members in groups.items():
        below = folders[shared:] if len(groups) > 1 else ()
        found += [
            Series((*below, *one.parts), one.members, one.frames, one.fps, one.timed)
            for one in _series_of_folder(stems, members, describe)
        ]
    owner: dict[tuple[str, ...], Series] = {}
    for one in found:
        other = owner.setdefault(one.parts, one)
        if other is not one:
            raise InputError(
                "names of a clip's pictures must differ in the frame number only, got "
                f"{describe(one.members[0])} and {describe(other.members[0])}"
            )
    return sorted(found, key=lambda one: min(one.members))


def refuse_copies(names: Sequence[str], describe: Callable[[int], str]) -> None:
    """Checks that no file of a folder is a copy of another, by its name.

    Raises:
        InputError: A file and its copy.
    """
    place = {_ENDING.sub("", name): i for i, name in enumerate(names)}
    for name, i in place.items():
        original = _COPY.sub("", name)
        if original != name and original in place:
            raise InputError(
                f"a folder must hold each file once, got {describe(place[original])} and its copy "
                f"{describe(i)}"
            )


# -- inner -----------------------------------------------------------------------------------------


def _shared_folders(paths: Sequence[tuple[str, ...]]) -> int:
    """The number of outer folders that all paths share."""
    count = 0
    while all(len(path) > count for path in paths) and len({path[count] for path in paths}) == 1:
        count += 1
    return count


# The text before and after the frame number, and the pictures.
_Draft = tuple[str, str, Series]


def _series_of_folder(
    stems: Sequence[str], members: Sequence[int], describe: Callable[[int], str]
) -> list[Series]:
    drafts: list[_Draft] = []
    for form in forms_of(stems, members):
        drafts += _series_of_form(form, describe)
    # The text after the number names the clip only if the text before it is not unique.
    befores = Counter(before for before, _, _ in drafts)
    series = []
    for before, behind, one in drafts:
        name = before if befores[before] == 1 else f"{before}_{behind}".strip("_")
        series.append(Series((name,), one.members, one.frames, one.fps, one.timed))
    general = [one for one in series if _GENERAL.fullmatch(one.parts[0])]
    for one in general:
        # The folder names the series without a name of its own.
        if len(general) == 1 or one.parts == ("",):
            series[series.index(one)] = replace(one, parts=())
    return series


def _series_of_form(form: Form, describe: Callable[[int], str]) -> list[_Draft]:
    times = (
        find_times(form.fields, form.texts[1:-1], form.texts[0], form.texts[-1])
        if form.fields
        else None
    )
    within = set() if times is None else set(range(times.first, times.last + 1))
    counters = [field for field in form.counters if field not in within]
    varying = [field for field in range(len(form.fields)) if form.varies(field)]
    numbers = [field for field in counters if form.varies(field)]
    # Single pictures of several clips differ only in the number of the clip.
    if all(_CLIP_WORD.search(form.texts[field]) for field in numbers):
        numbers = [
            field
            for field in counters
            if not _CLIP_WORD.search(form.texts[field]) and len(form.fields[field][0]) != _DATE
        ] or numbers
    frame = _frame_field(form, numbers or counters)
    if times is not None and not (numbers and _counts(form, frame, times, varying)):
        return _timed(form, times, [field for field in varying if field not in within], describe)
    if frame is None:
        raise InputError(
            f"{describe(form.members[0])} must have a frame number in its name, as in clip_12, "
            "got none"
        )
    others = [field for field in varying if field != frame]
    micros = None
    if times is not None and _are_of_frames(form, times, [f for f in others if f not in within]):
        others, micros = [field for field in others if field not in within], times.micros
    clip = _clip_fields(form, frame, others)
    return _split(form, clip, (frame, frame), form.numbers(frame), micros, describe)


def _are_of_frames(form: Form, times: Times, others: Sequence[int]) -> bool:
    """Whether the pictures of a clip have different times."""
    clip = [field for field in others if form.is_shared(field)]
    return all(len({times.micros[row] for row in rows}) == len(rows) for rows in form.groups(clip))


def _counts(form: Form, frame: int | None, times: Times, varying: Sequence[int]) -> bool:
    """Whether a field is the frame number although names have times of recordings or frames."""
    if frame is None:
        return False
    within = range(times.first, times.last + 1)
    clip = [f for f in varying if f != frame and f not in within and form.is_shared(f)]
    if form.tells_apart(clip, frame):
        return True
    beginnings = np.unique(times.micros)
    gaps = np.diff(beginnings)
    recordings = 2 * len(beginnings) <= len(form.members)
    # Consecutive whole seconds may each restart the count of pictures.
    seconds = not (beginnings % 1_000_000).any() and len(gaps) and np.median(gaps) <= _FRAME_GAP
    return recordings and frame > times.last and not seconds


def _timed(
    form: Form, times: Times, others: Sequence[int], describe: Callable[[int], str]
) -> list[_Draft]:
    """Series of pictures with times as frame numbers."""
    place = (times.first, times.last)
    numbers = [field for field in others if field in form.counters and field > times.last]
    frame = _frame_field(form, numbers)
    clip = [field for field in others if field != frame and form.is_shared(field)]
    micros = np.array(times.micros)
    if frame is not None and len(set(times.micros)) < len(form.members):
        micros = _within_seconds(micros, np.array(form.numbers(frame)))
        place = (times.first, frame)
    drafts = []
    for before, behind, one in _split(form, clip, place, micros.tolist(), None, describe):
        frames, fps = frames_of_times(np.array(one.frames))
        timed = Series(one.parts, one.members, frames.tolist(), fps, True)
        drafts.append((before, behind, timed))
    return drafts


def _within_seconds(seconds: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Times of pictures with a count that restarts each second."""
    pairs = np.unique(np.stack([seconds, count], axis=1), axis=0)
    number = np.unique(pairs[:, 0], return_counts=True)[1].tolist()
    # The first and the last second may be partial.
    rate = np.median(number[1:-1]) if len(number) > 2 else max(number)
    step = 1_000_000 // max(int(rate), 1)
    return np.asarray(seconds + (count - count.min()) * step)


def _frame_field(form: Form, fields: Sequence[int]) -> int | None:
    """The field of the frame number: the last after a word for frames, else the last free one."""
    named = [field for field in fields if _FRAME_WORD.search(form.texts[field])]
    free = [field for field in fields if not _CLIP_WORD.search(form.texts[field])]
    return next(reversed(named or free or list(fields)), None)


def _clip_fields(form: Form, frame: int, others: Sequence[int]) -> list[int]:
    """The fields that distinguish clips; the others are attributes of each picture."""
    unique = form.tells_apart([], frame)
    clip = []
    for field in others:
        if not form.is_shared(field):
            continue
        after_clip_word = bool(_CLIP_WORD.search(form.texts[field]))
        # If frame numbers alone are unique, a later field without a word for clips is no clip's.
        if not unique or field < frame or after_clip_word:
            clip.append(field)
    remaining = [field for field in others if field not in clip]
    while remaining and not form.tells_apart(clip, frame):
        clip.append(remaining.pop(0))
    return sorted(clip)


def _split(
    form: Form,
    clip: Sequence[int],
    place: tuple[int, int],
    frames: Sequence[int],
    micros: Sequence[int] | None,
    describe: Callable[[int], str],
) -> list[_Draft]:
    """The pictures of each clip; ``place`` is the first and last field of the frame number."""
    drafts = []
    for rows in form.groups(clip):
        rows.sort(key=frames.__getitem__)
        for earlier, later in pairwise(rows):
            if frames[earlier] == frames[later]:
                value = (
                    "with the same time" if place[1] > place[0] else f"for frame {frames[later]}"
                )
                raise InputError(
                    "a clip must have one picture a frame, got "
                    f"{describe(form.members[earlier])} and {describe(form.members[later])} {value}"
                )
        fps = None
        if micros is not None and len(rows) > 1:
            pace = np.diff([micros[row] for row in rows]) / np.diff([frames[row] for row in rows])
            fps = 1e6 / float(np.median(pace)) if (pace > 0).all() else None
        drafts.append(
            (
                _words(form, rows[0], clip, 0, place[0]),
                _words(form, rows[0], clip, place[1] + 1, len(form.fields)),
                Series((), [form.members[row] for row in rows], [frames[row] for row in rows], fps),
            )
        )
    return drafts


def _words(form: Form, row: int, clip: Sequence[int], first: int, last: int) -> str:
    """A part of a name, without the fields that differ within a clip."""
    text = form.texts[first]
    for field in range(first, last):
        is_constant = field in clip or not form.varies(field)
        text += (form.fields[field][row] if is_constant else "\0") + form.texts[field + 1]
    return _trimmed(re.sub(r"[ _.=#(\[-]*\0+", "", text))


def _trimmed(text: str) -> str:
    """The text without separators at its ends and without unpaired brackets there."""
    before: str | None = None
    while text != before:
        before = text = text.strip(_EDGES)
        for opening, closing in _BRACKETS:
            if text.count(opening) > text.count(closing):
                text = text.removesuffix(opening)
            if text.count(closing) > text.count(opening):
                text = text.removeprefix(closing)
    return text
