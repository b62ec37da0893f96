"""Which columns of a table of poses are the joints of a skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gepc_geo.errors import InputError
from gepc_geo.io._common.joint_names import built_in_of, keys_of, listed, words_of
from gepc_geo.io._common.people import COCO
from gepc_geo.io.formats.table_header import Header, Joint, column_of_joints, number_of
from gepc_geo.poses.skeleton import SKELETONS, Skeleton

# No joints.
_BOXES = ("bb", "bbox", "box", "boundingbox", "rect")
# Joints by their number alone, where one skeleton is usual.
_IN_2D = {**COCO, 25: SKELETONS["body25"], 33: SKELETONS["mediapipe33"]}
_IN_3D = {25: SKELETONS["ntu25"], 33: SKELETONS["mediapipe33"]}


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


def choose_joints(header: Header, wanted: Skeleton | None, path: Path) -> Choice:
    """The columns of a skeleton's joints: of the one that is wanted, else of the largest built-in one
    that the table has all joints of, by name or where they have none by number.

    Raises:
        InputError: No such skeleton, or not all joints of it.
    """
    if not header.named and not header.numbered:
        column = column_of_joints(header.names)
        if column is not None:
            raise InputError(
                f"{path} has a row for each joint, named in column {column!r:.60}, expected a row for each "
                "person and frame with columns such as nose_x and nose_y"
            )
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


def _of_skeleton(header: Header, skeleton: Skeleton) -> Choice | None:
    """The columns of all joints of a skeleton, if they are there."""
    keys = keys_of(skeleton)
    if len(set(keys)) == len(keys) and set(keys) <= set(header.named):
        return Choice(skeleton, [header.named[key] for key in keys], [])
    # Joints of the skeleton that are numbers themselves need not be in the order of these.
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
    return f"{path} has no x and y of {listed(lost or wanted.joints)}, {expected}"


def _unknown(header: Header, path: Path) -> str:
    """Why no built-in skeleton is that of a table."""
    numbers = sorted(header.numbered)
    if not header.named:
        known = ", ".join(f"{number} ({one.name})" for number, one in _IN_2D.items())
        return (
            f"{path} has {len(numbers)} joints numbered {numbers[0]} to {numbers[-1]}, expected {known}, "
            "or a skeleton of them (--skeleton)"
        )
    names = listed([header.labels[key] for key in header.named])
    return (
        f"{path} has the joints {names} and so not all of any built-in skeleton, expected a "
        "skeleton of them (--skeleton)"
    )
