"""Checks of values in pose estimators' files."""

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

#: The skeletons of most pose estimators' files, by number of joints.
COCO = {17: SKELETONS["coco17"], 18: SKELETONS["coco18"], 26: SKELETONS["halpe26"]}


def kind_of(value: Any) -> str:
    """The kind of a JSON value in words, for errors: ``"an object"``."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def no_number(values: Any) -> str:
    """The first value in nested lists that is no number, for errors."""
    # Not recursive, as lists may be nested deeply.
    rest = [values]
    while rest:
        value = rest.pop()
        if isinstance(value, (list, tuple)):
            rest += reversed(value)
        elif isinstance(value, str):
            return f"{value!r:.40}"
        elif type(value) not in (int, float):
            return kind_of(value)
    return "lists of unequal lengths, or numbers that are too large"


def lists_of(files: FrameFiles, kind: str) -> list[tuple[int, list[Any], Path]]:
    """Frame numbers, people and files of a clip with a JSON list in a file for each frame.

    Args:
        files: The files.
        kind: The kind of file, for errors.

    Raises:
        InputError: A file without a list.
    """
    frames = []
    for number, path in zip(files.frames, files.paths, strict=True):
        people = read_json(path, kind)
        if not isinstance(people, list):
            raise InputError(f"{path} must be {kind}, got {kind_of(people)}")
        frames.append((number, people, path))
    return frames


def skeleton_of(
    joints: int | None, wanted: Skeleton | None, known: Mapping[int, Skeleton], path: Path
) -> Skeleton:
    """The skeleton of a file.

    Args:
        joints: Number of joints; ``None`` without people.
        wanted: The user's skeleton.
        known: The format's skeletons by number of joints, the usual one first.
        path: The file, for errors.

    Raises:
        InputError: No skeleton has this number of joints.
    """
    if joints is None:
        return wanted or next(iter(known.values()))
    if wanted is not None and wanted.num_joints == joints:
        return wanted
    if joints in known:
        return known[joints]
    if wanted is not None:
        raise InputError(
            f"{path} must have poses of {wanted.num_joints} joints (skeleton {wanted.name!r}), "
            f"got {joints}"
        )
    numbers = " or ".join(f"{number} ({skeleton.name})" for number, skeleton in known.items())
    raise InputError(
        f"{path} must have poses of {numbers} joints, or a skeleton of them (--skeleton), "
        f"got {joints}"
    )


def joints_of(poses: Sequence[Any], source: Path | Sequence[Path]) -> int | None:
    """The number of joints of all poses; ``None`` without poses.

    Args:
        poses: The poses.
        source: The file, or the file of each pose.

    Raises:
        InputError: Different numbers of joints.
    """
    for i, pose in enumerate(poses):
        if len(pose) != len(poses[0]):
            path, first = (source, source) if isinstance(source, Path) else (source[i], source[0])
            where = "the poses before" if path == first else f"{first}"
            raise InputError(
                f"{path} must have poses of {len(poses[0])} joints as in {where}, got {len(pose)}"
            )
    return len(poses[0]) if poses else None


def pose_array(poses: Sequence[Any], path: Path) -> np.ndarray:
    """Converts flat lists of x, y, score of each joint to :math:`[F, V, 3]` float64.

    Raises:
        InputError: Anything but lists of finite numbers of one length.
    """
    for pose in poses:
        if isinstance(pose, list) and pose and isinstance(pose[0], list):
            raise InputError(
                f"{path}: key points must be one list of x, y, score of each joint, got lists in it"
            )
        if not isinstance(pose, list) or not pose or len(pose) % 3:
            found = f"{len(pose)} values" if isinstance(pose, list) else kind_of(pose)
            raise InputError(f"{path}: key points must be 3 values for each joint, got {found}")
    joints = joints_of([pose[::3] for pose in poses], path)
    return finite_array(poses, path).reshape(len(poses), joints or 0, 3)


def finite_array(values: Any, path: Path) -> np.ndarray:
    """Converts nested lists of numbers to float64.

    Raises:
        InputError: Lists of different lengths, values that are NaN, infinite, over 1e9 or no
            numbers.
    """
    try:
        array = np.array(values)
    except (TypeError, ValueError, OverflowError):
        array = np.array(None)
    if array.dtype.kind not in "iuf" and array.size:
        raise InputError(f"{path}: key points must be lists of numbers, got {no_number(values)}")
    array = array.astype(np.float64)
    # The tracker runs before PoseTracks checks the range, and larger values would overflow there.
    outside = array[~(np.abs(array) <= MAX_VALUE)]
    if outside.size:
        raise InputError(
            f"{path}: key points must be from -{MAX_VALUE:g} to {MAX_VALUE:g}, got {outside[0]:g}"
        )
    return array
