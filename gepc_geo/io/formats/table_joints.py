"""The columns of a skeleton's joints in a table of poses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gepc_geo.errors import InputError
from gepc_geo.io._common.joint_names import built_in_of, keys_of, listed, words_of
from gepc_geo.io._common.people import COCO
from gepc_geo.io.formats.table_header import Header, Joint, column_of_joints, number_of
from gepc_geo.poses.skeleton import SKELETONS, Skeleton

# Names of boxes.
_BOXES = ("bb", "bbox", "box", "boundingbox", "rect")
# Usual skeletons of joints without names, by number of joints.
_IN_2D = {**COCO, 25: SKELETONS["body25"], 33: SKELETONS["mediapipe33"]}
_IN_3D = {25: SKELETONS["ntu25"], 33: SKELETONS["mediapipe33"]}


@dataclass(frozen=True)
class Choice:
    """The columns of a skeleton's joints.

    Attributes:
        skeleton: Names the joints.
        joints: The columns of each joint.
        ignored: The table's names of other joints.
        guessed: Whether only the number of joints determines the skeleton.
    """

    skeleton: Skeleton
    joints: list[Joint]
    ignored: list[str]
    guessed: bool = False


def choose_joints(header: Header, wanted: Skeleton | None, path: Path) -> Choice:
    """Chooses a skeleton and its columns.

    Without ``wanted``, the largest built-in skeleton whose joints are all in the table is chosen,
    by name, or by number if joints have no names.

    Args:
        header: The header.
        wanted: The user's skeleton.
        path: The file, for errors.

    Raises:
        InputError: No skeleton, or a skeleton without all its joints in the table.
    """
    if not header.named and not header.numbered:
        column = column_of_joints(header.names)
        if column is not None:
            raise InputError(
                f"{path} must have a row for each person and frame, with columns such as nose_x "
                f"and nose_y, got a row for each joint (column {column!r:.60})"
            )
        raise InputError(
            f"{path} must have columns for x and y of joints, as in clip, person, frame, nose_x, "
            "nose_y, nose_confidence, got none"
        )
    if wanted is not None:
        found = _of_skeleton(header, wanted)
        if found is not None:
            return found
        # The caller adds the neck to 17 joints.
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
    ignored = [header.labels[key] for key in header.named if key not in used]
    return Choice(found.skeleton, found.joints, ignored, guessed)


# -- inner -----------------------------------------------------------------------------------------


def _of_skeleton(header: Header, skeleton: Skeleton) -> Choice | None:
    """The columns of all joints of a skeleton; ``None`` if one is missing."""
    keys = keys_of(skeleton)
    if len(set(keys)) == len(keys) and set(keys) <= set(header.named):
        return Choice(skeleton, [header.named[key] for key in keys], [])
    # Numbered joints of the skeleton may have any order.
    numbers = [number_of(words_of(joint)) for joint in skeleton.joints]
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
    """The error for a table without all joints of the wanted skeleton."""
    needed = f"{path} must have all joints of skeleton {wanted.name!r}"
    numbers = sorted(header.numbered)
    if not header.named:
        return (
            f"{needed} ({wanted.num_joints}), got {len(numbers)} joints numbered {numbers[0]} to "
            f"{numbers[-1]}"
        )
    keys = keys_of(wanted)
    missing = [
        joint for joint, key in zip(wanted.joints, keys, strict=True) if key not in header.named
    ]
    return f"{needed}, got no x and y of {listed(missing or wanted.joints)}"


def _unknown(header: Header, path: Path) -> str:
    """The error for a table without the joints of a built-in skeleton."""
    numbers = sorted(header.numbered)
    if not header.named:
        known = ", ".join(f"{number} ({one.name})" for number, one in _IN_2D.items())
        return (
            f"{path} must have {known} joints, or a skeleton of them (--skeleton), got "
            f"{len(numbers)} joints numbered {numbers[0]} to {numbers[-1]}"
        )
    names = listed([header.labels[key] for key in header.named])
    return (
        f"{path} must have all joints of a built-in skeleton, or a skeleton of its own "
        f"(--skeleton), got {names}"
    )
