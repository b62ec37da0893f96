"""Checks that the arrays of a data set of poses agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import MAX_FRAMES, MAX_VALUE, STRINGS


def check(fields: Mapping[str, Any], origin: str) -> None:
    """Raises an InputError at the first contradiction; ``origin`` is named first.

    Args:
        fields: Attributes of :class:`~gepc_geo.poses.tracks.PoseTracks` by name.
        origin: Name of the data.
    """
    _check_shapes(fields, origin)
    for name in ("keypoints", "features"):
        if fields[name] is not None:
            _check_coordinates(fields, name, origin)
    confidence = fields["confidence"]
    if not _within(confidence, 0, 1):
        bad = confidence[~((confidence >= 0) & (confidence <= 1))][0]
        raise InputError(f"{origin}: confidence must be from 0 to 1, got {bad}")
    _check_frames(fields, origin)
    for name in ("fps", "image_size"):
        array = fields[name]
        wrong = array[(array <= 0) | np.isinf(array)]
        if wrong.size:
            raise InputError(f"{origin}: {name} must be finite and more than 0, got {wrong[0]}")
    labels = fields["frame_labels"]
    if labels is not None:
        total = int(fields["clip_length"].sum())
        if labels.shape != (total,):
            raise InputError(f"{origin}: frame_labels must have {total} entries, got {len(labels)}")
        if not _within(labels, -1, 1):
            wrong = labels[~np.isin(labels, (-1, 0, 1))]
            raise InputError(f"{origin}: frame_labels must be 1, 0 or -1 (unknown), got {wrong[0]}")


def _check_shapes(fields: Mapping[str, Any], origin: str) -> None:
    """Checks numbers of joints, rows and clips, and that names of clips differ."""
    skeleton, keypoints, names = fields["skeleton"], fields["keypoints"], fields["clip_names"]
    count, rows, joints = len(names), len(fields["frame"]), skeleton.num_joints
    dims = keypoints.shape[-1]
    if keypoints.shape[1] != joints:
        raise InputError(
            f"{origin} must have {joints} joints (skeleton {skeleton.name!r}), "
            f"got {keypoints.shape[1]}"
        )
    if dims not in (2, 3):
        raise InputError(f"{origin} must have 2 or 3 coordinates a joint, got {dims}")
    shapes: dict[str, tuple[int, ...]] = {
        "keypoints": (rows, joints, dims),
        "confidence": (rows, joints),
        "track": (rows,),
        "clip": (rows,),
        "clip_length": (count,),
        "image_size": (count, 2),
        "fps": (count,),
    }
    if fields["features"] is not None:
        shapes["features"] = (rows, joints, fields["features"].shape[-1])
    for name, shape in shapes.items():
        if fields[name].shape != shape:
            raise InputError(
                f"{origin}: {name} must have shape {list(shape)}, got {list(fields[name].shape)}"
            )
    for name in STRINGS:
        if len(fields[name]) != count:
            raise InputError(f"{origin}: {name} must have {count} entries, got {len(fields[name])}")
    if len(set(names)) != count:
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{origin} must have different clip names, got {repeated!r} twice")


def _check_coordinates(fields: Mapping[str, Any], name: str, origin: str) -> None:
    """Checks that key points or features are finite, and not too large where they are defined."""
    array, joints = fields[name], fields["skeleton"].joints
    # The extremes suffice for valid arrays, without a temporary array of the same size.
    if _within(array, -MAX_VALUE, MAX_VALUE):
        return
    if not np.isfinite(array).all():
        row, joint = np.argwhere(~np.isfinite(array))[0][:2]
        raise InputError(
            f"{origin}: {name} must be finite (confidence 0 marks a missing joint), got NaN or "
            f"infinity (joint {joints[joint]} of row {row})"
        )
    # Coordinates of joints that are not seen are undefined.
    seen = fields["confidence"] > 0 if name == "keypoints" else np.ones(array.shape[:2], bool)
    if (np.abs(array[seen]) > MAX_VALUE).any():
        row, joint, _ = np.argwhere((np.abs(array) > MAX_VALUE) & seen[..., None])[0]
        worst = array[row, joint][np.abs(array[row, joint]).argmax()]
        raise InputError(
            f"{origin}: {name} must be from -{MAX_VALUE:g} to {MAX_VALUE:g}, got {worst:g} "
            f"(joint {joints[joint]} of row {row})"
        )


def _check_frames(fields: Mapping[str, Any], origin: str) -> None:
    """Checks that each row is of a clip, and of a frame of that clip."""
    clip, frame, length = fields["clip"], fields["frame"], fields["clip_length"]
    count = len(length)
    if len(clip) and not (clip.min() >= 0 and clip.max() < count):
        bad = clip.min() if clip.min() < 0 else clip.max()
        raise InputError(f"{origin}: clip must be from 0 to {count - 1}, got {bad}")
    longest = max(length.max(initial=0) - 1, frame.max(initial=0))
    if longest >= MAX_FRAMES:
        raise InputError(f"{origin}: frame number must be less than {MAX_FRAMES}, got {longest}")
    if (length < 0).any():
        raise InputError(f"{origin}: clip_length must be 0 or more frames, got {length.min()}")
    outside = frame < 0 if (frame < 0).any() else frame >= length[clip]
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        allowed = "0 or more" if frame[row] < 0 else f"from 0 to {length[clip[row]] - 1}"
        raise InputError(
            f"{origin}: frame number of clip {fields['clip_names'][clip[row]]!r} must be "
            f"{allowed}, got {frame[row]}"
        )


def _within(array: np.ndarray, low: float, high: float) -> bool:
    """Whether all values lie from ``low`` to ``high``; NaN does not."""
    return not array.size or bool(low <= array.min() and array.max() <= high)


def is_sorted(clip: np.ndarray, track: np.ndarray, frame: np.ndarray) -> bool:
    """Whether rows are unique and sorted by clip, track and frame."""
    after = np.zeros(max(len(frame) - 1, 0), dtype=bool)
    for values in (frame, track, clip):
        earlier, later = values[:-1], values[1:]
        after = (earlier < later) | ((earlier == later) & after)
    return bool(after.all())


def refuse_duplicates(
    clip: np.ndarray,
    track: np.ndarray,
    frame: np.ndarray,
    clip_names: Sequence[str],
    origin: str,
) -> None:
    """Raises an InputError if a person has two rows in a frame; rows must be sorted."""
    same = (np.diff(clip) == 0) & (np.diff(track) == 0) & (np.diff(frame) == 0)
    if same.any():
        row = int(np.flatnonzero(same)[0])
        raise InputError(
            f"{origin}: a person must have one row a frame, got two of person {track[row]} "
            f"in frame {frame[row]} of clip {clip_names[clip[row]]!r}"
        )
