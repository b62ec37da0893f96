"""Numbers as a page holds them: long series thinned on purpose, poses in 16 bits."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

# A pose's larger extent in steps: finer than a screen's pixels.
_STEPS = 4000
# What stands for a joint of somebody who is not in the frame.
_ABSENT = -32768


def thin(score: np.ndarray, most: int) -> np.ndarray:
    """Positions of a series to draw: the lowest and the highest value of even parts, and both ends.

    So the highest value of all is always among them, and no peak gets lower.

    Args:
        score: :math:`(N)`.
        most: Positions to keep, at most (at least 4).

    Returns:
        Rising positions.
    """
    count = len(score)
    if count <= most:
        return np.arange(count)
    parts = (most - 2) // 2
    border = np.linspace(0, count, parts + 1).astype(np.int64)
    # Padded with a value of its own, parts of unequal length become one table.
    place = border[:-1, None] + np.arange(int(np.diff(border).max()))
    place = np.minimum(place, border[1:, None] - 1)
    table = score[place]
    rows = np.arange(parts)
    ends = np.array([0, count - 1])
    return np.unique(
        np.concatenate([ends, place[rows, table.argmin(1)], place[rows, table.argmax(1)]])
    )


def join_near(spans: np.ndarray, gap: int) -> np.ndarray:
    """Rising spans (start, end), those of fewer than ``gap`` frames between them as one."""
    if not len(spans):
        return spans
    new = np.concatenate([[True], spans[1:, 0] - spans[:-1, 1] >= gap])
    first = np.flatnonzero(new)
    return np.stack([spans[first, 0], spans[np.append(first[1:], len(spans)) - 1, 1]], axis=1)


def evenly(count: int, most: int) -> np.ndarray:
    """At most ``most`` of ``count`` positions, evenly chosen, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def pack(array: np.ndarray) -> str:
    """Numbers as base64 text: little-endian float32, or int16 where they are."""
    kind = "<i2" if array.dtype.kind == "i" else "<f4"
    return base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode("ascii")


def pack_poses(plane: np.ndarray, seen: np.ndarray, present: np.ndarray) -> dict[str, Any]:
    r"""Moving poses as text, in steps of a 4000th of their larger extent.

    Args:
        plane: :math:`[P, T, V, 2]`, to the right and downwards.
        seen: :math:`[P, T, V]` bool, whether a joint was seen or only filled in; a joint that was
            not has its first number negative (less one).
        present: :math:`[P, T]` bool, whether the person is in the frame at all.

    Returns:
        ``shape`` :math:`[P, T, V]`, ``width`` and ``height`` in steps, and ``xy``.
    """
    shape = list(plane.shape[:3])
    known = plane[present]
    if not len(known):
        return {"shape": shape, "width": 0, "height": 0, "xy": pack(np.zeros(0, np.int16))}
    low, high = known.min((0, 1)), known.max((0, 1))
    extent = max(float((high - low).max()), 1e-9)
    steps = np.zeros(plane.shape, dtype=np.int64)
    steps[present] = np.rint((known - low) / extent * _STEPS)
    steps[..., 0] = np.where(seen, steps[..., 0], -1 - steps[..., 0])
    steps[~present] = _ABSENT
    width, height = np.rint((high - low) / extent * _STEPS).astype(int).tolist()
    return {"shape": shape, "width": width, "height": height, "xy": pack(steps)}
