"""Statistics of values of which some are unknown."""

from __future__ import annotations

import numpy as np

#: Fewest values that give a reliable median.
FEWEST = 3


def median(values: np.ndarray, axis: int) -> np.ndarray:
    """The median of the known values; NaN with fewer than three."""
    middle = quantile(values, 0.5, axis)
    return np.where((~np.isnan(values)).sum(axis) >= FEWEST, middle, np.nan)


def quantile(values: np.ndarray, level: float, axis: int) -> np.ndarray:
    """A quantile of the known values, without interpolation; NaN without any.

    Args:
        values: Numbers, some NaN.
        level: The quantile, from 0 to 1.
        axis: The axis to take it over.
    """
    values = np.moveaxis(values, axis, -1)
    count = (~np.isnan(values)).sum(-1)
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    # NaN is sorted to the end.
    at = np.minimum((level * count).astype(np.int64), np.maximum(count - 1, 0))
    found: np.ndarray = np.take_along_axis(np.sort(values, axis=-1), at[..., None], -1)[..., 0]
    return found


def maxima(values: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The maximum of ``values[first:end]`` for each pair; 0 where it is empty."""
    if not len(first):
        return np.zeros(0)
    bounds = np.stack([np.minimum(first, end), end], 1)
    # reduceat needs positions inside the array, and takes one value where a range is empty.
    found = np.maximum.reduceat(np.append(values, 0), bounds.reshape(-1))[::2]
    return np.where(first < end, found, 0)


def greater(left: tuple[np.ndarray, ...], right: tuple[np.ndarray, ...]) -> np.ndarray:
    """Lexicographic comparison of rows of keys."""
    greater = np.zeros(len(left[0]), dtype=bool)
    equal = np.ones(len(left[0]), dtype=bool)
    for a, b in zip(left, right, strict=True):
        greater |= equal & (a > b)
        equal &= a == b
    return greater
