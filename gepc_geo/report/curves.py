"""Histograms, ROC and precision-recall curves of scores and labels, with few points."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from gepc_geo.report.encode import evenly_spaced, pack
from gepc_geo.scoring.metrics import auc, average_precision, equal_error_rate

_BINS, _POINTS = 60, 400
_KINDS = {0: "normal", 1: "abnormal", -1: "unlabelled"}


def histogram(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Counts scores by label; the last bar includes scores above the 99.9 % quantile.

    Args:
        scores: Frame or clip scores, :math:`[N]`.
        labels: Labels, :math:`[N]`; 1 abnormal, 0 normal, -1 unknown.

    Returns:
        ``edges`` (one more than bars) and ``counts`` of each kind of label that occurs.
    """
    if not len(scores):
        return {"edges": [0.0, 1.0], "counts": {}}
    low, high = float(scores.min()), float(np.quantile(scores, 0.999))
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    clipped = np.clip(scores, edges[0], edges[-1])
    return {
        "edges": [round(float(e), 6) for e in edges],
        "counts": {
            kind: np.histogram(clipped[labels == value], edges)[0].tolist()
            for value, kind in _KINDS.items()
            if (labels == value).any()
        },
    }


def quality(
    scores: np.ndarray, labels: np.ndarray, threshold: float | None
) -> dict[str, Any] | None:
    """Computes ROC and precision-recall curves and their areas.

    Args:
        scores: Frame or clip scores, :math:`[N]`.
        labels: Labels, :math:`[N]`; 1 abnormal, 0 normal, -1 unknown.
        threshold: Alarm threshold, or ``None``.

    Returns:
        Curves of at most 400 points, areas of the full curves, and ``at`` with false positive rate,
        true positive rate and precision at the threshold. ``None`` without labels of both kinds.
    """
    known = labels >= 0
    true, score = labels[known], scores[known]
    if not 0 < int(true.sum()) < len(true):
        return None
    false_rate, true_rate, _ = roc_curve(true, score)
    precision, recall, _ = precision_recall_curve(true, score)
    roc, pr = evenly_spaced(len(false_rate), _POINTS), evenly_spaced(len(recall), _POINTS)
    result: dict[str, Any] = {
        "auc": auc(labels, scores),
        "ap": average_precision(labels, scores),
        "eer": equal_error_rate(labels, scores),
        "base": float(true.mean()),
        "roc": [pack(false_rate[roc]), pack(true_rate[roc])],
        "pr": [pack(recall[pr]), pack(precision[pr])],
        "at": None,
    }
    if threshold is not None:
        alarm = score >= threshold
        hits = int((alarm & (true == 1)).sum())
        result["at"] = {
            "false": float(alarm[true == 0].mean()),
            "true": float(alarm[true == 1].mean()),
            "precision": hits / int(alarm.sum()) if alarm.any() else None,
        }
    return result
