"""Alerts of streams against the alarms of whole clips."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from streams import SEVERAL, SMALL, all_joints

from gepc_geo import GEPC, Frame, InputError, OnlineScorer, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.faults import inject_faults
from gepc_geo.evaluation.alarms import alarm_runs
from gepc_geo.evaluation.events import events_of
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level
from gepc_geo.scoring.aggregation import FAULT, JUDGED, SHORT, person_frame_states
from gepc_geo.streaming.alerts import Alert, AlertTracker
from gepc_geo.streaming.scorer import OnlineScores
from gepc_geo.streaming.thresholds import clip_series
from gepc_geo.windows.quality import SIGNS


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


@pytest.fixture(scope="module")
def detector() -> GEPC:
    train = simulate_crowd("train", num_clips=6, frames_per_clip=60, random_state=1)
    return GEPC(**{**SEVERAL, "score_stride": 2}).fit(train, device="cpu")


@pytest.fixture(scope="module")
def faulty() -> PoseTracks:
    tracks = all_joints(simulate_crowd("test", num_clips=4, frames_per_clip=90, random_state=4))
    tracks, _ = inject_faults(tracks, 8, random_state=2)
    return tracks.with_(fps=np.full(4, 2, np.float32))


@pytest.mark.parametrize("faults", [False, True])
def test_alerts_are_the_events_of_whole_clips(faults, detector, faulty):
    """People, joints, quality and all, with the people who were not judged."""
    scored = detector.window_scores(faulty, padded=False)
    level = np.unique(scored.scores["combined"])
    at = int(0.75 * len(level))
    at += int(np.diff(level)[at : at + 50].argmax())
    threshold = float(level[at : at + 2].mean())
    alarmed = copy.copy(detector)
    alarmed.alarm_ = {"threshold": threshold, "mode": "combined", "per_hour": 1.0, "hours": 1.0}
    expected = events_of(alarmed, scored, faulty, ScoreOptions(faults=faults))
    expected = [event for event in expected if faults or not event.fault]
    scorer = OnlineScorer(detector, modes=["combined"], explain=threshold, fps=2.0)
    tracker = AlertTracker(threshold, 2.0, "combined", faults)
    alerts = []
    for number in range(90):
        frames = []
        for clip, name in enumerate(faulty.clip_names):
            at = np.flatnonzero((faulty.clip == clip) & (faulty.frame == number))
            poses = (faulty.track[at], faulty.keypoints[at], faulty.confidence[at])
            frames.append(Frame(name, number, *poses, image_size=tuple(faulty.image_size[clip])))
        alerts += tracker.add(scorer.push(*frames))
    alerts += tracker.add(scorer.close())
    closed = {alert.id: alert for alert in alerts if alert.state == "closed"}
    assert closed.keys() == {alert.id for alert in alerts if alert.state == "open"}
    assert len(closed) == len(expected) == len(alerts) / 2 > 3
    windows, score = scored.windows, scored.scores["combined"]
    words = detector.measures_.explain(windows, unknown=("distance", "dwell")).window_words()
    same_words = []
    for event in expected:
        found, wanted = closed[event.id], Alert.of(event, "closed")
        here = (windows.clip == faulty.clip_names.index(event.clip)) & (
            windows.track == event.person
        )
        here &= (windows.frame <= event.peak) & (event.peak < windows.frame + windows.size)
        here &= ~scored.quality.fault | faults
        highest = np.flatnonzero(here)[score[here].argmax()]
        told = "" if scored.quality.fault[highest] else str(words[highest])
        assert bool(found.why) == bool(told)
        same_words.append(found.why.split(";")[0] == told.split(";")[0])
        assert found.score == pytest.approx(wanted.score, abs=1e-4)
        assert found.quality == pytest.approx(wanted.quality, rel=1e-6)
        assert set(found.joints) == set(wanted.joints)
        same = dict(score=wanted.score, quality=wanted.quality, joints=wanted.joints, why="")
        assert replace(found, **same) == wanted
    assert any(len(event.people) > 1 for event in expected)
    # A stream has forgotten the beginning of long tracks, which some measures use.
    assert np.mean(same_words) > 0.7
    assert any(event.fault for event in expected) == faults
    # The rows of the windows' table, inserted frames too.
    table = detector.windows(faulty)
    quality = detector.pipeline_.quality_of(table)
    bad = quality.fault & ~table.padded & (not faults)
    states = person_frame_states(table, ~table.padded & ~bad, bad)
    assert tracker.counts == {
        "too short": (states == SHORT).sum(),
        "tracking fault": (states == FAULT).sum(),
        "judged": (states == JUDGED).sum(),
    }
    assert tracker.counts["tracking fault"] > 20 or faults


def test_windows_with_faults_give_no_score_unless_they_are_judged():
    """Frames 0 to 3 in a bad window of score 9, frames 2 to 5 in a good one of score 1 or 7."""
    for score, faults, expected in (
        (1, False, []),
        (1, True, [(0, 3, 0, "jump")]),
        (7, False, [(2, 5, 2, "")]),
        (7, True, [(0, 5, 0, "jump")]),
    ):
        scores = windows("a", [0, 2], [9, score], None, length=4)
        scores.quality, scores.fault = np.array([0.5, 1.0]), np.array([SIGNS.index("jump"), -1])
        tracker = AlertTracker(5.0, 1.0, "max", faults)
        closed = [alert for alert in tracker.add(scores) if alert.state == "closed"]
        assert [(a.start, a.end, a.peak, a.fault) for a in closed] == expected
        assert [a.quality for a in closed] == [0.5 for _ in closed]
        left = 0 if faults else 2
        assert tracker.counts == {"too short": 0, "tracking fault": left, "judged": 6 - left}


def test_people_who_leave_too_early_are_counted():
    tracker = AlertTracker(5.0, 1.0, "max")
    for short in (3, 0, 4):
        tracker.add(OnlineScores(short=short))
    assert tracker.counts == {"too short": 7, "tracking fault": 0, "judged": 0}


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
    at = dict(people=(1,), start_s=0.5, id="a-1-2")
    assert opened == Alert("a", "open", 2, 2, 2, 1, 6.0, peak_s=0.5, end_s=0.5, **at)
    assert tracker.add(windows("a", [4], [0], 3)) == []
    assert tracker.add(windows("a", [5, 6, 7], [0, 0, 0], 7)) == []
    (closed,) = tracker.add(windows("a", [8, 9], [0, 0], 8))
    assert closed == Alert("a", "closed", 2, 3, 4, 1, 16.0, peak_s=0.75, end_s=1.0, **at)


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
    whole = replace(
        alert,
        people=(4, 2),
        start_s=0.1,
        peak_s=0.2,
        end_s=0.3,
        joints=("left_knee",),
        quality=0.5,
        fault="jump",
        why="faster",
        id="gate-4-1",
    )
    assert Alert.from_json(whole.to_json()) == whole
    # Lines of earlier versions have the first seven values alone.
    old = {name: json.loads(alert.to_json())[name] for name in list(vars(alert))[:7]}
    assert Alert.from_json(json.dumps(old)) == alert
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
        json.dumps({**values, "people": 3}),
        json.dumps({**values, "people": ["x"]}),
        json.dumps({**values, "joints": "left"}),
        json.dumps({**values, "start_s": "x"}),
        json.dumps({**values, "quality": np.inf}),
        json.dumps({**values, "fault": None}),
        json.dumps({**values, "id": 3}),
    ):
        with pytest.raises(InputError, match="an alert must be a line of gepc-geo watch, got "):
            Alert.from_json(broken)
    with pytest.raises(InputError, match="fps must be more than 0, got 0"):
        AlertTracker(1.0, 0, "max")
