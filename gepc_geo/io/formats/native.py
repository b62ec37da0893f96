"""The native format of :meth:`gepc_geo.PoseTracks.save`."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from gepc_geo.io._common.clip import Clips
from gepc_geo.poses.tracks import PoseTracks


def detect(path: Path) -> bool:
    """Whether a file is a zip with a ``keypoints`` array."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "keypoints.npy" in archive.namelist()
    except (OSError, ValueError, OverflowError, RuntimeError, struct.error, zipfile.BadZipFile):
        # A damaged directory raises any of these; NotImplementedError is a RuntimeError.
        return False


def read_native(path: Path) -> Clips:
    """Reads a native ``.npz``, which names its clips; errors as :meth:`PoseTracks.load`."""
    tracks = PoseTracks.load(path)
    return Clips(tracks, [(path.stem, name) for name in tracks.clip_names])


def write_native(tracks: PoseTracks, path: Path) -> list[Path]:
    """Writes a native ``.npz``."""
    tracks.save(path)
    return [path]
