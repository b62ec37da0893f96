"""The arrays of a data set of poses: types, dimensions and limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from gepc_geo.errors import InputError

#: The longest clip, in frames (46 days at 25 a second). Larger frame numbers are time stamps or
#: damage, and would only surface as exhausted memory.
MAX_FRAMES = 100_000_000

#: The largest coordinate (of a joint that was seen) or feature, either way: far outside of any image
#: or room, and small enough that what is computed of it stays finite in single precision.
MAX_VALUE = 1e9

# Every array of the file: its number of dimensions and its type.
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
    ndim, dtype = ARRAYS[name]
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biuf":
            raise ValueError("not numbers")
        # Values too large become infinite, and are refused as such.
        with np.errstate(invalid="ignore", over="ignore"):
            array: np.ndarray = raw.astype(dtype, copy=False)
        if array is not raw and array.dtype.kind == "i" and not np.array_equal(array, raw):
            raise ValueError("not whole numbers")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{origin}: {name} is not an array of {dtype.__name__}: {_line(error)}"
        ) from None
    if array.size == 0 and array.ndim < ndim:
        array = array.reshape((0,) * ndim)
    if array.ndim != ndim:
        raise InputError(f"{origin}: {name} has {array.ndim} dimensions, expected {ndim}")
    return array


def _line(error: BaseException) -> str:
    """The first line of an error's text, for one-sentence messages."""
    return (str(error).splitlines() or [type(error).__name__])[0]
