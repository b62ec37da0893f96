"""Alarms against runs counted by hand, thresholds against every threshold there is."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from gepc_geo import InputError
from gepc_geo.evaluation.alarms import Alarm, Series, alarm_runs
from gepc_geo.streaming.thresholds import choose_alarm, choose_threshold, false_alarms


def slow_runs(scores: np.ndarray, threshold: float, fps: float) -> list[list[int]]:
    """Frame after frame: a run goes on where less than a second lies between."""
    found: list[list[int]] = []
    for frame in np.flatnonzero(scores >= threshold).tolist():
        if found and (frame - found[-1][1]) / fps < 1:
            found[-1][1] = frame + 1
        else:
            found.append([frame, frame + 1])
    return found


@pytest.mark.parametrize("fps", [1.0, 4.0, 5.0, 7.5])
def test_runs_merge_gaps_under_a_second(fps):
    rng = np.random.default_rng(0)
    for length in (1, 3, 40, 200):
        scores = rng.normal(size=length).round(1)
        for threshold in (-5, 0, 1, 1.5, 9):
            expected = slow_runs(scores, threshold, fps)
            assert alarm_runs(Series(scores, fps), threshold).tolist() == expected


def test_runs_equal_hand_worked_ones():
    scores = np.array([0, 9, 0, 0, 0, 9, 0, 0, 0, 0, 9, 0])
    # At 4 frames a second three frames between are under a second, four are one.
    assert alarm_runs(Series(scores, 4.0), 5).tolist() == [[1, 6], [10, 11]]


def test_the_threshold_is_the_lowest_above_which_alarms_stay_few_enough():
    rng = np.random.default_rng(1)
    for _ in range(20):
        series = [Series(rng.normal(size=n).round(1), 3.0) for n in (50, 80, 7)]
        hours = sum(one.hours for one in series)
        for allowed in (0, 1, 3, 8):
            threshold = choose_threshold(series, allowed / hours)
            levels = np.unique(np.concatenate([one.scores for one in series]))
            counts = [sum(len(slow_runs(s.scores, t, 3.0)) for s in series) for t in levels]
            bad = [t for t, count in zip(levels, counts, strict=True) if count > allowed]
            assert false_alarms(series, threshold) <= allowed
            if bad:
                assert max(bad) < threshold <= min(levels[levels > max(bad)], default=math.inf)


def test_each_half_measures_the_threshold_of_the_other():
    """Two kinds of clips in turn: the quiet half's threshold is too low for the loud one."""
    rng = np.random.default_rng(2)
    quiet, loud = ([Series(k + rng.uniform(size=3600), 10.0) for _ in range(3)] for k in (0, 5))
    series = [one for pair in zip(quiet, loud, strict=True) for one in pair]
    found = choose_alarm(series, "nearest", 20)
    assert found.hours == found.held_out_hours == pytest.approx(0.6)
    assert found.per_hour == 20 and found.mode == "nearest"
    assert found.held_out_alarms == false_alarms(loud, choose_threshold(quiet, 20))
    assert found.held_out_alarms == 3  # each loud clip is one alarm from end to end
    assert found.held_out == "5 an hour (3 in 0.6 hours)"
    assert 5 < found.threshold < 6
    assert false_alarms(series, found.threshold) <= 12


def test_calibration_keeps_the_rate_on_new_data_of_the_same_kind():
    rng = np.random.default_rng(3)
    series = [Series(rng.normal(size=5000), 10.0) for _ in range(20)]
    found = choose_alarm(series, "nearest", 30)
    fresh = [Series(rng.normal(size=5000), 10.0) for _ in range(20)]
    for rate in (
        found.held_out_alarms / found.held_out_hours,
        false_alarms(fresh, found.threshold) / sum(one.hours for one in fresh),
    ):
        assert 20 < rate < 42


def test_a_single_clip_is_divided_into_halves():
    rng = np.random.default_rng(4)
    whole = rng.normal(size=7200)
    found = choose_alarm([Series(whole, 10.0)], "max", 50)
    halves = [[Series(half, 10.0)] for half in np.split(whole, 2)]
    assert found.held_out_alarms == sum(
        false_alarms(b, choose_threshold(a, 50)) for a, b in (halves, halves[::-1])
    )


def test_too_short_clips_and_wrong_rates_are_refused():
    with pytest.raises(
        InputError, match="at least 0.5 hours long for 2 false alarms an hour, got 0.0278 hours"
    ):
        choose_alarm([Series(np.zeros(1000), 10.0)], "max", 2)
    for rate in (0, -1, math.nan, math.inf):
        with pytest.raises(InputError, match="false alarms per hour must be more than 0, got"):
            choose_alarm([Series(np.zeros(1000), 10.0)], "max", rate)


def test_stored_alarms_are_checked():
    class Model:
        alarm_ = None

    assert Alarm.of(Model) is None
    alarm = Alarm(1.5, "max", 2.0, 3.0)
    Model.alarm_ = alarm.to_dict()
    assert Alarm.of(Model) == alarm
    assert alarm.held_out == "unknown"
    # As stored before the rate on held-out clips was.
    Model.alarm_ = {"threshold": 1.5, "mode": "max", "per_hour": 2.0, "hours": 3.0}
    assert Alarm.of(Model) == alarm
    counted = Alarm(1.5, "max", 2.0, 3.0, 6, 3.0)
    Model.alarm_ = counted.to_dict()
    assert Alarm.of(Model) == counted
    for broken in (
        {**counted.to_dict(), "held_out_hours": None},
        {**counted.to_dict(), "held_out_alarms": math.inf},
        {"threshold": 1},
        {**alarm.to_dict(), "mode": "x"},
        [1],
        {**alarm.to_dict(), "threshold": math.nan},
    ):
        Model.alarm_ = broken
        message = (
            "the alarm of the model must have the values that gepc-geo calibrate stores, "
            f"got {broken}"
        )
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            Alarm.of(Model)
