"""Names of pictures: which clip a picture is of, and which frame of it.

The names of one folder are looked at together. Names that differ in digits alone have one form; the
frame's number is among the digits that differ. The other digits that differ name the clip (``cam1_0001``,
``cam2_0001``) or say something else about each picture (a time, a size), and then say nothing here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.forms import Form, forms_of
from gepc_geo.io._common.times import Times, find_times, frames_of_times

# Behind the name: what tools put there. An ending that begins with a digit is none (cam01.0000).
_ENDING = re.compile(r"\.[A-Za-z]\w*$")
_TOOL = re.compile(r"([_-]keypoints|\.predictions|\.(?:openp|p)ifpaf)$")
# OpenPose's further views of a frame.
_VIEW = re.compile(r"(.*?)(_?\d+)_keypoints_(\d+)", re.DOTALL)
# What people's systems call the copy of a file.
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
#: Names that say nothing about a clip.
_GENERAL = re.compile(
    r"(frames?|frm|fr|f|images?|imgs?|im|pictures?|pic|photo|thumb|results?|output|out)?", re.I
)
# In characters: paths of files are not longer.
_LONGEST = 4096
_EDGES = " _.-=#+~"
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
# Times that follow each other within so many microseconds are not those of recordings.
_NEXT = 2_000_000


@dataclass(frozen=True)
class Series:
    """Pictures of one clip.

    Attributes:
        parts: What their names have in common, outermost first: folders, and the words around the
            number; empty where these say nothing (``frame_0001``).
        members: The positions of the pictures among the names, in the order of their frames.
        frames: The frame number of each.
        fps: Frames a second, where names are times.
        timed: Whether the frames come from times.
    """

    parts: tuple[str, ...]
    members: list[int]
    frames: list[int]
    fps: float | None = None
    timed: bool = False


def split_folders(name: str) -> tuple[tuple[str, ...], str]:
    """The folders of a path in a file, and the rest without its endings."""
    *folders, last = re.split(r"[/\\]", name)
    kept = tuple(one for one in folders if one not in ("", ".", "..") and not one.endswith(":"))
    stem = _ENDING.sub("", _TOOL.sub("", last))
    view = _VIEW.fullmatch(stem)
    return kept, f"{view[1]}_view{view[3]}{view[2]}" if view else _TOOL.sub("", stem)


def series_of(names: Sequence[str], call: Callable[[int], str]) -> list[Series]:
    """The clips that pictures are of.

    Args:
        names: The pictures' names, all different, with folders (``/`` or ``\\``) and endings.
        call: What errors call a picture, by its position.

    Raises:
        InputError: A name without a number, two pictures that are one frame of one clip.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    stems = []
    long = next((i for i, name in enumerate(names) if len(name) > _LONGEST), None)
    if long is not None:
        raise InputError(
            f"{call(long)} has a name of {len(names[long])} characters, expected at most {_LONGEST}"
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
            for one in _series_of_folder(stems, members, call)
        ]
    owner: dict[tuple[str, ...], Series] = {}
    for one in found:
        other = owner.setdefault(one.parts, one)
        if other is not one:
            raise InputError(
                f"{call(one.members[0])} and {call(other.members[0])} cannot be told apart as clips, "
                "expected names of one clip's pictures to differ in the frame number alone"
            )
    return sorted(found, key=lambda one: min(one.members))


def refuse_copies(names: Sequence[str], call: Callable[[int], str]) -> None:
    """Refuses files of a folder that are called copies of others.

    Raises:
        InputError: One of them; names both.
    """
    place = {_ENDING.sub("", name): i for i, name in enumerate(names)}
    for name, i in place.items():
        original = _COPY.sub("", name)
        if original != name and original in place:
            raise InputError(
                f"{call(i)} is called a copy of {call(place[original])}, expected one of them"
            )


# -- inner -----------------------------------------------------------------------------------------


def _shared_folders(paths: Sequence[tuple[str, ...]]) -> int:
    """How many outer folders all paths have in common."""
    count = 0
    while all(len(path) > count for path in paths) and len({path[count] for path in paths}) == 1:
        count += 1
    return count


# What stands before and behind the frame number, and the pictures.
_Draft = tuple[str, str, Series]


def _series_of_folder(
    stems: Sequence[str], members: Sequence[int], call: Callable[[int], str]
) -> list[Series]:
    drafts: list[_Draft] = []
    for form in forms_of(stems, members):
        drafts += _series_of_form(form, call)
    # What stands behind the number names a clip only where what stands before it does not.
    befores = Counter(before for before, _, _ in drafts)
    series = []
    for before, behind, one in drafts:
        name = before if befores[before] == 1 else f"{before}_{behind}".strip("_")
        series.append(Series((name,), one.members, one.frames, one.fps, one.timed))
    general = [one for one in series if _GENERAL.fullmatch(one.parts[0])]
    for one in general:
        # One of them is called after the folder.
        if len(general) == 1 or one.parts == ("",):
            series[series.index(one)] = replace(one, parts=())
    return series


