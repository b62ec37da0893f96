"""Columns of tables of windows that explain their scores."""

from __future__ import annotations

import numpy as np

from gepc_geo.detector.gepc import GEPC
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.scorer import WindowScores


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
