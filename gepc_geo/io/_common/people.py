"""Values of pose estimators' files: what their readers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import FrameFiles
from gepc_geo.io._common.text import read_json
from gepc_geo.poses.schema import MAX_VALUE
from gepc_geo.poses.skeleton import SKELETONS, Skeleton

#: What most pose estimators' files mean by their number of joints.
COCO = {17: SKELETONS["coco17"], 18: SKELETONS["coco18"], 26: SKELETONS["halpe26"]}


def kind_of(value: Any) -> str:
    """What a value of JSON is, in words for errors: ``"an object"``."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value"}
    return "null" if value is None else names.get(type(value), "a number")


def lists_of(files: FrameFiles, kind: str) -> list[tuple[int, list[Any], Path]]:
    """Frame numbers, people and files of a clip whose frames are files of JSON, each a list.

    Raises:
        InputError: A file that holds no list; ``kind`` says what was expected.
    """
    frames = []
    for number, path in zip(files.frames, files.paths, strict=True):
        people = read_json(path, kind)
        if not isinstance(people, list):
            raise InputError(f"{path} holds {kind_of(people)}, expected {kind}")
        frames.append((number, people, path))
    return frames


def skeleton_of(
    joints: int | None, wanted: Skeleton | None, known: Mapping[int, Skeleton], path: Path
) -> Skeleton:
    """What names the joints of a file.

    Args:
        joints: Their number; ``None``: nobody is in the file.
        wanted: What the user names them by.
        known: What the format's files mean by a number of joints, the usual one first.
        path: The file, for errors.

    Raises:
        InputError: Nothing names that many joints.
    """
    if joints is None:
        return wanted or next(iter(known.values()))
    if wanted is not None and wanted.num_joints == joints:
        return wanted
    if joints in known:
        return known[joints]
    expected = (
        " or ".join(f"{number} ({skeleton.name})" for number, skeleton in known.items())
        + ", or a skeleton of that many (--skeleton)"
        if wanted is None
        else f"{wanted.num_joints} (skeleton {wanted.name!r})"
    )
    raise InputError(f"{path} has poses of {joints} joints, expected {expected}")


def joints_of(poses: Sequence[Any], source: Path | Sequence[Path]) -> int | None:
    """The number of joints of all poses; ``None`` where there are none.

    Args:
        poses: The poses.
        source: Their file, or the file of each.

    Raises:
        InputError: Poses of different numbers.
    """
    for i, pose in enumerate(poses):
        if len(pose) != len(poses[0]):
            path, first = (source, source) if isinstance(source, Path) else (source[i], source[0])
            where = "" if path == first else f" in {first}"
            raise InputError(
                f"{path} has a pose of {len(pose)} joints, expected {len(poses[0])} as in the poses "
                f"before{where}"
            )
    return len(poses[0]) if poses else None


def pose_array(poses: Sequence[Any], path: Path) -> np.ndarray:
    """Flat lists of x, y, score of each joint as :math:`[F, V, 3]` float64.

    Raises:
        InputError: No lists of numbers, of different lengths, NaN or infinite ones.
    """
    for pose in poses:
        if isinstance(pose, list) and pose and isinstance(pose[0], list):
            raise InputError(
                f"{path} has lists within its key points, expected one list of x, y, score of each "
                "joint"
            )
        if not isinstance(pose, list) or not pose or len(pose) % 3:
            found = f"{len(pose)} values" if isinstance(pose, list) else kind_of(pose)
            raise InputError(f"{path} has {found} as key points, expected 3 values for each joint")
    joints = joints_of([pose[::3] for pose in poses], path)
    return finite_array(poses, path).reshape(len(poses), joints or 0, 3)


def finite_array(values: Any, path: Path) -> np.ndarray:
    """Nested lists of numbers as float64.

    Raises:
        InputError: Lists of different lengths, NaN, infinite or over 1e9, or anything but numbers.
    """
    try:
        array = np.array(values)
    except (TypeError, ValueError, OverflowError):
        array = np.array(None)
    if array.dtype.kind not in "iuf" and array.size:
        raise InputError(f"{path} has key points that are no numbers, expected numbers")
    array = array.astype(np.float64)
    # More than tracks may hold would overflow before they are made: people are tracked first.
    if not (np.abs(array) <= MAX_VALUE).all():
        raise InputError(
            f"{path} has a key point that is NaN or infinite, or over {MAX_VALUE:g}, "
            "expected finite numbers"
        )
    return array
