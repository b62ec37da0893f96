"""Compact encodings of a page: thinned series, and poses in 16 bits."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

# Steps of the larger extent of a pose: finer than screen pixels.
_STEPS = 4000
# Code of the joints of a person who is not in the frame.
_ABSENT = -32768


def thin(score: np.ndarray, most: int) -> np.ndarray:
    """Positions of the lowest and highest value in each of many equal parts, and both ends.

    The drawn line keeps the heights of peaks. A part with NaN keeps a position of it, so that the
    line also keeps its gaps.

    Args:
        score: Series, :math:`(N)`; NaN where there is no value.
        most: Largest number of positions; at least 5.

    Returns:
        Rising positions.
    """
    count = len(score)
    if count <= most:
        return np.arange(count)
    gaps = np.isnan(score)
    parts = (most - 2) // (3 if gaps.any() else 2)
    border = np.linspace(0, count, parts + 1).astype(np.int64)
    # Shorter parts repeat their last position, so all parts form one table.
    index = border[:-1, None] + np.arange(int(np.diff(border).max()))
    index = np.minimum(index, border[1:, None] - 1)
    rows = np.arange(parts)
    chosen = [np.array([0, count - 1])]
    for table in (
        np.where(gaps, np.inf, score)[index],
        np.where(gaps, np.inf, -score)[index],
        np.where(gaps, 0.0, 1.0)[index],
    ):
        chosen.append(index[rows, table.argmin(1)])
    # Without gaps, the third table has no lowest value.
    return np.unique(np.concatenate(chosen if gaps.any() else chosen[:-1]))


def state_spans(state: np.ndarray, shown: Sequence[int], most: int) -> list[list[int]]:
    """Runs of frames with the same state.

    Of a long clip, equal parts of several frames have the largest state of their frames.

    Args:
        state: States, :math:`(N)`.
        shown: States whose runs are wanted.
        most: Largest number of parts.

    Returns:
        First frame, frame after the last, and state of each run, rising.
    """
    count = len(state)
    if not count:
        return []
    border = np.unique(np.linspace(0, count, min(count, most) + 1).astype(np.int64))
    part = np.maximum.reduceat(state, border[:-1])
    start = np.flatnonzero(np.diff(part, prepend=-1))
    first, end = border[start], border[np.append(start[1:], len(part))]
    spans = np.stack([first, end, part[start]], axis=1)
    chosen: list[list[int]] = spans[np.isin(part[start], list(shown))].tolist()
    return chosen


def merge_close(spans: np.ndarray, gap: int) -> np.ndarray:
    """Merges rising spans (start, end) with fewer than ``gap`` frames between them."""
    if not len(spans):
        return spans
    new = np.concatenate([[True], spans[1:, 0] - spans[:-1, 1] >= gap])
    first = np.flatnonzero(new)
    return np.stack([spans[first, 0], spans[np.append(first[1:], len(spans)) - 1, 1]], axis=1)


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """At most ``most`` of ``count`` positions, evenly spaced, including the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def pack(array: np.ndarray) -> str:
    """Encodes an array as base64 text: int16 for integers, else float32, little-endian."""
    kind = "<i2" if array.dtype.kind == "i" else "<f4"
    return base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode("ascii")


def pack_poses(plane: np.ndarray, seen: np.ndarray, present: np.ndarray) -> dict[str, Any]:
    r"""Encodes sequences of poses as text, in steps of a 4000th of their larger extent.

    Args:
        plane: Joints, :math:`[P, T, V, 2]`, to the right and downwards.
        seen: Whether each joint was detected, :math:`[P, T, V]` bool; the x of an undetected joint
            is encoded as -1 - x.
        present: Whether each person is in the frame, :math:`[P, T]` bool.

    Returns:
        ``shape`` :math:`[P, T, V]`, ``width`` and ``height`` in steps, ``xy``, and what turns steps
        back into the plane: ``origin``, the place of the step 0, and ``step``, the size of a step.
    """
    shape = list(plane.shape[:3])
    points = plane[present]
    if not len(points):
        empty: dict[str, Any] = {"width": 0, "height": 0, "xy": pack(np.zeros(0, np.int16))}
        return {"shape": shape, **empty, "origin": [0.0, 0.0], "step": 1.0}
    low, high = points.min((0, 1)), points.max((0, 1))
    extent = max(float((high - low).max()), 1e-9)
    steps = np.zeros(plane.shape, dtype=np.int64)
    steps[present] = np.rint((points - low) / extent * _STEPS)
    steps[..., 0] = np.where(seen, steps[..., 0], -1 - steps[..., 0])
    steps[~present] = _ABSENT
    width, height = np.rint((high - low) / extent * _STEPS).astype(int).tolist()
    return {
        "shape": shape,
        "width": width,
        "height": height,
        "xy": pack(steps),
        "origin": [float(f"{value:.7g}") for value in low],
        "step": float(f"{extent / _STEPS:.7g}"),
    }
