"""Metrics against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from gepc_geo.errors import InputError
from gepc_geo.scoring.metrics import (
    auc,
    average_precision,
    equal_error_rate,
    event_metrics,
    frame_metrics,
    runs,
)


def some(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=n) < 0.3).astype(int)
    return labels, labels + rng.normal(size=n).round(1)


def test_unknown_labels_are_left_out():
    labels, scores = some(0)
    hidden = np.where(np.arange(200) % 3 == 0, -1, labels)
    known = hidden >= 0
    assert auc(hidden, scores) == roc_auc_score(labels[known], scores[known])
    assert average_precision(hidden, scores) == average_precision_score(
        labels[known], scores[known]
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_equal_error_rate_is_where_both_errors_cross(seed):
    """Bracketed by the errors at every threshold."""
    labels, scores = some(seed, 60)
    if len(np.unique(labels)) < 2:
        return
    rate = equal_error_rate(labels, scores)
    thresholds = np.concatenate([np.unique(scores), [np.inf]])
    false = np.array([(scores[labels == 0] >= t).mean() for t in thresholds])
    miss = np.array([(scores[labels == 1] < t).mean() for t in thresholds])
    assert rate >= np.minimum(false, miss).max() - 1e-9
    assert rate <= np.maximum(false, miss).min() + 1e-9


def test_perfect_and_reversed_scores():
    labels = np.array([0, 0, 1, 1])
    assert equal_error_rate(labels, labels.astype(float)) == 0
    assert equal_error_rate(labels, -labels.astype(float)) == 1
    assert auc(labels, np.zeros(4)) == 0.5
    assert equal_error_rate(labels, np.zeros(4)) == 0.5


def test_frame_metrics_equal_scikit_learn():
    labels = [np.array([0, 1, 1, 0]), np.array([0, 0]), np.array([-1, -1, -1])]
    scores = [np.array([0.1, 0.9, 0.2, 0.3]), np.array([0.0, 0.5]), np.ones(3)]
    result = frame_metrics(labels, scores)
    together = np.concatenate(labels[:2]), np.concatenate(scores[:2])
    assert result["auc"] == roc_auc_score(*together)
    assert result["auc_macro"] == roc_auc_score(labels[0], scores[0])
    assert (result["n_frames"], result["n_clips"]) == (6, 2)


def test_one_kind_of_labels_is_refused():
    with pytest.raises(
        InputError, match=r"labels must be abnormal \(1\) and normal \(0\), got 0 abnormal of 3"
    ):
        auc(np.zeros(3), np.ones(3))
    with pytest.raises(InputError, match="scores must be finite, got NaN or infinity"):
        auc(np.array([0, 1]), np.array([0.0, np.nan]))
    with pytest.raises(
        InputError, match=r"scores must have the shape of the labels \[3\], got \[2\]"
    ):
        auc(np.array([0, 1, 1]), np.array([0.0, 1.0]))


def test_runs_are_starts_and_ends():
    np.testing.assert_array_equal(runs(np.array([1, 1, 0, 1, 0, 0, 1])), [[0, 2], [3, 4], [6, 7]])
    assert runs(np.zeros(4)).shape == (0, 2)


def test_event_metrics_equal_hand_worked_ones():
    #        event A: 2-6             event B: 8-10
    labels = np.array([0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0])
    alarms = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1])
    result = event_metrics([labels], [alarms.astype(float)], 0.5, 0.5)
    assert (result["n_events"], result["n_alarms"]) == (2, 2)
    assert (result["precision"], result["recall"], result["f1"]) == (0.5, 0.5, 0.5)
    # 3 of 4 frames overlap: 0.75 is enough for 0.75, not for 0.76.
    assert event_metrics([labels], [alarms.astype(float)], 0.5, 0.75)["recall"] == 0.5
    assert event_metrics([labels], [alarms.astype(float)], 0.5, 0.76)["recall"] == 0.0


def test_an_event_is_matched_once():
    labels = np.array([1, 1, 1, 1, 1, 1])
    alarms = np.array([1, 1, 0, 1, 1, 1]).astype(float)
    result = event_metrics([labels], [alarms], 0.5, 0.3)
    assert result["recall"] == 1
    assert result["precision"] == 0.5


def test_events_of_different_clips_do_not_meet():
    labels = [np.array([0, 1]), np.array([0, 0])]
    scores = [np.array([0.0, 0.0]), np.array([1.0, 0.0])]
    assert event_metrics(labels, scores, 0.5, 0.1)["f1"] == 0
    nothing = event_metrics([np.zeros(3)], [np.zeros(3)], 0.5, 0.1)
    assert (nothing["precision"], nothing["recall"]) == (0, 0)


def test_alarms_in_unlabelled_frames_do_not_count():
    labels, scores = np.array([-1, -1, 0, 1]), np.array([1.0, 1.0, 0.0, 1.0])
    assert event_metrics([labels], [scores], 0.5, 0.5)["precision"] == 1
