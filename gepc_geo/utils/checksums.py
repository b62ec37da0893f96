"""Checksums: whether data are the same, without keeping them."""

from __future__ import annotations

import zlib

import numpy as np

from gepc_geo.windows.dataset import PoseWindows


def checksum(*arrays: np.ndarray) -> int:
    """A checksum of all values of some arrays."""
    result = 0
    for array in arrays:
        result = zlib.crc32(np.ascontiguousarray(array).data, result)
    return result


def fingerprint(windows: PoseWindows) -> dict[str, int]:
    """Which training windows these are: their number, and a checksum of poses and places."""
    places = (windows.clip, windows.track, windows.frame)
    return {"windows": len(windows), "checksum": checksum(*places, windows.table.keypoints)}
