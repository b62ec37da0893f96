"""Metrics of anomaly scores. Labels are 1 abnormal, 0 normal, -1 unknown (left out)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from gepc_geo.errors import InputError


def _labelled(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The known labels and their scores."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.shape != scores.shape:
        raise InputError(
            f"scores must have the shape of the labels {list(labels.shape)}, got "
            f"{list(scores.shape)}"
        )
    known = labels >= 0
    labels, scores = labels[known], scores[known]
    if not np.isfinite(scores).all():
        raise InputError("scores must be finite, got NaN or infinity")
    abnormal = int(labels.sum())
    if not 0 < abnormal < len(labels):
        raise InputError(
            f"labels must be abnormal (1) and normal (0), got {abnormal} abnormal of {len(labels)}"
        )
    return labels, scores


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    r"""Area under the ROC curve.

    Args:
        labels: :math:`(N)`; 1 abnormal, 0 normal, -1 unknown.
        scores: :math:`(N)`, higher is more abnormal.

    Raises:
        InputError: The known labels are all equal, shapes differ, or a score of a known label is
            NaN or infinite.
    """
    return float(roc_auc_score(*_labelled(labels, scores)))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    r"""Average precision; abnormal is the positive class.

    Args:
        labels: :math:`(N)`; 1 abnormal, 0 normal, -1 unknown.
        scores: :math:`(N)`, higher is more abnormal.

    Raises:
        InputError: As :func:`auc`.
    """
    return float(average_precision_score(*_labelled(labels, scores)))


def equal_error_rate(labels: np.ndarray, scores: np.ndarray) -> float:
    r"""Error rate at the threshold with equal rates of false alarms and misses.

    The ROC curve is interpolated linearly.

    Args:
        labels: :math:`(N)`; 1 abnormal, 0 normal, -1 unknown.
        scores: :math:`(N)`, higher is more abnormal.

    Raises:
        InputError: As :func:`auc`.
    """
    false_rate, true_rate, _ = roc_curve(*_labelled(labels, scores), drop_intermediate=False)
    difference = false_rate - (1 - true_rate)  # rises from -1 to 1
    after = int(np.argmax(difference >= 0))
    before = after - 1
    share = -difference[before] / (difference[after] - difference[before])
    return float(false_rate[before] + share * (false_rate[after] - false_rate[before]))


def frame_metrics(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]
) -> dict[str, float | int | None]:
    """Metrics of frames.

    Args:
        labels: Labels of the frames of each clip.
        scores: Scores of the frames of each clip.

    Returns:
        ``auc`` of the frames of all clips (section 4.1 of the paper); ``auc_macro``, the mean over
        clips with normal and abnormal frames (``None`` without such clips); ``ap``, ``eer``;
        ``n_frames`` and ``n_clips`` with a known label.

    Raises:
        InputError: As :func:`auc`.
    """
    all_labels, all_scores = np.concatenate(labels), np.concatenate(scores)
    clip_aucs = [
        auc(label, score)
        for label, score in zip(labels, scores, strict=True)
        if (label == 1).any() and (label == 0).any()
    ]
    return {
        "auc": auc(all_labels, all_scores),
        "auc_macro": float(np.mean(clip_aucs)) if clip_aucs else None,
        "ap": average_precision(all_labels, all_scores),
        "eer": equal_error_rate(all_labels, all_scores),
        "n_frames": int((all_labels >= 0).sum()),
        "n_clips": sum(bool((label >= 0).any()) for label in labels),
    }


def runs(flags: np.ndarray) -> np.ndarray:
    """Maximal runs of true values as rows (start, end), :math:`[N, 2]`; the end is exclusive."""
    edges = np.diff(np.concatenate([[0], np.asarray(flags, dtype=np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def event_metrics(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray], threshold: float, min_iou: float
) -> dict[str, float | int]:
    """Precision, recall and F1 of events.

    An event is a run of abnormal frames, an alarm a run of frames whose scores reach the threshold.
    They match if the intersection over union of their frames is at least ``min_iou``. Each event
    and each alarm is matched at most once; the number of matches is as large as possible.

    Args:
        labels: Labels of the frames of each clip.
        scores: Scores of the frames of each clip.
        threshold: The lowest score of an alarm.
        min_iou: More than 0, at most 1.

    Returns:
        ``precision``, ``recall``, ``f1``, ``n_events`` and ``n_alarms``.
    """
    found = events = alarms = 0
    for label, score in zip(labels, scores, strict=True):
        abnormal = runs(label == 1)
        # Frames with unknown labels are no false alarms.
        alarmed = runs((score >= threshold) & (label >= 0))
        events, alarms = events + len(abnormal), alarms + len(alarmed)
        if len(abnormal) and len(alarmed):
            start = np.maximum(abnormal[:, None, 0], alarmed[None, :, 0])
            end = np.minimum(abnormal[:, None, 1], alarmed[None, :, 1])
            shared = np.clip(end - start, 0, None)
            sizes = np.diff(abnormal, axis=1) + np.diff(alarmed, axis=1).T
            matches = csr_matrix(shared / (sizes - shared) >= min_iou)
            found += int((maximum_bipartite_matching(matches, perm_type="column") >= 0).sum())
    precision = found / alarms if alarms else 0.0
    recall = found / events if events else 0.0
    total = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / total if total else 0.0,
        "n_events": events,
        "n_alarms": alarms,
    }
