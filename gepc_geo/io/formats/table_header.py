"""The header of a table of poses, and the meaning of its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gepc_geo.errors import InputError
from gepc_geo.io._common.joint_names import GENERAL, joint_key, words_of

#: The largest number of joints.
MAX_JOINTS = 1000

# Names of columns without gaps; of several columns of a kind, the first name in this order counts.
_NAMES = {
    "clip": "clip clipname clipid video videoname videoid videopath file filename filepath path "
    "sequence sequencename sequenceid seq seqid camera cameraname cameraid cam camid recording "
    "recordingid trial trialid take takeid session sessionid view viewid scene sceneid source "
    "sourceid stream streamid",
    "person": "person personid personidx personindex personnumber track trackid trackidx trackname "
    "trackingid individual individualid individuals animal animalid subject subjectid player "
    "playerid body bodyid instanceid objectid objid pid tid id",
    "frame": "frame frameidx frameid frameindex framenumber framenum frameno framenr framecount "
    "frames imageid imageidx image imagename imagepath imagefile img imgid imgname",
    "time": "time timestamp timestamps seconds times timesec timeseconds timestampsec t sec timems "
    "timestampms milliseconds ms timeus timestampus timens timestampns datetime",
    "score": "confidence conf score likelihood probability prob visibility visible vis accuracy "
    "accu c s v p",
}
# Words that determine the kind of other names, with a word for a number (clips need none).
_NOUNS = {
    "frame": {"frame", "image", "picture", "img"},
    "person": {"person", "track", "individual", "animal", "subject", "player", "human", "skeleton"}
    | {"body", "object", "obj", "actor", "people"},
    "clip": {"clip", "video", "sequence", "camera", "recording", "trial", "session", "scene"},
}
_NUMBER = {"id", "idx", "index", "no", "nr", "num", "number", "counter", "count", "name", "uid"}
_KEYS = {kind: tuple(names.split()) for kind, names in _NAMES.items()}
_SCORES = _KEYS.pop("score")
_COORDINATES = {"x": "x", "y": "y", "z": "z"} | dict.fromkeys(_SCORES, "score")
# Words that may follow a coordinate.
_UNITS = ("px", "pixel", "pixels", "pos", "position", "coord", "m", "mm", "cm", "norm")
# Words in the name of a numbered joint.
_NUMBERED = {*GENERAL, "point", "pt", "marker", "node", "body", "part", "bodypart", "p", "j", "k"}
_K = TypeVar("_K")
# The columns of a joint's coordinates and score.
Joint = dict[str, int]


@dataclass(frozen=True)
class Header:
    """The columns of a table.

    Attributes:
        names: All names.
        clip: The columns that name the clip.
        person: The column of ids; ``None`` without one.
        frame: The column of frame numbers or names of pictures.
        time: The column of times.
        named: The joints by key (:func:`gepc_geo.io._common.joint_names.joint_key`).
        numbered: The joints by number, if they have no names.
        labels: The table's name of each named joint.
        unread: Columns of another kind.
    """

    names: list[str]
    clip: list[int]
    person: int | None
    frame: int | None
    time: int | None
    named: dict[str, Joint]
    numbered: dict[int, Joint]
    labels: dict[str, str]
    unread: list[str]

    @property
    def keys(self) -> list[int]:
        """The columns of clips, people, frames and times."""
        return [
            *self.clip,
            *(one for one in (self.person, self.frame, self.time) if one is not None),
        ]

    @property
    def description(self) -> str:
        """The columns of clips, people and frames, in words; empty without any."""
        frame = self.frame if self.frame is not None else self.time
        found = {
            "clips": [self.names[one] for one in self.clip],
            "people": [] if self.person is None else [self.names[self.person]],
            "frames": [] if frame is None else [self.names[frame]],
        }
        return ", ".join(
            f"{what} come from column {' and '.join(map(repr, names))}"
            for what, names in found.items()
            if names
        )

    @property
    def is_row_number(self) -> bool:
        """Whether the column of ids may be a row number."""
        return self.person is not None and self.names[self.person].lower() == "id"

    @property
    def from_zero(self) -> bool:
        """Whether the table is from SLEAP, which counts frames from 0."""
        return {"frame_idx", "instance.score"} <= set(self.names)


def is_header(names: Sequence[str]) -> bool:
    """Whether columns are x and y of a joint, or name the joint of a row (to be refused)."""
    if column_of_joints(names) is not None:
        return True
    coordinates: dict[tuple[str, ...], set[str]] = {}
    for name in names:
        joint, coordinate = _split(name)
        coordinates.setdefault(joint, set()).add(coordinate)
    return any(joint and {"x", "y"} <= found for joint, found in coordinates.items())


def read_header(names: list[str], path: Path) -> Header:
    """Determines the kind of each column; columns of another kind are ignored.

    Raises:
        InputError: Two columns of one coordinate of a joint, too many joints.
    """
    glued = ["".join(words_of(name)) for name in names]

    kinds = [_kind_of(name, one) for name, one in zip(names, glued, strict=True)]

    def first(kind: str) -> int | None:
        by_name = (glued.index(one) for one in _KEYS[kind] if one in glued)
        return next(by_name, kinds.index(kind) if kind in kinds else None)

    named: dict[str, Joint] = {}
    labels: dict[str, str] = {}
    families: dict[tuple[str, ...], dict[int, Joint]] = {}
    rank: dict[int, int] = {}
    for column, name in enumerate(names):
        words, coordinate = _split(name)
        if not words or kinds[column]:
            continue
        number = number_of(words)
        if number is not None:
            family = tuple(word for word in words if not word.isdecimal())
            joint = families.setdefault(family, {}).setdefault(number, {})
        else:
            key = joint_key(words)
            joint = named.setdefault(key, {})
            labels.setdefault(key, _label(name))
        if coordinate == "score":
            rank[column] = _SCORES.index(_score_word(name))
            if coordinate not in joint or rank[column] < rank[joint[coordinate]]:
                joint[coordinate] = column
        elif coordinate in joint:
            raise InputError(
                f"{path} must have one {coordinate} of each joint, got columns "
                f"{names[joint[coordinate]]!r:.60} and {name!r:.60}"
            )
        else:
            joint[coordinate] = column
    numbered = max(families.values(), key=lambda one: len(_placed(one)), default={})
    numbered = _placed(numbered)
    if _placed(named) and len(numbered) == 2:
        # x1, y1, x2, y2 beside joints are a box.
        numbered = {}
    header = Header(
        names,
        [column for column, kind in enumerate(kinds) if kind == "clip"],
        first("person"),
        first("frame"),
        first("time"),
        _placed(named),
        numbered,
        labels,
        [
            name
            for name, kind in zip(names, kinds, strict=True)
            if name and not kind and not _split(name)[0]
        ],
    )
    if max(len(header.named), len(header.numbered)) > MAX_JOINTS:
        raise InputError(
            f"{path} must have at most {MAX_JOINTS} joints, got "
            f"{max(len(header.named), len(header.numbered))}"
        )
    return header


def number_of(words: Sequence[str]) -> int | None:
    """The number of a joint without a name; ``None`` for a name."""
    digits = [word for word in words if word.isdecimal()]
    general = _NUMBERED.issuperset(word for word in words if not word.isdecimal())
    return int(digits[0]) if len(digits) == 1 and len(digits[0]) < 10 and general else None


def column_of_joints(names: Sequence[str]) -> str | None:
    """The column with the name of the joint at x and y of a row; ``None`` without one."""
    glued = ["".join(words_of(name)) for name in names]
    if not {"x", "y"} <= set(glued):
        return None
    known = {*GENERAL, "bodypart", "bodyparts", "part", "node", "marker"}
    return next(
        (
            name
            for name, one in zip(names, glued, strict=True)
            if re.sub("(name|id)$", "", one) in known
        ),
        None,
    )


# -- inner -----------------------------------------------------------------------------------------


def _kind_of(name: str, glued: str) -> str:
    """The kind of a column, by its whole name or its words; empty for another kind."""
    known = next((kind for kind, names in _KEYS.items() if glued in names), "")
    if known or _split(name)[0]:
        return known
    words = set(words_of(name))
    # A frame number in a video belongs to the frame.
    for kind, nouns in _NOUNS.items():
        if words & nouns and (
            (kind == "frame" and "frame" in words) or words & _NUMBER or kind == "clip"
        ):
            return kind
    return ""


def _split(name: str) -> tuple[tuple[str, ...], str]:
    """The words of a column's joint, and the coordinate; empty for columns of no joint."""
    words = words_of(name)
    while len(words) > 2 and words[-1] in _UNITS and words[-2] in _COORDINATES:
        del words[-1]
    if len(words) > 1 and words[-1] in _COORDINATES:
        return tuple(words[:-1]), _COORDINATES[words[-1]]
    if len(words) > 1 and words[0] in _COORDINATES:
        return tuple(words[1:]), _COORDINATES[words[0]]
    return (), ""


def _score_word(name: str) -> str:
    words = words_of(name)
    return words[-1] if words[-1] in _SCORES else words[0]


def _label(name: str) -> str:
    """The name of a column's joint."""
    return name[: len(name) - len(words_of(name)[-1])].rstrip(" ._-[(") or name


def _placed(joints: dict[_K, Joint]) -> dict[_K, Joint]:
    """The joints with x and y."""
    return {key: joint for key, joint in joints.items() if {"x", "y"} <= set(joint)}
