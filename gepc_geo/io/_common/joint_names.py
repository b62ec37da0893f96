"""Joints by name, however tools write it: ``LeftShoulder``, ``left shoulder``, ``l_shoulder``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from gepc_geo.poses.skeleton import SKELETONS, Skeleton

# LShoulder is L and Shoulder, noseX is nose and X, x1 is x and 1.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
#: What says nothing but that a joint follows.
GENERAL = ("joint", "joints", "keypoint", "keypoints", "kp", "kpt", "kps", "landmark", "pose")
_SIDES = {"l": "left", "r": "right"}
# lshoulder: what may stand behind the letter of a side.
_SIDED = frozenset(
    joint.split("_", 1)[1].replace("_", "")
    for skeleton in SKELETONS.values()
    for joint in skeleton.joints
    if joint.startswith(("left_", "right_"))
)


def listed(names: Sequence[str], most: int = 10) -> str:
    """Names for a sentence: the first of them, and how many more there are."""
    shown = ", ".join(f"{name:.30}" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def words_of(name: str) -> list[str]:
    """The words and numbers in a name, in lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def joint_key(words: Iterable[str]) -> str:
    """What all spellings of a joint's name have in common: the side, then the rest without gaps."""
    words = list(words)
    while len(words) > 1 and words[0] in GENERAL:
        del words[0]
    if len(words) > 1:
        words = [_SIDES.get(word, word) for word in words]
    name = "".join(words)
    for side in _SIDES.values():
        if name.startswith(side) or name.endswith(side):
            rest = name[len(side) :] if name.startswith(side) else name[: -len(side)]
            return side + rest
    if name[:1] in _SIDES and name[1:] in _SIDED:
        return _SIDES[name[0]] + name[1:]
    return name


def keys_of(skeleton: Skeleton) -> list[str]:
    """The key of each joint of a skeleton."""
    return [joint_key(words_of(joint)) for joint in skeleton.joints]


def built_in_of(keys: Collection[str]) -> Skeleton | None:
    """The largest built-in skeleton all of whose joints are among these; ``None``: there is none."""
    found = [one for one in SKELETONS.values() if set(keys_of(one)) <= set(keys)]
    return max(found, key=lambda one: one.num_joints, default=None)
