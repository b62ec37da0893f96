"""The fields of a data set of poses: types, dimensions, limits and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton

#: The longest clip, in frames (46 days at 25 a second). A larger frame number is a time stamp or
#: damage, and would exhaust the memory.
MAX_FRAMES = 100_000_000

#: The largest magnitude of a seen joint's coordinate, or of a feature: far outside any image or
#: room, and small enough for single precision to stay finite.
MAX_VALUE = 1e9

# Number of dimensions and type of each array of the file.
ARRAYS: dict[str, tuple[int, type]] = {
    "keypoints": (3, np.float32),
    "confidence": (2, np.float32),
    "frame": (1, np.int64),
    "track": (1, np.int64),
    "clip": (1, np.int64),
    "features": (3, np.float32),
    "clip_length": (1, np.int64),
    "image_size": (2, np.float32),
    "fps": (1, np.float32),
    "frame_labels": (1, np.int8),
}
ROWS = ("keypoints", "confidence", "frame", "track", "clip", "features")
OPTIONAL = ("features", "frame_labels")
STRINGS = ("clip_names", "camera", "clip_label", "clip_split")


def as_array(value: Any, name: str, origin: str) -> np.ndarray:
    """Converts a value to the type and dimensions of an array of :data:`ARRAYS`.

    Args:
        value: The value.
        name: Name of the array.
        origin: Name of the data, for errors.

    Raises:
        InputError: Values or dimensions that do not fit.
    """
    ndim, dtype = ARRAYS[name]
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biuf":
            raise ValueError(raw.dtype.name)
        # Values out of range become infinite, which the checks refuse.
        with np.errstate(invalid="ignore", over="ignore"):
            array: np.ndarray = raw.astype(dtype, copy=False)
        if array is not raw and array.dtype.kind == "i" and not np.array_equal(array, raw):
            raise ValueError("fractions or values out of range")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{origin}: {name} must be an array of {dtype.__name__}, got {_line(error)}"
        ) from None
    if array.size == 0 and array.ndim < ndim:
        array = array.reshape((0,) * ndim)
    if array.ndim != ndim:
        raise InputError(f"{origin}: {name} must have {ndim} dimensions, got {array.ndim}")
    return array


def as_fields(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Converts all fields to their types; fills in defaults.

    Args:
        values: Arguments of :meth:`~gepc_geo.poses.tracks.PoseTracks.build` by name; ``None``
            stands for a default.
        origin: Name of the data, for errors.

    Raises:
        InputError: A skeleton that does not exist; values or dimensions that do not fit.
    """

    def array(name: str, default: Any = None) -> np.ndarray:
        return as_array(default if values[name] is None else values[name], name, origin)

    def texts(name: str) -> tuple[str, ...]:
        return ("",) * count if values[name] is None else tuple(map(str, values[name]))

    skeleton = Skeleton.get(values["skeleton"])
    names = tuple(map(str, values["clip_names"]))
    count = len(names)
    clip, frame = array("clip"), array("frame")
    lengths = _lengths(clip, frame, count) if values["clip_length"] is None else None
    return {
        "keypoints": array("keypoints"),
        "confidence": array("confidence"),
        "frame": frame,
        "track": array("track"),
        "clip": clip,
        "skeleton": skeleton,
        "clip_names": names,
        "clip_length": array("clip_length", lengths),
        "image_size": array("image_size", np.full((count, 2), np.nan)),
        "fps": array("fps", np.full(count, np.nan)),
        "camera": texts("camera"),
        "clip_label": texts("clip_label"),
        "clip_split": texts("clip_split"),
        "features": None if values["features"] is None else array("features"),
        "frame_labels": None if values["frame_labels"] is None else array("frame_labels"),
    }


def _lengths(clip: np.ndarray, frame: np.ndarray, count: int) -> np.ndarray:
    """One more than the last frame number of each clip; zeros for rows that the checks refuse."""
    lengths = np.zeros(count, dtype=np.int64)
    if len(clip) == len(frame) and len(clip) and clip.min() >= 0 and clip.max() < count:
        np.maximum.at(lengths, clip, frame + 1)
    return lengths


def _line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
