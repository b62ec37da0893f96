"""Joint names in the spellings of tools: ``LeftShoulder``, ``left shoulder``, ``l_shoulder``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from gepc_geo.poses.skeleton import SKELETONS, Skeleton

# LShoulder is L and Shoulder, noseX is nose and X, x1 is x and 1.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
#: Words that carry no information about a joint.
GENERAL = ("joint", "joints", "keypoint", "keypoints", "kp", "kpt", "kps", "landmark", "pose")
_SIDES = {"l": "left", "r": "right"}
# Words that may follow the letter of a side, as in lshoulder.
_SIDED = frozenset(
    joint.split("_", 1)[1].replace("_", "")
    for skeleton in SKELETONS.values()
    for joint in skeleton.joints
    if joint.startswith(("left_", "right_"))
)


def listed(names: Sequence[str], most: int = 10) -> str:
    """The first names, and the number of further ones, for a sentence."""
    shown = ", ".join(f"{name:.30}" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def words_of(name: str) -> list[str]:
    """The words and numbers in a name, in lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def joint_key(words: Iterable[str]) -> str:
    """A key that all spellings of a joint's name share: the side, then the rest without gaps."""
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
    """The largest built-in skeleton with all its joints among the keys; ``None`` without any."""
    found = [known for known in SKELETONS.values() if set(keys_of(known)) <= set(keys)]
    return max(found, key=lambda known: known.num_joints, default=None)
