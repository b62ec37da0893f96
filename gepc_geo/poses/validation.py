"""Checks that the arrays of a data set of poses agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import MAX_FRAMES, MAX_VALUE, STRINGS

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks


def check(tracks: PoseTracks, origin: str) -> None:
    """Raises an InputError at the first contradiction; ``origin`` is named first."""
    count, rows, joints = tracks.num_clips, tracks.num_frames, tracks.num_joints
    dims = tracks.keypoints.shape[-1]
    if tracks.keypoints.shape[1] != joints:
        raise InputError(
            f"{origin} must have {joints} joints (skeleton {tracks.skeleton.name!r}), "
            f"got {tracks.keypoints.shape[1]}"
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
    if tracks.features is not None:
        shapes["features"] = (rows, joints, tracks.features.shape[-1])
    for name, shape in shapes.items():
        if getattr(tracks, name).shape != shape:
            raise InputError(
                f"{origin}: {name} must have shape {list(shape)}, "
                f"got {list(getattr(tracks, name).shape)}"
            )
    for name in STRINGS:
        if len(getattr(tracks, name)) != count:
            raise InputError(
                f"{origin}: {name} must have {count} entries, got {len(getattr(tracks, name))}"
            )
    if len(set(tracks.clip_names)) != count:
        repeated = next(n for n in tracks.clip_names if tracks.clip_names.count(n) > 1)
        raise InputError(f"{origin} must have different clip names, got {repeated!r} twice")
    for name in ("keypoints", "features"):
        array = getattr(tracks, name)
        # The extremes suffice for valid arrays, without a temporary array of the same size.
        if array is None or _within(array, -MAX_VALUE, MAX_VALUE):
            continue
        if not np.isfinite(array).all():
            row, joint = np.argwhere(~np.isfinite(array))[0][:2]
            where = f"joint {tracks.skeleton.joints[joint]} of row {row}"
            raise InputError(
                f"{origin}: {name} must be finite (confidence 0 marks a missing joint), got NaN or "
                f"infinity ({where})"
            )
        # Coordinates of joints that are not seen are undefined.
        seen = tracks.confidence > 0 if name == "keypoints" else np.ones((rows, joints), bool)
        if (np.abs(array[seen]) > MAX_VALUE).any():
            row, joint, _ = np.argwhere((np.abs(array) > MAX_VALUE) & seen[..., None])[0]
            worst = array[row, joint][np.abs(array[row, joint]).argmax()]
            raise InputError(
                f"{origin}: {name} must be from -{MAX_VALUE:g} to {MAX_VALUE:g}, got {worst:g} "
                f"(joint {tracks.skeleton.joints[joint]} of row {row})"
            )
    if not _within(tracks.confidence, 0, 1):
        bad = tracks.confidence[~((tracks.confidence >= 0) & (tracks.confidence <= 1))][0]
        raise InputError(f"{origin}: confidence must be from 0 to 1, got {bad}")
    if rows and not (tracks.clip.min() >= 0 and tracks.clip.max() < count):
        bad = tracks.clip.min() if tracks.clip.min() < 0 else tracks.clip.max()
        raise InputError(f"{origin}: clip must be from 0 to {count - 1}, got {bad}")
    longest = max(tracks.clip_length.max(initial=0) - 1, tracks.frame.max(initial=0))
    if longest >= MAX_FRAMES:
        raise InputError(f"{origin}: frame number must be less than {MAX_FRAMES}, got {longest}")
    if (tracks.clip_length < 0).any():
        raise InputError(
            f"{origin}: clip_length must be 0 or more frames, got {tracks.clip_length.min()}"
        )
    outside = (tracks.frame < 0) | (tracks.frame >= tracks.clip_length[tracks.clip])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"{origin}: frame number of clip {tracks.clip_names[tracks.clip[row]]!r} must be from "
            f"0 to {tracks.clip_length[tracks.clip[row]] - 1}, got {tracks.frame[row]}"
        )
    for name in ("fps", "image_size"):
        array = getattr(tracks, name)
        wrong = array[(array <= 0) | np.isinf(array)]
        if wrong.size:
            raise InputError(f"{origin}: {name} must be finite and more than 0, got {wrong[0]}")
    if tracks.frame_labels is not None:
        total = int(tracks.clip_length.sum())
        if tracks.frame_labels.shape != (total,):
            raise InputError(
                f"{origin}: frame_labels must have {total} entries, got {len(tracks.frame_labels)}"
            )
        if not _within(tracks.frame_labels, -1, 1):
            wrong = tracks.frame_labels[~np.isin(tracks.frame_labels, (-1, 0, 1))]
            raise InputError(f"{origin}: frame_labels must be 1, 0 or -1 (unknown), got {wrong[0]}")


def _within(array: np.ndarray, low: float, high: float) -> bool:
    """Whether all values lie from ``low`` to ``high``; NaN does not."""
    return not array.size or bool(low <= array.min() and array.max() <= high)


def is_sorted(tracks: PoseTracks) -> bool:
    """Whether rows are unique and sorted by clip, track and frame."""
    after = np.zeros(max(tracks.num_frames - 1, 0), dtype=bool)
    for name in ("frame", "track", "clip"):
        earlier, later = getattr(tracks, name)[:-1], getattr(tracks, name)[1:]
        after = (earlier < later) | ((earlier == later) & after)
    return bool(after.all())


def refuse_duplicates(tracks: PoseTracks, origin: str) -> None:
    """Raises an InputError if a person has two rows in a frame; rows must be sorted."""
    same = (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0) & (np.diff(tracks.frame) == 0)
    if same.any():
        row = int(np.flatnonzero(same)[0])
        raise InputError(
            f"{origin}: a person must have one row a frame, got two of person {tracks.track[row]} "
            f"in frame {tracks.frame[row]} of clip {tracks.clip_names[tracks.clip[row]]!r}"
        )
