"""The header of a table of poses: what its columns are, and which of them are a skeleton's joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gepc_geo.errors import InputError
from gepc_geo.io.joint_names import GENERAL, built_in_of, joint_key, keys_of, words_of
from gepc_geo.io.people import COCO
from gepc_geo.skeleton import SKELETONS, Skeleton

#: More are no skeleton.
MAX_JOINTS = 1000

# Names of columns, without gaps; where several of a kind are there, the first of these counts.
_NAMES = {
    "clip": "clip clipname clipid video videoname videoid videopath file filename filepath sequence "
    "sequencename sequenceid seq seqid camera cameraname cameraid cam camid recording recordingid",
    "person": "person personid personidx personindex personnumber track trackid trackidx trackname "
    "trackingid individual individualid individuals animal animalid subject subjectid player playerid "
    "body bodyid instanceid objectid objid pid tid id",
    "frame": "frame frameidx frameid frameindex framenumber framenum frameno framenr framecount frames "
    "imageid imageidx image imagename imagepath imagefile img imgid imgname",
    "time": "time timestamp timestamps seconds times timesec timeseconds timestampsec t sec timems "
    "timestampms milliseconds ms timeus timestampus timens timestampns datetime",
    "score": "confidence conf score likelihood probability prob visibility visible vis accuracy accu "
    "c s v p",
}
_KEYS = {kind: tuple(names.split()) for kind, names in _NAMES.items()}
_SCORES = _KEYS.pop("score")
_COORDINATES = {"x": "x", "y": "y", "z": "z"} | dict.fromkeys(_SCORES, "score")
# What may stand behind a coordinate.
_UNITS = ("px", "pixel", "pixels", "pos", "position", "coord", "m", "mm", "cm", "norm")
# No joints.
_BOXES = ("bb", "bbox", "box", "boundingbox", "rect")
# What a numbered joint may be called.
_NUMBERED = {*GENERAL, "point", "pt", "marker", "node", "body", "part", "bodypart", "p", "j", "k"}
# Joints by their number alone, where one skeleton is usual.
_IN_2D = {**COCO, 25: SKELETONS["body25"], 33: SKELETONS["mediapipe33"]}
_IN_3D = {25: SKELETONS["ntu25"], 33: SKELETONS["mediapipe33"]}

# The columns of a joint's coordinates and score.
Joint = dict[str, int]


@dataclass(frozen=True)
class Header:
    """The columns of a table.

    Attributes:
        names: All names.
        clip: The columns that name the clip.
        person: The column of ids; ``None``: there is none.
        frame: That of frame numbers or of pictures' names.
        time: That of times.
        named: The joints by their keys (:func:`gepc_geo.io.joint_names.joint_key`).
        numbered: The joints by their numbers, where they have no names.
        labels: How the table calls each named joint.
    """

    names: list[str]
    clip: list[int]
    person: int | None
    frame: int | None
    time: int | None
    named: dict[str, Joint]
    numbered: dict[int, Joint]
    labels: dict[str, str]

    @property
    def keys(self) -> list[int]:
        """The columns of clips, people, frames and times."""
        return [
            *self.clip,
            *(one for one in (self.person, self.frame, self.time) if one is not None),
        ]

    @property
    def is_row_number(self) -> bool:
        """Whether the column of ids may be the number of the row."""
        return self.person is not None and self.names[self.person].lower() == "id"

    @property
    def from_zero(self) -> bool:
        """Whether the table is SLEAP's, which counts frames from 0."""
        return {"frame_idx", "instance.score"} <= set(self.names)


@dataclass(frozen=True)
class Choice:
    """The columns of a skeleton's joints.

    Attributes:
        skeleton: Names the joints.
        joints: The columns of each.
        left: The joints that are passed over, as the table calls them.
        guessed: Whether the skeleton is but the usual one of so many joints.
    """

    skeleton: Skeleton
    joints: list[Joint]
    left: list[str]
    guessed: bool = False


def is_header(names: Sequence[str]) -> bool:
    """Whether there are columns for x and y of a joint."""
    coordinates: dict[tuple[str, ...], set[str]] = {}
    for name in names:
        joint, coordinate = _split(name)
        coordinates.setdefault(joint, set()).add(coordinate)
    return any(joint and {"x", "y"} <= found for joint, found in coordinates.items())


def read_header(names: list[str], path: Path) -> Header:
    """What the columns are; those that are nothing of a pose are passed over.

    Raises:
        InputError: Two columns for one coordinate of a joint, too many joints.
    """
    glued = ["".join(words_of(name)) for name in names]

    def first(kind: str) -> int | None:
        return next((glued.index(one) for one in _KEYS[kind] if one in glued), None)

    keys = {name for known in _KEYS.values() for name in known}
    named: dict[str, Joint] = {}
    labels: dict[str, str] = {}
    families: dict[tuple[str, ...], dict[int, Joint]] = {}
    rank: dict[int, int] = {}
    for column, name in enumerate(names):
        words, coordinate = _split(name)
        if not words or glued[column] in keys:
            continue
        number = _number(words)
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
                f"{path} has the columns {names[joint[coordinate]]!r:.60} and {name!r:.60}, expected "
                f"one {coordinate} of each joint"
            )
        else:
            joint[coordinate] = column
    numbered = max(families.values(), key=lambda one: len(_placed(one)), default={})
    header = Header(
        names,
        [column for column, one in enumerate(glued) if one in _KEYS["clip"]],
        first("person"),
        first("frame"),
        first("time"),
        _placed(named),
        _placed(numbered),
        labels,
    )
    if max(len(header.named), len(header.numbered)) > MAX_JOINTS:
        raise InputError(
            f"{path} has {max(len(header.named), len(header.numbered))} joints, expected at most "
            f"{MAX_JOINTS}"
        )
    return header


