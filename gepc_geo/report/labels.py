"""Places of labels beside boxes in a picture."""

from __future__ import annotations

import numpy as np


def place_labels(
    boxes: np.ndarray, sizes: np.ndarray, width: float, height: float, gap: float = 1.0
) -> np.ndarray:
    r"""Places one label beside each box, so that no label covers another.

    A label prefers the places around its own box that cover no other box. If other labels are at
    all of these, it takes the nearest free place of a grid, or, if the picture is full, the first.

    Args:
        boxes: Left, top, right and bottom of the boxes, :math:`[N, 4]`, the most important first.
        sizes: Width and height of the labels, :math:`[N, 2]`.
        width: Width of the picture.
        height: Height of the picture.
        gap: Least distance of two labels. (default: ``1.0``)

    Returns:
        Left and top of the labels, :math:`[N, 2]`.
    """
    placed = np.zeros((0, 4))
    for number, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        others = np.delete(boxes, number, axis=0)
        places = _within(_around(box, size, gap), size, width, height)
        free = places[_covered(places, size, placed, gap) == 0]
        if len(free):
            chosen = free[_covered(free, size, others, 0.0).argmin()]
        else:
            grid = _grid(size, width, height, gap)
            free = grid[_covered(grid, size, placed, gap) == 0]
            target = np.array([(box[0] + box[2]) / 2, box[1]])
            apart = np.linalg.norm(free + size / 2 - target, axis=1)
            chosen = free[apart.argmin()] if len(free) else places[0]
        placed = np.concatenate([placed, [[*chosen, *(chosen + size)]]])
    return placed[:, :2]


def _around(box: np.ndarray, size: np.ndarray, gap: float) -> np.ndarray:
    """Places above, below and on both sides of a box, best first."""
    left, top, right, bottom = box
    wide, high = size
    rows = [top - high - gap, bottom + gap]
    columns = [left, right - wide, (left + right - wide) / 2]
    beside = [(right + gap, top), (left - wide - gap, top)]
    beside += [(right + gap, bottom - high), (left - wide - gap, bottom - high)]
    return np.array([(x, y) for y in rows for x in columns] + beside)


def _grid(size: np.ndarray, width: float, height: float, gap: float) -> np.ndarray:
    """Places all over the picture, half a label apart across."""
    across = np.arange(0, max(width - size[0], 0) + 1, max(size[0] / 2, 1))
    down = np.arange(0, max(height - size[1], 0) + 1, max(size[1] + gap, 1))
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def _within(places: np.ndarray, size: np.ndarray, width: float, height: float) -> np.ndarray:
    """Moves places so that the label is in the picture."""
    return np.maximum(np.minimum(places, np.array([width, height]) - size), 0)


def _covered(places: np.ndarray, size: np.ndarray, areas: np.ndarray, gap: float) -> np.ndarray:
    """Area of each label at its place that some areas cover, [P]."""
    low = np.maximum(places[:, None] - gap, areas[None, :, :2])
    high = np.minimum(places[:, None] + size + gap, areas[None, :, 2:])
    covered: np.ndarray = np.maximum(high - low, 0).prod(2).sum(1)
    return covered
