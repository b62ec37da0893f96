"""Alerts of streams against the alarms of whole clips."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streams import SEVERAL, SMALL, all_joints

from gepc_geo import GEPC, Frame, InputError, OnlineScorer
from gepc_geo.datasets import simulate_crowd
from gepc_geo.evaluation.alarms import alarm_runs
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level
from gepc_geo.streaming.alerts import Alert, AlertTracker
from gepc_geo.streaming.scorer import OnlineScores
from gepc_geo.streaming.thresholds import clip_series


@pytest.mark.parametrize(
    ("options", "stride"), [(SMALL, 1), (SMALL, 5), (SEVERAL, 1), (SEVERAL, 3)]
)
def test_alerts_are_the_batch_alarms(options, stride):
    """Start, end, peak, person and score of every clip; several thresholds."""
    train = simulate_crowd("train", num_clips=6, frames_per_clip=36, random_state=1)
    detector = GEPC(**{**options, "score_stride": stride}).fit(train, device="cpu")
    crowd = simulate_crowd("test", num_clips=3, frames_per_clip=60, random_state=4)
    crowd = all_joints(crowd)
    scorer = OnlineScorer(detector)
    parts = []
    for number in range(60):
        for clip in range(3):
            at = np.flatnonzero((crowd.clip == clip) & (crowd.frame == number))
            frame = Frame(crowd.clip_names[clip], number, crowd.track[at], crowd.keypoints[at])
            parts.append(scorer.push(frame))
    parts.append(scorer.close())
    fps = 6.0
    series = clip_series(detector, crowd.with_(fps=np.full(3, fps)), detector.mode)
    scored = detector.window_scores(crowd, padded=False)
    decided = frame_level(detector, scored, crowd, ScoreOptions(mode=detector.mode))
    found = 0
    for quantile in (0.5, 0.9):
        # Away from any score, which is the same but for rounding only.
        scores = np.unique(np.concatenate([one.scores for one in series]))
        at = int(quantile * len(scores))
        at += int(np.diff(scores)[at : at + 20].argmax())
        threshold = float(scores[at : at + 2].mean())
        tracker = AlertTracker(threshold, fps, detector.mode)
        alerts = [alert for part in parts for alert in tracker.add(part)]
        for clip, name in enumerate(crowd.clip_names):
            mine = [alert for alert in alerts if alert.camera == name]
            closed = [alert for alert in mine if alert.state == "closed"]
            assert [a.state for a in mine] == ["open", "closed"] * len(closed)
            assert [a.start for a in mine[::2]] == [a.start for a in closed]
            expected = alarm_runs(series[clip], threshold)
            assert [[a.start, a.end + 1] for a in closed] == expected.tolist()
            for alert in closed:
                run = series[clip].scores[alert.start : alert.end + 1]
                assert alert.peak == alert.start + run.argmax()
                assert alert.score == pytest.approx(run.max(), abs=1e-4)
                assert alert.person == decided.person[crowd.frame_offset[clip] + alert.peak]
            found += len(closed)
    assert found >= 3


def windows(camera, first, score, settled, person=1, length=2) -> OnlineScores:
    return OnlineScores(
        [camera] * len(first),
        np.zeros(len(first), np.int64),
        np.full(len(first), person),
        np.array(first, dtype=np.int64),
        np.broadcast_to(np.array(length), len(first)),
        {"max": np.array(score, dtype=float)},
        {(camera, 0): settled},
    )


def test_an_alert_opens_at_once_and_closes_after_a_second():
    tracker = AlertTracker(5.0, 4.0, "max")
    assert tracker.add(windows("a", [0, 1], [0, 0], 1)) == []
    # Frame 2 has the mean of the windows from 1 and 2.
    (opened,) = tracker.add(windows("a", [2, 3], [12, 20], 2))
    assert opened == Alert("a", "open", 2, 2, 2, 1, 6.0)
    assert tracker.add(windows("a", [4], [0], 3)) == []
    assert tracker.add(windows("a", [5, 6, 7], [0, 0, 0], 7)) == []
    (closed,) = tracker.add(windows("a", [8, 9], [0, 0], 8))
    assert closed == Alert("a", "closed", 2, 3, 4, 1, 16.0)


def test_lengths_weigh_the_same_in_a_frame():
    """Frames 0 to 3 score 9; 1 and 9; 1, 3 and 9; 3 and 9, where 9 is a longer window's."""
    scores = windows("a", [1, 2, 0], [1, 3, 9], None, length=[2, 2, 4])
    for level, expected in (
        (5.0, [(0, 3)]),
        (5.5, [(0, 0), (2, 3)]),
        (6.0, [(0, 0), (3, 3)]),
        (6.5, [(0, 0)]),
    ):
        alerts = AlertTracker(level, 1.0, "max").add(scores)
        assert [(a.start, a.end) for a in alerts if a.state == "closed"] == expected


def test_an_ended_session_closes_its_alert():
    tracker = AlertTracker(5.0, 4.0, "max")
    alerts = tracker.add(windows("a", [0], [9], None))
    assert [alert.state for alert in alerts] == ["open", "closed"]
    assert tracker.add(OnlineScores()) == []


def test_frames_without_a_window_raise_no_alert():
    """Windows that are all still to come, and frame numbers far apart."""
    tracker = AlertTracker(5.0, 4.0, "max")
    assert tracker.add(windows("a", [8], [9], 5)) == []
    far = 10**12
    alerts = tracker.add(windows("a", [far, far + 1], [9, 1], None))
    found = [(a.start, a.end) for a in alerts if a.state == "closed"]
    assert found == [(8, 9), (far, far + 1)]


def test_lines_round_trip_and_others_are_refused():
    alert = Alert("gate", "closed", 1, 2, 3, 4, 5.5)
    assert Alert.from_json(alert.to_json()) == alert
    values = json.loads(alert.to_json())
    for broken in (
        "nonsense",
        "[]",
        "{}",
        json.dumps({**values, "start": 9}),
        json.dumps({**values, "peak": 1.5}),
        json.dumps({**values, "camera": 3}),
        json.dumps({**values, "start": -5}),
        json.dumps({**values, "peak": 0}),
        json.dumps({**values, "peak": 4}),
        json.dumps({**values, "person": True}),
        json.dumps({**values, "state": "shut"}),
        json.dumps({**values, "state": []}),
        json.dumps({**values, "score": "x"}),
        json.dumps({**values, "score": True}),
        json.dumps({**values, "score": None}),
        json.dumps({**values, "score": np.nan}),
        json.dumps({**values, "score": 10**400}),
    ):
        with pytest.raises(InputError, match="an alert must be a line of gepc-geo watch, got "):
            Alert.from_json(broken)
    with pytest.raises(InputError, match="fps must be more than 0, got 0"):
        AlertTracker(1.0, 0, "max")
