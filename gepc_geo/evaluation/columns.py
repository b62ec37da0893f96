"""Columns of score tables."""

from __future__ import annotations

import numpy as np
import torch

from gepc_geo.detector.gepc import GEPC
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.states import person_states, usable_windows
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import JUDGED, STATES, track_scores
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.quality import SIGNS, Quality


def person_columns(
    tracks: PoseTracks,
    windows: PoseWindows,
    score: np.ndarray,
    options: ScoreOptions,
    quality: Quality | None,
) -> dict[str, np.ndarray]:
    """Scores of all people; NaN for those who were not judged."""
    used, fault = usable_windows(windows, quality, options, options.padded is not False)
    state = person_states(tracks, windows, used, fault)
    people = track_scores(
        torch.as_tensor(score[used]),
        torch.as_tensor(windows.clip[used]),
        torch.as_tensor(windows.track[used]),
        torch.as_tensor(windows.size[used]),
    )
    scores = np.full((2, len(state)), np.nan)
    # People are sorted by clip and track, as the rows of tracks are.
    scores[:, state == JUDGED] = people.max.numpy(), people.mean.numpy()
    start = tracks.track_starts
    return {
        "clip": np.array(tracks.clip_names, dtype=np.str_)[tracks.clip[start]],
        "person": tracks.track[start],
        "score": scores[0],
        "mean": scores[1],
        "state": np.array(STATES)[state],
    }


def window_columns(
    tracks: PoseTracks, windows: PoseWindows, options: ScoreOptions, quality: Quality | None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns that name the window of each row, and the positions of those windows."""
    keep = np.flatnonzero(~windows.padded | (options.padded is not False))
    # A clip's rows are in the same order however many clips are scored at once.
    keep = keep[np.argsort(windows.piece[keep], kind="stable")]
    return {
        "clip": np.array(tracks.clip_names, dtype=np.str_)[windows.clip[keep]],
        "person": windows.track[keep],
        "first_frame": windows.frame[keep],
        "length": windows.size[keep],
        "padded": windows.padded[keep].astype(np.int64),
        **({} if quality is None else _quality_columns(quality, keep)),
    }, keep


def _quality_columns(quality: Quality, keep: np.ndarray) -> dict[str, np.ndarray]:
    # The last entry is the name of no fault.
    return {"quality": quality.value[keep], "fault": np.array([*SIGNS, ""])[quality.sign[keep]]}


def why_columns(
    detector: GEPC, tracks: PoseTracks, scored: WindowScores, keep: np.ndarray
) -> dict[str, np.ndarray]:
    """Percentile of each measure, and words; no columns if the detector has no explanations.

    Args:
        detector: A fitted detector.
        tracks: The poses.
        scored: Their window scores.
        keep: Positions of the windows in the table.
    """
    explanation = detector.explain(tracks, scored)
    if explanation is None:
        return {}
    percentiles = explanation.percentiles
    columns = {f"{name}_percentile": value[keep] for name, value in percentiles.items()}
    return {**columns, "why": explanation.window_words()[keep]}


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
