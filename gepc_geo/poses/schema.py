"""The arrays of a data set of poses: types, dimensions and limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from gepc_geo.errors import InputError

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


def _line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
