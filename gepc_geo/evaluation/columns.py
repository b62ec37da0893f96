"""Columns that follow from other columns of a score table."""

from __future__ import annotations

import numpy as np

from gepc_geo.poses.tracks import PoseTracks


def add_times(columns: dict[str, np.ndarray], tracks: PoseTracks) -> None:
    """Adds a column ``time`` to tables of windows (of their first frame) and of frames.

    It is in seconds from the start of the clip; NaN in clips without a frame rate. Without any
    frame rate there is no such column.

    Args:
        columns: Columns with ``clip`` and ``frame`` or ``first_frame``; others stay as they are.
        tracks: The poses, for the frame rate of each clip.
    """
    frame = columns.get("frame", columns.get("first_frame"))
    if frame is not None and not np.isnan(tracks.fps).all():
        fps = dict(zip(tracks.clip_names, tracks.fps.astype(np.float64).tolist(), strict=True))
        columns["time"] = frame / np.array([fps[name] for name in columns["clip"].tolist()])
