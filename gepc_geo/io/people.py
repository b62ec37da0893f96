"""From detected people to a clip: what the readers of pose estimators' output share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io.frames import frames_of
from gepc_geo.io.text import read_json
from gepc_geo.skeleton import SKELETONS, Skeleton
from gepc_geo.tracking import track_poses
from gepc_geo.tracks import MAX_VALUE, PoseTracks

#: What most pose estimators' files mean by their number of joints.
COCO = {17: SKELETONS["coco17"], 18: SKELETONS["coco18"], 26: SKELETONS["halpe26"]}

# Room for people who are numbered after all others.
_MOST = 2**62


def kind_of(value: Any) -> str:
    """What a value of JSON is, in words for errors: ``"an object"``."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value"}
    return "null" if value is None else names.get(type(value), "a number")


def lists_of(files: Sequence[Path], kind: str) -> list[tuple[int, list[Any], Path]]:
    """Frame numbers, people and files of a clip whose frames are files of JSON, each a list.

    Raises:
        InputError: A file that holds no list; ``kind`` says what was expected.
    """
    frames = []
    for number, path in zip(frames_of(files), files, strict=True):
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


def joints_of(poses: Sequence[Any], path: Path) -> int | None:
    """The number of joints of all poses; ``None`` where there are none.

    Raises:
        InputError: Poses of different numbers.
    """
    counts = sorted({len(pose) for pose in poses})
    if len(counts) > 1:
        raise InputError(
            f"{path} has poses of {counts[0]} and of {counts[-1]} joints, expected one number"
        )
    return counts[0] if counts else None


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


def build_clip(
    name: str,
    values: np.ndarray,
    frame: Sequence[int],
    person: Sequence[int | None],
    skeleton: Skeleton,
    path: Path,
    length: int | None = None,
    **clip: Any,
) -> PoseTracks:
    """One clip of detected people; those without an id get one.

    Joints at the origin, where estimators put what they did not find, are missing; people without
    any joint are left out. People without an id are tracked among themselves and numbered after
    all that have one.

    Args:
        name: The clip's name.
        values: :math:`[F, V, 3]`: x, y and score; scores above 1 are taken for 1.
        frame: Frame numbers.
        person: Person ids; ``None`` where there is none.
        skeleton: Names the joints.
        path: The file, for errors.
        length: Frames in the clip; ``None``: to the last with somebody in it.
        **clip: Further attributes of the clip (``image_size``, ``fps``, ...).

    Raises:
        InputError: What :meth:`PoseTracks.build` refuses.
    """
    values = values.reshape(len(frame), skeleton.num_joints, 3)
    confidence = np.clip(values[..., 2], 0, 1)
    confidence[(values[..., :2] == 0).all(-1)] = 0
    keypoints = np.where(confidence[..., None] > 0, values[..., :2], 0)
    found = (confidence > 0).any(-1)
    keypoints, confidence = keypoints[found], confidence[found]
    frames = np.array(frame, dtype=np.int64)[found]
    unnamed = np.array([one is None for one in person], dtype=bool)[found]
    track = np.array([one or 0 for one in person], dtype=np.int64)[found]
    if unnamed.any():
        last_id = int(track[~unnamed].max(initial=-1))
        if last_id >= _MOST:
            raise InputError(
                f"{path} has person {last_id} beside people without an id, who are numbered after "
                f"all others, expected ids below {_MOST}"
            )
        rows = (keypoints[unnamed], confidence[unnamed], frames[unnamed])
        track[unnamed] = max(last_id + 1, 0) + track_poses(*rows)
    # A length that the file claims never hides a person.
    last = int(frames.max(initial=-1)) + 1
    return PoseTracks.build(
        keypoints,
        confidence,
        frames,
        track,
        np.zeros(len(frames), dtype=np.int64),
        skeleton,
        [name],
        clip_length=[last if length is None else max(last, length)],
        origin=str(path),
        **clip,
    )