def _series_of_form(form: Form, call: Callable[[int], str]) -> list[_Draft]:
    times = (
        find_times(form.fields, form.texts[1:-1], form.texts[0], form.texts[-1])
        if form.fields
        else None
    )
    within = set() if times is None else set(range(times.first, times.last + 1))
    counters = [field for field in form.counters if field not in within]
    varying = [field for field in range(len(form.fields)) if form.varies(field)]
    numbers = [field for field in counters if form.varies(field)]
    # One picture each of several clips differs in the clip's number alone.
    if all(_CLIP_WORD.search(form.texts[field]) for field in numbers):
        numbers = [
            field
            for field in counters
            if not _CLIP_WORD.search(form.texts[field]) and len(form.fields[field][0]) != _DATE
        ] or numbers
    frame = _frame_field(form, numbers or counters)
    if times is not None and not (numbers and _counts(form, frame, times, varying)):
        return _timed(form, times, [field for field in varying if field not in within], call)
    if frame is None:
        raise InputError(
            f"{call(form.members[0])} has no frame number in its name, expected one as in clip_12"
        )
    others = [field for field in varying if field != frame]
    micros = None
    if times is not None and _are_of_frames(form, times, [f for f in others if f not in within]):
        others, micros = [field for field in others if field not in within], times.micros
    clip = _clip_fields(form, frame, others)
    return _split(form, clip, (frame, frame), form.numbers(frame), micros, call)


def _are_of_frames(form: Form, times: Times, others: Sequence[int]) -> bool:
    """Whether each picture of a clip has a time of its own."""
    clip = [field for field in others if form.is_shared(field)]
    return all(len({times.micros[row] for row in rows}) == len(rows) for rows in form.groups(clip))


def _counts(form: Form, frame: int | None, times: Times, varying: Sequence[int]) -> bool:
    """Whether a number counts the frames though names have times: those at which recordings begin, or
    those of the frames."""
    if frame is None:
        return False
    within = range(times.first, times.last + 1)
    clip = [f for f in varying if f != frame and f not in within and form.is_shared(f)]
    if form.tells_apart(clip, frame):
        return True
    beginnings = np.unique(times.micros)
    apart = np.diff(beginnings)
    recordings = 2 * len(beginnings) <= len(form.members)
    # Within whole seconds that follow each other, pictures may be counted anew.
    seconds = not (beginnings % 1_000_000).any() and len(apart) and np.median(apart) <= _NEXT
    return recordings and frame > times.last and not seconds


def _timed(
    form: Form, times: Times, others: Sequence[int], call: Callable[[int], str]
) -> list[_Draft]:
    """Pictures that are told apart, and put in order, by their times."""
    place = (times.first, times.last)
    numbers = [field for field in others if field in form.counters and field > times.last]
    frame = _frame_field(form, numbers)
    clip = [field for field in others if field != frame and form.is_shared(field)]
    micros = np.array(times.micros)
    if frame is not None and len(set(times.micros)) < len(form.members):
        micros = _within_seconds(micros, np.array(form.numbers(frame)))
        place = (times.first, frame)
    drafts = []
    for before, behind, one in _split(form, clip, place, micros.tolist(), None, call):
        frames, fps = frames_of_times(np.array(one.frames))
        timed = Series(one.parts, one.members, frames.tolist(), fps, True)
        drafts.append((before, behind, timed))
    return drafts


def _within_seconds(seconds: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Times of pictures that are counted anew in each second."""
    pairs = np.unique(np.stack([seconds, count], axis=1), axis=0)
    number = np.unique(pairs[:, 0], return_counts=True)[1].tolist()
    # The first and the last second may not be whole.
    rate = np.median(number[1:-1]) if len(number) > 2 else max(number)
    step = 1_000_000 // max(int(rate), 1)
    return np.asarray(seconds + (count - count.min()) * step)


def _frame_field(form: Form, fields: Sequence[int]) -> int | None:
    """Which of the fields counts frames: one behind a word for frames, else the last but for clips'."""
    named = [field for field in fields if _FRAME_WORD.search(form.texts[field])]
    free = [field for field in fields if not _CLIP_WORD.search(form.texts[field])]
    return next(reversed(named or free or list(fields)), None)


def _clip_fields(form: Form, frame: int, others: Sequence[int]) -> list[int]:
    """The fields that tell clips apart; the others say something of each picture."""
    alone = form.tells_apart([], frame)
    clip = []
    for field in others:
        if not form.is_shared(field):
            continue
        worded = bool(_CLIP_WORD.search(form.texts[field]))
        # Where the numbers alone tell all pictures apart, another one behind them is no clip's.
        if not alone or field < frame or worded:
            clip.append(field)
    rest = [field for field in others if field not in clip]
    while rest and not form.tells_apart(clip, frame):
        clip.append(rest.pop(0))
    return sorted(clip)


def _split(
    form: Form,
    clip: Sequence[int],
    place: tuple[int, int],
    frames: Sequence[int],
    micros: Sequence[int] | None,
    call: Callable[[int], str],
) -> list[_Draft]:
    """The pictures of each clip; ``place`` is the first and last field of the frame's number."""
    drafts = []
    for rows in form.groups(clip):
        rows.sort(key=frames.__getitem__)
        for one, other in pairwise(rows):
            if frames[one] == frames[other]:
                same = (
                    "has the same time as"
                    if place[1] > place[0]
                    else f"is frame {frames[one]} and so is"
                )
                raise InputError(
                    f"{call(form.members[other])} {same} {call(form.members[one])}, expected one picture a "
                    "frame"
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
    """A part of a name, without the fields that differ from picture to picture of a clip."""
    text = form.texts[first]
    for field in range(first, last):
        kept = field in clip or not form.varies(field)
        text += (form.fields[field][row] if kept else "\0") + form.texts[field + 1]
    return _trimmed(re.sub(r"[ _.=#(\[-]*\0+", "", text))


def _trimmed(text: str) -> str:
    """A text without the separators at its ends, and without brackets whose other half is gone with the number."""
    before: str | None = None
    while text != before:
        before = text = text.strip(_EDGES)
        for opening, closing in _BRACKETS:
            if text.count(opening) > text.count(closing):
                text = text.removesuffix(opening)
            if text.count(closing) > text.count(opening):
                text = text.removeprefix(closing)
    return text
