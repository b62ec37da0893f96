"""Penn Action label files (Zhang et al., ICCV 2013): MATLAB, one clip of one person a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips
from gepc_geo.io._common.matlab import read_matlab
from gepc_geo.io._common.text import head
from gepc_geo.poses.tracks import PoseTracks

# Joints without annotation are at (1, 1), within a pixel.
_PLACEHOLDER = 2.0
_KEYS = ("action", "x", "y", "visibility", "dimensions", "train")


def detect(path: Path) -> bool:
    """Whether a file is a MATLAB file of version 5."""
    return head(path, 64).startswith("MATLAB 5.0")


def read_penn_action(path: Path) -> Clips:
    """Reads one clip: 13 joints, visibility as confidence, class, split and image size.

    Args:
        path: The file.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    content = read_matlab(path, _KEYS, "a Penn Action label file")
    missing = [name for name in _KEYS if name not in content]
    if missing:
        raise InputError(f"{path} must be a Penn Action label file, got no {missing[0]!r}")
    x, y, visibility = (_numbers(content[name], path, name) for name in ("x", "y", "visibility"))
    if x.ndim != 2 or x.shape[1:] != (13,) or x.shape != y.shape or x.shape != visibility.shape:
        raise InputError(
            f"{path}: x, y and visibility must be frames by 13 joints, got {list(x.shape)}, "
            f"{list(y.shape)} and {list(visibility.shape)}"
        )
    size = _numbers(content["dimensions"], path, "dimensions").ravel()
    train = _numbers(content["train"], path, "train").ravel()
    if len(size) < 2:
        raise InputError(f"{path}: dimensions must be height and width, got {size.tolist()}")
    if train.tolist() not in ([1], [-1]):
        raise InputError(f"{path}: train must be 1 or -1, got {train.tolist()[:4]}")
    keypoints = np.stack([x, y], axis=2)
    placeholder = (np.abs(keypoints) < _PLACEHOLDER).all(-1)
    confidence = ((visibility > 0) & ~placeholder).astype(np.float32)
    action = content["action"]
    if not isinstance(action, str):
        raise InputError(f"{path}: action must be text, got {type(action).__name__}")
    frames = len(x)
    tracks = PoseTracks.build(
        # NaN at a visible joint remains, to be refused; a missing joint has no position.
        np.where(confidence[..., None] > 0, keypoints, 0),
        confidence,
        np.arange(frames),
        np.zeros(frames, dtype=np.int64),
        np.zeros(frames, dtype=np.int64),
        "penn13",
        [path.stem],
        clip_length=[frames],
        image_size=[[size[1], size[0]]],
        clip_label=[action],
        clip_split=["train" if train[0] == 1 else "test"],
        origin=str(path),
    )
    return Clips(tracks, [(path.stem,)])


def _numbers(value: Any, path: Path, name: str) -> np.ndarray:
    try:
        return np.asarray(value).astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {name} must be an array of numbers, got {value!r:.40}") from None
