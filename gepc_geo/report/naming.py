"""Names of action words, from simple measures of their windows."""

from __future__ import annotations

import numpy as np

from gepc_geo.report.scenes import PlacedWindows

# Speeds in body heights a second: people walk at about 0.8 and run above 1.4.
_STILL, _SLOW, _FAST = 0.15, 0.5, 1.4
# Frames a second of clips without a known rate; their names do not tell the speed.
_RATE = 24.0


def name_windows(placed: PlacedWindows, index: np.ndarray) -> str:
    """Names what most of some windows show: direction, speed and posture.

    Args:
        placed: Windows of one length.
        index: Positions of the windows to name.

    Returns:
        For instance ``"walks left, slow"``; ``""`` without windows.
    """
    if not len(index):
        return ""
    windows = placed.windows
    rows = windows.rows(index)
    low, high = placed.plane[rows].min(2), placed.plane[rows].max(2)
    width, height = np.moveaxis(np.median(high - low, axis=1), -1, 0)
    # A person who lies is not as high as one who stands.
    size = np.maximum(np.maximum(width, height), 1e-9)
    fps = windows.table.source.fps[windows.clip[index]].astype(np.float64)
    known = bool((fps > 0).all())
    seconds = (rows.shape[1] - 1) / np.where(fps > 0, fps, _RATE)
    centre = placed.plane[rows].mean(2)
    moved = (centre[:, -1] - centre[:, 0]) / size[:, None] / np.maximum(seconds, 1e-9)[:, None]
    speed = float(np.median(np.linalg.norm(moved, axis=1)))
    words = [_movement(np.median(moved, axis=0), speed, windows.table.source.dims, known)]
    if known and _STILL <= speed < _SLOW:
        words.append("slow")
    elif known and speed >= _FAST:
        words.append("fast")
    if np.median(width / np.maximum(height, 1e-9)) > 1:
        words.append("low posture")
    return ", ".join(words)


def _movement(mean: np.ndarray, speed: float, dims: int, known: bool) -> str:
    """Verb and direction of a mean velocity, in body heights a second, to the right and down."""
    if speed < _STILL:
        return "stays in place"
    verb = "walks" if known and speed < _FAST else "moves"
    if np.linalg.norm(mean) < speed / 2:
        return f"{verb} in several directions"
    if abs(mean[0]) >= abs(mean[1]):
        return f"{verb} {'right' if mean[0] > 0 else 'left'}"
    if dims == 3:
        return f"moves {'down' if mean[1] > 0 else 'up'}"
    return f"{verb} {'down' if mean[1] > 0 else 'up'} the picture"
