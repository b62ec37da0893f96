"""Adapted detectors: marked events raise no alarm, abnormal ones do, nothing old changes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from streams import SEVERAL, SMALL, TRAINED, all_joints

from gepc_geo import GEPC, InputError, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.evaluation.alarms import Alarm, alarm_runs
from gepc_geo.options import MODES
from gepc_geo.scoring.scorer import WindowScorer, own_modes
from gepc_geo.streaming.adaptation import (
    adapt_to_events,
    adapt_to_poses,
    additions_by_length,
    count_raised,
    held_out_scores,
    recall,
)
from gepc_geo.streaming.alerts import Alert
from gepc_geo.streaming.thresholds import clip_series, false_alarms

#: Neighbours of one length and of several, and a network.
KINDS = {"one": SMALL, "several": SEVERAL, "network": TRAINED}


@pytest.fixture(scope="module", params=KINDS)
def detector(request) -> GEPC:
    return fitted(request.param)


@pytest.fixture(scope="module")
def one() -> GEPC:
    return fitted("one")


@pytest.fixture(scope="module")
def network() -> GEPC:
    return fitted("network")


def fitted(kind: str) -> GEPC:
    train = simulate_crowd("train", num_clips=8, frames_per_clip=40, random_state=1)
    detector = GEPC(**KINDS[kind]).fit(train, device="cpu").set_params(mode="nearest")
    normal = simulate_crowd("train", num_clips=4, frames_per_clip=60, random_state=2)
    scores = np.concatenate([one.scores for one in clip_series(detector, normal, "nearest")])
    alarm = Alarm(float(np.quantile(scores, 0.98)), "nearest", 600.0, 0.01, 6, 0.01)
    detector.alarm_ = alarm.to_dict()
    return detector


@pytest.fixture(scope="module")
def crowd() -> PoseTracks:
    return all_joints(simulate_crowd("test", num_clips=6, frames_per_clip=60, random_state=4))


def tilted(num_clips: int, seed: int) -> PoseTracks:
    """Normal people before a camera that lies on its side."""
    tracks = simulate_crowd("train", num_clips=num_clips, frames_per_clip=60, random_state=seed)
    turned = np.stack([tracks.keypoints[..., 1], -tracks.keypoints[..., 0]], -1)
    return tracks.with_(keypoints=turned)


def alerts(detector: GEPC, tracks: PoseTracks, mode: str | None = None) -> list[Alert]:
    alarm = Alarm.of(detector)
    series = clip_series(detector, tracks, mode or alarm.mode)
    return [
        Alert(name, "closed", start, start, end - 1, 0, 0.0)
        for name, one in zip(tracks.clip_names, series, strict=True)
        for start, end in alarm_runs(one, alarm.threshold).tolist()
    ]


def state(detector: GEPC) -> dict[str, torch.Tensor]:
    parts = {
        f"{length} {name}": value.clone()
        for length, one in detector.scorer_.normality.items()
        for name, value in (
            ("points", one.nearest.points),
            ("knots", one.calibrators["nearest"].knots_),
            *((mode, mixture.means_) for mode, mixture in one.mixtures.items()),
        )
    }
    return parts | {
        "knots": detector.calibration_.person["nearest"].knots_.clone(),
        "threshold": torch.tensor(detector.threshold_),
        "alarm": torch.tensor(detector.alarm_["threshold"]),
    }


def test_marked_false_alarms_raise_no_alarm_after_adaptation(detector, crowd, tmp_path):
    before, fired = state(detector), alerts(detector, crowd)
    assert len(fired) >= 3
    marked = fired[:2]
    adapted = adapt_to_events(detector, crowd, marked)
    adapted.save(tmp_path / "model.pt")
    adapted = GEPC.load(tmp_path / "model.pt", device="cpu")
    series = dict(zip(crowd.clip_names, clip_series(adapted, crowd, "nearest"), strict=True))
    for event in marked:
        worst = series[event.camera].scores[event.start : event.end + 1].max()
        assert worst < adapted.alarm_["threshold"]
    # Neighbours were enough: the threshold is what it was. Its rate was another detector's.
    assert adapted.alarm_ == {
        **detector.alarm_,
        "held_out_alarms": None,
        "held_out_hours": None,
    }
    # What was not marked is as alarming as before, or nearly.
    kept = {(one.camera, one.start) for one in alerts(adapted, crowd)}
    others = [one for one in fired if one.camera not in {e.camera for e in marked}]
    assert sum((one.camera, one.start) in kept for one in others) >= len(others) / 2
    for name, value in state(detector).items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("mode", MODES)
def test_marked_false_alarms_stop_in_every_mode(mode, network, crowd):
    """Where a density has no room for a few windows, the threshold rises."""
    series = clip_series(network, crowd, mode)
    threshold = float(np.quantile(np.concatenate([one.scores for one in series]), 0.8))
    other = copy.copy(network)
    other.alarm_ = Alarm(threshold, mode, 600.0, 0.01).to_dict()
    fired = alerts(other, crowd)
    # The most normal frame of each clip raises nothing.
    least = [int(one.scores.argmin()) for one in series]
    silent = [
        Alert(name, "closed", at, at, at, 0, 0.0)
        for name, at in zip(crowd.clip_names, least, strict=True)
    ]
    assert count_raised(other, crowd, [*fired, *silent]) == len(fired)
    marked = fired[:1]
    adapted = adapt_to_events(other, crowd, marked)
    assert count_raised(adapted, crowd, marked) == 0
    (series,) = clip_series(
        adapted, crowd.select(clips=[crowd.clip_names.index(marked[0].camera)]), mode
    )
    worst = series.scores[marked[0].start : marked[0].end + 1].max()
    assert worst < adapted.alarm_["threshold"]
    assert adapted.alarm_["threshold"] >= threshold


def test_a_new_camera_becomes_normal(detector):
    """A camera on its side: everybody is abnormal, and after adaptation on others nobody is."""
    new, fresh = tilted(6, 7), tilted(3, 8)
    old_scores = detector.decision_function(fresh)
    adapted = adapt_to_poses(detector, new)
    assert np.median(adapted.decision_function(fresh)) < np.median(old_scores)
    series = clip_series(adapted, fresh, "nearest")
    alarm = Alarm.of(adapted)
    # 600 an hour: the rate that the alarm was chosen for, on clips never seen.
    hours = sum(one.hours for one in series)
    assert false_alarms(series, alarm.threshold) <= 2 * 600 * hours + 2
    assert alarm.threshold >= detector.alarm_["threshold"] and alarm.held_out == "unknown"
    for mode in detector.modes_:
        assert np.isfinite(adapted.decision_function(fresh, mode)).all()
    # The old camera's people stay as normal as they were.
    old = simulate_crowd("train", num_clips=2, frames_per_clip=40, random_state=2)
    change = adapted.decision_function(old) - detector.decision_function(old)
    # Of several lengths they are tail probabilities, which are kept at knots.
    assert change.max() < (1e-6 if len(detector.lengths_) == 1 else 0.01)


def test_adapting_to_one_clip_and_without_an_alarm(detector):
    one = tilted(1, 9)
    adapted = adapt_to_poses(detector, one)
    assert adapted.alarm_["threshold"] >= detector.alarm_["threshold"]
    plain = copy.copy(detector)
    plain.alarm_ = None
    adapted = adapt_to_poses(plain, one.with_(fps=None))
    assert adapted.alarm_ is None
    assert adapted.threshold_ >= detector.threshold_


@pytest.fixture(scope="module", params=["several", "network"])
def varied(request) -> GEPC:
    """Scored in two copies, at every third frame; learned is every fourth."""
    train = simulate_crowd("train", num_clips=8, frames_per_clip=40, random_state=1)
    options = {**KINDS[request.param], "augment": "vary", "score_stride": 3}
    if request.param == "several":
        # So short that a single clip can be divided by each.
        options["lengths"] = ["8", "12"]
    return GEPC(**options).fit(train, device="cpu")


@pytest.mark.parametrize("clips", [1, 3])
def test_new_poses_are_scored_with_unrelated_reference_windows(clips, varied):
    """As by detectors that learned that alone, window for window, learned or not."""
    new = tilted(clips, 9)
    learned = varied.pipeline_.windows(new, varied.stride).without_padded()
    news = additions_by_length(varied.scorer_, learned)
    found, raw = held_out_scores(varied, new, news)
    # Nobody is left out, nobody is scored twice.
    every = varied.windows(new).without_padded()
    order = np.lexsort((found.first, found.size))
    assert np.array_equal(found.first[order], every.first)
    assert np.array_equal(found.size[order], every.size)
    for length, more in news.items():
        scored, windows = found.of_length(length), learned.of_length(length)
        if clips > 1:
            parts = [(scored.clip % 2 == side, windows.clip % 2 != side) for side in (0, 1)]
        else:
            middle = int(np.median(windows.frame)) + length // 2
            before = span(scored) < middle
            whole = [before.all(1), ~before.any(1)]
            across = ~whole[0] & ~whole[1]
            sides = [(span(windows) >= middle).all(1), (span(windows) < middle).all(1)]
            # Windows across the middle reach one frame less than their length beyond it at most.
            far = (abs(span(windows) - middle + 0.5) > length - 1).all(1)
            assert across.any() and far.any()
            parts = [*zip(whole, sides, strict=True), (across, far)]
        assert np.sum([here for here, _ in parts], axis=0).tolist() == [1] * len(scored)
        for here, unrelated in parts:
            normality = copy.copy(more.normality)
            theirs = windows.subset(unrelated)
            points = varied.scorer_.points(theirs)["nearest"]
            person = torch.as_tensor(theirs.person).repeat(2)
            old = varied.scorer_.normality[length].nearest
            normality.nearest = old.extended(points, person)
            judge = WindowScorer(varied.scorer_.encoder, {length: normality})
            expected = judge.score_few(scored.subset(here)).scores
            expected["altered"] = told_by_others(varied, learned, scored.subset(here), length)
            assert set(raw) == set(own_modes(varied.modes_))
            for mode in raw:
                mine = raw[mode].numpy()[found.size == length][here]
                np.testing.assert_allclose(mine, expected[mode], 1e-4, 1e-4)


def told_by_others(varied, learned, windows, length) -> np.ndarray:
    """Scores of ``altered`` after adaptation, each by the classifier without its person."""
    new = learned.of_length(length)
    old, points = varied.scorer_.normality[length].altered, varied.scorer_.points(new)["altered"]
    told = old.extended(points, torch.as_tensor(new.person).repeat(2))
    views = varied.scorer_.points(windows)["altered"]
    person = torch.as_tensor(windows.person).repeat(2) + old.people
    return told(views, person).unflatten(0, (2, -1)).mean(0).numpy()


def span(windows) -> np.ndarray:
    """The frames of windows, [W, T]."""
    return windows.frame[:, None] + np.arange(windows.length)


def test_frames_without_windows_do_not_count_in_halves(one):
    """An empty tail, or clips of people who are gone at once, are no other half to be judged by."""
    more = tilted(2, 9)
    clip = more.select(clips=[0])
    threshold = adapt_to_poses(one, clip).threshold_
    longer = clip.with_(clip_length=np.array([200]), frame_labels=None)
    assert adapt_to_poses(one, longer).threshold_ == threshold
    brief = more.rows((more.clip == 0) | (more.frame < 8))
    assert adapt_to_poses(one, brief).threshold_ == threshold


def test_short_clips_are_scored_by_halves(detector):
    """Not by the few windows that are far from the middle, by which everybody were abnormal."""
    new = tilted(1, 9)
    unseen = np.quantile(detector.decision_function(new), 0.95)
    frames = 44
    length = {"clip_length": np.array([frames]), "frame_labels": None}
    adapted = adapt_to_poses(detector, new.rows(new.frame < frames).with_(**length))
    assert adapted.threshold_ < (detector.threshold_ + unseen) / 2


def test_a_clip_too_short_for_halves_is_learned(detector):
    new = tilted(1, 9)
    short = new.rows(new.frame < 18).with_(clip_length=np.array([18]), frame_labels=None)
    adapted = adapt_to_poses(detector, short)
    assert adapted.threshold_ > detector.threshold_
    assert (adapted.decision_function(short) < detector.decision_function(short)).mean() > 0.9


def test_recall_counts_events_with_an_alarmed_frame(detector):
    tracks = simulate_crowd("test", num_clips=6, frames_per_clip=60, random_state=4)
    found = recall(detector, tracks)
    expected = events = 0
    offset = tracks.frame_offset
    for clip, one in enumerate(clip_series(detector, tracks, "nearest")):
        labels = tracks.frame_labels[offset[clip] : offset[clip + 1]] == 1
        begins = np.flatnonzero(labels & ~np.concatenate([[False], labels[:-1]]))
        for start in begins:
            stop = start
            while stop < len(labels) and labels[stop]:
                stop += 1
            events += 1
            expected += one.scores[start:stop].max() >= detector.alarm_["threshold"]
    assert (found.found, found.events) == (expected, events)
    assert f"({expected} of {events} events)" in str(found)


def test_bad_input_is_refused_in_one_sentence(detector, crowd):
    event = Alert(crowd.clip_names[0], "closed", 0, 0, 10, 0, 0.0)
    with pytest.raises(InputError, match="events must be lines of gepc-geo watch, got none"):
        adapt_to_events(detector, crowd, [])
    with pytest.raises(
        InputError,
        match="camera of an event must be a clip of the poses, one of normal_00, running_00, "
        "falling_00, jumping_00, cycling_00, got 'elsewhere'",
    ):
        adapt_to_events(detector, crowd, [Alert("elsewhere", "closed", 0, 0, 1, 0, 0.0)])
    # Everybody has left the clip by then.
    emptied = crowd.rows((crowd.clip != 0) | (crowd.frame < 16))
    with pytest.raises(InputError, match="must have windows, got none"):
        adapt_to_events(
            detector, emptied, [Alert(crowd.clip_names[0], "closed", 40, 40, 59, 0, 0.0)]
        )
    # What comes behind its end would be the next clip's frames.
    for start, end in ((40, 60), (900, 950), (-5, 10)):
        with pytest.raises(
            InputError, match=f"must have frames from 0 to 59, got {start} to {end}"
        ):
            adapt_to_events(
                detector, crowd, [Alert(crowd.clip_names[0], "closed", start, start, end, 0, 0.0)]
            )
    with pytest.raises(
        InputError, match=r"must have a frame rate \(--fps\) to count alarms an hour, got none"
    ):
        adapt_to_poses(detector, crowd.with_(fps=None))
    shortest = min(detector.lengths_)
    with pytest.raises(
        InputError, match=f"must have a window of {shortest} frames, got shorter tracks"
    ):
        adapt_to_poses(detector, crowd.rows(crowd.frame < 5))
    with pytest.raises(
        InputError, match=r"must have frames with label abnormal \(--labels\), got none"
    ):
        recall(detector, crowd.with_(frame_labels=None))
    with pytest.raises(
        InputError,
        match=r"the poses must be PoseTracks \(gepc_geo\.io\.read of files, PoseTracks\.build of "
        r"arrays\), got ndarray",
    ):
        recall(detector, crowd.keypoints)
    plain = copy.copy(detector)
    plain.alarm_ = None
    with pytest.raises(
        InputError, match=r"must have an alarm threshold \(gepc-geo calibrate\), got none"
    ):
        adapt_to_events(plain, crowd, [event])
