"""Checksums: whether data are the same, without keeping them."""

from __future__ import annotations

import zlib

import numpy as np


def checksum(*arrays: np.ndarray) -> int:
    """A checksum of all values of some arrays."""
    result = 0
    for array in arrays:
        result = zlib.crc32(np.ascontiguousarray(array).data, result)
    return result
