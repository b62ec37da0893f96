"""How good anomaly scores are. Labels: 1 abnormal, 0 normal, -1 unknown (left out)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from gepc_geo.errors import InputError


def _known(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.shape != scores.shape:
        raise InputError(f"{len(scores)} scores do not fit {len(labels)} labels")
    known = labels >= 0
    labels, scores = labels[known], scores[known]
    if not np.isfinite(scores).all():
        raise InputError("scores hold NaN or infinite values, expected finite numbers")
    abnormal = int(labels.sum())
    if not 0 < abnormal < len(labels):
        raise InputError(
            f"{abnormal} of {len(labels)} labels are abnormal, expected some of both kinds"
        )
    return labels, scores


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    r"""Area under the ROC curve.

    Args:
        labels: :math:`(N)`; 1 abnormal, 0 normal, -1 unknown.
        scores: :math:`(N)`, higher is more abnormal.

    Raises:
        InputError: Known labels of one kind only, another number of scores than of labels, NaN or
            infinite scores of known labels.
    """
    return float(roc_auc_score(*_known(labels, scores)))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    r"""Average precision, abnormal as the positive class.

    Args:
        labels: :math:`(N)`; 1 abnormal, 0 normal, -1 unknown.
        scores: :math:`(N)`, higher is more abnormal.

    Raises:
        InputError: As :func:`auc`.
    """
    return float(average_precision_score(*_known(labels, scores)))


def equal_error_rate(labels: np.ndarray, scores: np.ndarray) -> float:
    r"""Error rate where false alarms and misses are equally frequent (linear on the ROC curve).

    Args:
        labels: :math:`(N)`; 1 abnormal, 0 normal, -1 unknown.
        scores: :math:`(N)`, higher is more abnormal.

    Raises:
        InputError: As :func:`auc`.
    """
    false, true, _ = roc_curve(*_known(labels, scores), drop_intermediate=False)
    difference = false - (1 - true)  # rises from -1 to 1
    after = int(np.argmax(difference >= 0))
    before = after - 1
    share = -difference[before] / (difference[after] - difference[before])
    return float(false[before] + share * (false[after] - false[before]))


def frame_metrics(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]
) -> dict[str, float | int | None]:
    """Frame-level metrics over clips.

    Returns:
        ``auc`` over all frames together (section 4.1 of the paper), ``auc_macro`` the mean over
        clips that have both kinds of frames (``None`` without any), ``ap``, ``eer``, ``n_frames``
        and ``n_clips`` (with a known label).
    """
    together = np.concatenate(labels), np.concatenate(scores)
    both = [
        auc(one, score)
        for one, score in zip(labels, scores, strict=True)
        if (one == 1).any() and (one == 0).any()
    ]
    return {
        "auc": auc(*together),
        "auc_macro": float(np.mean(both)) if both else None,
        "ap": average_precision(*together),
        "eer": equal_error_rate(*together),
        "n_frames": int((together[0] >= 0).sum()),
        "n_clips": sum(bool((one >= 0).any()) for one in labels),
    }


def runs(flags: np.ndarray) -> np.ndarray:
    """Maximal runs of true values as rows (start, end), the end exclusive."""
    edges = np.diff(np.concatenate([[0], np.asarray(flags, dtype=np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def event_metrics(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray], threshold: float, min_iou: float
) -> dict[str, float | int]:
    """Precision, recall and F1 of events: runs of abnormal frames against runs of alarmed ones.

    An alarm and an event fit where their frames' intersection over union is at least ``min_iou``;
    as many pairs as possible are matched, each event and alarm once.

    Args:
        labels: Frame labels of each clip.
        scores: Frame scores of each clip; ``threshold`` and above is alarmed.
        threshold: In units of the scores.
        min_iou: 0 < ``min_iou`` <= 1.
    """
    found = events = alarms = 0
    for one, score in zip(labels, scores, strict=True):
        true = runs(one == 1)
        # Frames nobody knows the truth of can be no false alarm.
        alarmed = runs((score >= threshold) & (one >= 0))
        events, alarms = events + len(true), alarms + len(alarmed)
        if len(true) and len(alarmed):
            start = np.maximum(true[:, None, 0], alarmed[None, :, 0])
            end = np.minimum(true[:, None, 1], alarmed[None, :, 1])
            shared = np.clip(end - start, 0, None)
            sizes = np.diff(true, axis=1) + np.diff(alarmed, axis=1).T
            fits = csr_matrix(shared / (sizes - shared) >= min_iou)
            found += int((maximum_bipartite_matching(fits, perm_type="column") >= 0).sum())
    precision = found / alarms if alarms else 0.0
    recall = found / events if events else 0.0
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
        "n_events": events,
        "n_alarms": alarms,
    }