def choose_joints(header: Header, wanted: Skeleton | None, path: Path) -> Choice:
    """The columns of a skeleton's joints: of the one that is wanted, else of the largest built-in one
    that the table has all joints of, by name or where they have none by number.

    Raises:
        InputError: No such skeleton, or not all joints of it.
    """
    if not header.named and not header.numbered:
        raise InputError(
            f"{path} has no columns for x and y of a joint, expected a header as in "
            "clip, person, frame, nose_x, nose_y, nose_confidence"
        )
    if wanted is not None:
        found = _of_skeleton(header, wanted)
        if found is not None:
            return found
        # The neck is added to these.
        if wanted != SKELETONS["coco18"]:
            raise InputError(_lacking(header, wanted, path))
    skeleton = built_in_of(header.named)
    guessed = skeleton is None
    if skeleton is None and header.numbered:
        solid = all("z" in joint for joint in header.numbered.values())
        skeleton = (_IN_3D if solid else _IN_2D).get(len(header.numbered))
    found = None if skeleton is None else _of_skeleton(header, skeleton)
    if found is None:
        raise InputError(_unknown(header, path))
    used = [*keys_of(found.skeleton), *_BOXES]
    left = [header.labels[key] for key in header.named if key not in used]
    return Choice(found.skeleton, found.joints, left, guessed)


# -- inner -----------------------------------------------------------------------------------------


def _split(name: str) -> tuple[tuple[str, ...], str]:
    """The words of the joint that a column is of, and the coordinate; empty: it is of none."""
    words = words_of(name)
    while len(words) > 2 and words[-1] in _UNITS and words[-2] in _COORDINATES:
        del words[-1]
    if len(words) > 1 and words[-1] in _COORDINATES:
        return tuple(words[:-1]), _COORDINATES[words[-1]]
    if len(words) > 1 and words[0] in _COORDINATES:
        return tuple(words[1:]), _COORDINATES[words[0]]
    return (), ""


def _number(words: Sequence[str]) -> int | None:
    """The number of a joint that has no name."""
    digits = [word for word in words if word.isdecimal()]
    general = _NUMBERED.issuperset(word for word in words if not word.isdecimal())
    return int(digits[0]) if len(digits) == 1 and len(digits[0]) < 10 and general else None


def _score_word(name: str) -> str:
    words = words_of(name)
    return words[-1] if words[-1] in _SCORES else words[0]


def _label(name: str) -> str:
    """How a column calls its joint."""
    return name[: len(name) - len(words_of(name)[-1])].rstrip(" ._-[(") or name


def _placed(joints: dict) -> dict:
    """Those that have a place."""
    return {key: joint for key, joint in joints.items() if {"x", "y"} <= set(joint)}


def _of_skeleton(header: Header, skeleton: Skeleton) -> Choice | None:
    """The columns of all joints of a skeleton, if they are there."""
    keys = keys_of(skeleton)
    if len(set(keys)) == len(keys) and set(keys) <= set(header.named):
        return Choice(skeleton, [header.named[key] for key in keys], [])
    # Joints of the skeleton that are numbers themselves need not be in the order of these.
    numbers = [_number(words_of(joint)) for joint in skeleton.joints]
    if None in numbers:
        numbers = [*sorted(header.numbered)]
        count = skeleton.num_joints
        if numbers not in (list(range(count)), list(range(1, count + 1))):
            return None
    if not set(numbers) <= set(header.numbered):
        return None
    return Choice(
        skeleton, [header.numbered[number] for number in numbers if number is not None], []
    )


def _lacking(header: Header, wanted: Skeleton, path: Path) -> str:
    """Why a table is not of the skeleton that is wanted."""
    expected = f"expected all joints of skeleton {wanted.name!r}"
    numbers = sorted(header.numbered)
    if not header.named:
        return (
            f"{path} has {len(numbers)} joints numbered {numbers[0]} to {numbers[-1]}, {expected} "
            f"({wanted.num_joints})"
        )
    keys = keys_of(wanted)
    lost = [
        joint for joint, key in zip(wanted.joints, keys, strict=True) if key not in header.named
    ]
    return f"{path} has no x and y of {', '.join(lost or wanted.joints):.120}, {expected}"


def _unknown(header: Header, path: Path) -> str:
    """Why no built-in skeleton is that of a table."""
    numbers = sorted(header.numbered)
    if not header.named:
        known = ", ".join(f"{number} ({one.name})" for number, one in _IN_2D.items())
        return (
            f"{path} has {len(numbers)} joints numbered {numbers[0]} to {numbers[-1]}, expected {known}, "
            "or a skeleton of them (--skeleton)"
        )
    names = ", ".join(header.labels[key] for key in header.named)
    return (
        f"{path} has the joints {names:.120} and so not all of any built-in skeleton, expected a "
        "skeleton of them (--skeleton)"
    )
