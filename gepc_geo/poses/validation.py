"""Whether the arrays of a data set of poses fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import MAX_FRAMES, MAX_VALUE, STRINGS

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks


def check(tracks: PoseTracks, origin: str) -> None:
    """Raises an InputError for the first thing that does not fit."""
    count, rows, joints = tracks.num_clips, tracks.num_frames, tracks.num_joints
    dims = tracks.keypoints.shape[-1]
    if tracks.keypoints.shape[1] != joints:
        raise InputError(
            f"{origin} has {tracks.keypoints.shape[1]} joints, expected {joints} "
            f"(skeleton {tracks.skeleton.name!r})"
        )
    if dims not in (2, 3):
        raise InputError(f"{origin} has {dims} coordinates a joint, expected 2 or 3")
    expected: dict[str, tuple[int, ...]] = {
        "keypoints": (rows, joints, dims),
        "confidence": (rows, joints),
        "track": (rows,),
        "clip": (rows,),
        "clip_length": (count,),
        "image_size": (count, 2),
        "fps": (count,),
    }
    if tracks.features is not None:
        expected["features"] = (rows, joints, tracks.features.shape[-1])
    for name, shape in expected.items():
        if getattr(tracks, name).shape != shape:
            raise InputError(
                f"{origin}: {name} has shape {list(getattr(tracks, name).shape)}, "
                f"expected {list(shape)}"
            )
    for name in STRINGS:
        if len(getattr(tracks, name)) != count:
            raise InputError(
                f"{origin}: {name} has {len(getattr(tracks, name))} entries, expected {count}"
            )
    if len(set(tracks.clip_names)) != count:
        twice = next(n for n in tracks.clip_names if tracks.clip_names.count(n) > 1)
        raise InputError(f"{origin} has two clips named {twice!r}, expected different names")
    for name in ("keypoints", "features"):
        array = getattr(tracks, name)
        # Nearly always the extremes say that all is well, without arrays of the same size.
        if array is None or _within(array, -MAX_VALUE, MAX_VALUE):
            continue
        if not np.isfinite(array).all():
            row, joint = np.argwhere(~np.isfinite(array))[0][:2]
            where = f"joint {tracks.skeleton.joints[joint]} of row {row}"
            raise InputError(
                f"{origin} has a {name} value that is NaN or infinite ({where}), "
                "expected finite numbers (confidence 0 marks a missing joint)"
            )
        # The coordinates of a joint that was not seen mean nothing, and are not used.
        seen = tracks.confidence > 0 if name == "keypoints" else np.ones((rows, joints), bool)
        if (np.abs(array[seen]) > MAX_VALUE).any():
            row, joint, _ = np.argwhere((np.abs(array) > MAX_VALUE) & seen[..., None])[0]
            worst = array[row, joint][np.abs(array[row, joint]).argmax()]
            raise InputError(
                f"{origin} has a {name} value of {worst:g} (joint "
                f"{tracks.skeleton.joints[joint]} of row {row}), "
                f"expected -{MAX_VALUE:g} to {MAX_VALUE:g}"
            )
    if not _within(tracks.confidence, 0, 1):
        bad = tracks.confidence[~((tracks.confidence >= 0) & (tracks.confidence <= 1))][0]
        raise InputError(f"{origin} has confidence {bad}, expected 0 to 1")
    if rows and not (tracks.clip.min() >= 0 and tracks.clip.max() < count):
        bad = tracks.clip.min() if tracks.clip.min() < 0 else tracks.clip.max()
        raise InputError(f"{origin} has a row of clip {bad}, expected 0 to {count - 1}")
    longest = max(tracks.clip_length.max(initial=0) - 1, tracks.frame.max(initial=0))
    if longest >= MAX_FRAMES:
        raise InputError(f"{origin} has frame number {longest}, expected less than {MAX_FRAMES}")
    if (tracks.clip_length < 0).any():
        raise InputError(
            f"{origin} has a clip of {tracks.clip_length.min()} frames, expected 0 or more"
        )
    outside = (tracks.frame < 0) | (tracks.frame >= tracks.clip_length[tracks.clip])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"{origin}: clip {tracks.clip_names[tracks.clip[row]]!r} has frame number "
            f"{tracks.frame[row]}, expected 0 to {tracks.clip_length[tracks.clip[row]] - 1}"
        )
    for name in ("fps", "image_size"):
        array = getattr(tracks, name)
        wrong = array[(array <= 0) | np.isinf(array)]
        if wrong.size:
            raise InputError(f"{origin} has {name} {wrong[0]}, expected more than 0 and finite")
    if tracks.frame_labels is not None:
        total = int(tracks.clip_length.sum())
        if tracks.frame_labels.shape != (total,):
            raise InputError(
                f"{origin} has {len(tracks.frame_labels)} frame labels, expected {total}"
            )
        if not _within(tracks.frame_labels, -1, 1):
            raise InputError(f"{origin} has frame labels other than 1, 0 and -1 (unknown)")


def _within(array: np.ndarray, low: float, high: float) -> bool:
    """Whether no value is NaN or lies outside of ``low`` to ``high``."""
    return not array.size or bool(low <= array.min() and array.max() <= high)


def is_sorted(tracks: PoseTracks) -> bool:
    """Whether every row comes after the one before it, by clip, track and frame; no two are equal."""
    after = np.zeros(max(tracks.num_frames - 1, 0), dtype=bool)
    for name in ("frame", "track", "clip"):
        one, other = getattr(tracks, name)[:-1], getattr(tracks, name)[1:]
        after = (one < other) | ((one == other) & after)
    return bool(after.all())


def refuse_duplicates(tracks: PoseTracks, origin: str) -> None:
    """Raises an InputError where a person stands twice in a frame of (sorted) tracks."""
    same = (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0) & (np.diff(tracks.frame) == 0)
    if same.any():
        row = int(np.flatnonzero(same)[0])
        raise InputError(
            f"{origin}: clip {tracks.clip_names[tracks.clip[row]]!r} has person "
            f"{tracks.track[row]} twice in frame {tracks.frame[row]}, expected once"
        )
