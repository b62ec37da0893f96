"""Who is kept out of training, and what is said where nobody can be."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.datasets import simulate_crowd
from gepc_geo.errors import InputWarning
from gepc_geo.options import Options
from gepc_geo.training import sufficiency
from gepc_geo.training.holdout import hold_out

SMALL = {**NETWORK, "budget": 320, "batch_size": 32, "score_stride": 2}


@pytest.fixture(scope="module")
def crowd():
    return simulate_crowd("train", num_clips=2, frames_per_clip=300, random_state=5)


@pytest.fixture(scope="module")
def alone(crowd):
    """One person, for 200 frames or more."""
    track = np.bincount(crowd.track[crowd.clip == 0]).argmax()
    one = crowd.rows((crowd.clip == 0) & (crowd.track == track))
    assert one.num_frames > 200
    return one


def test_with_one_person_the_last_frames_are_held_out(alone):
    train, held_out = hold_out(alone, Options(holdout=0.1))
    assert held_out.num_frames == round(0.1 * alone.num_frames)
    np.testing.assert_array_equal(np.r_[train.frame, held_out.frame], alone.frame)
    # Less than a window would be of no use.
    train, held_out = hold_out(alone, Options(holdout=0.03))
    assert held_out.num_frames == 0 and train.num_frames == alone.num_frames
    assert hold_out(alone, Options(holdout=0.1, frames=24))[0].num_frames == alone.num_frames


def test_with_one_person_thresholds_come_from_their_later_frames(alone):
    """Before, windows were compared with themselves, and nearly all of new ones were abnormal."""
    with pytest.warns(
        InputWarning, match="training poses must have full windows of at least 2 people, got 1"
    ):
        detector = GEPC(**SMALL).fit(alone, device="cpu")
    later = hold_out(alone, detector.options_)[1]
    windows = detector.windows(later)
    own = detector.scorer_.raw(windows, person=np.ones(len(windows), dtype=np.int64))
    assert detector.threshold_ == pytest.approx(np.quantile(own[detector.mode], 0.95))
    share = (detector.decision_function(alone) > detector.threshold_).mean()
    assert share < 0.25


def test_one_person_of_a_few_frames_is_trained_on_with_a_warning(alone):
    few = alone.rows(np.arange(alone.num_frames) < 48)
    with pytest.warns(InputWarning, match="must have full windows of at least 2 people, got 1"):
        GEPC(**SMALL).fit(few, device="cpu")


def test_held_out_people_without_a_full_window_are_warned_of(crowd):
    """Whoever the seed holds out is there for four frames."""
    person = [
        1000 * tracks.clip + tracks.track for tracks in (crowd, hold_out(crowd, Options())[1])
    ]
    starts = np.append(crowd.track_starts, crowd.num_frames)
    position = np.arange(crowd.num_frames) - np.repeat(starts[:-1], np.diff(starts))
    brief = crowd.rows(~np.isin(*person) | (position < 4))
    assert hold_out(brief, Options())[1].num_frames == 4 * len(np.unique(person[1]))
    with pytest.warns(
        InputWarning, match="held-out people must have at least 1 full window, got none"
    ):
        GEPC(**SMALL).fit(brief, device="cpu")


def test_too_few_people_or_windows_are_warned_of(crowd):
    """Two clips with 13 people in training, and one held out."""
    with pytest.warns(
        InputWarning,
        match=r"training poses must have at least 20 people and \d+ windows for reliable scores, "
        r"got 13 people and \d+ windows: new normal behaviour",
    ):
        GEPC(**SMALL).fit(crowd, device="cpu")


def test_few_held_out_people_are_warned_of_with_the_interval():
    several = simulate_crowd("train", num_clips=6, frames_per_clip=400, random_state=5)
    held_out = hold_out(several, Options(holdout=0.2))[1].num_tracks
    assert 1 < held_out < 20
    with pytest.warns(
        InputWarning,
        match=f"held-out people must be at least 20 for reliable thresholds, got {held_out}: the "
        r"threshold of windows has the 90% interval -?\d+\.\d\d (to|or) ",
    ):
        detector = GEPC(holdout=0.2, score_stride=4).fit(several, device="cpu")
    for frames, threshold in ((False, detector.threshold_), (True, detector.frame_threshold())):
        interval = detector.threshold_interval(frames=frames)
        assert interval.low <= threshold <= interval.high and interval.people == held_out
    detector.threshold_ = 9.0
    assert detector.threshold_interval() is None


def test_enough_people_give_no_warning(crowd, monkeypatch):
    for name in ("LEAST_PEOPLE", "LEAST_WINDOWS", "LEAST_HELD_OUT"):
        monkeypatch.setattr(sufficiency, name, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        # So short a training has a warning of its own.
        warnings.filterwarnings("ignore", "the autoencoder's error")
        GEPC(**SMALL).fit(crowd, device="cpu")
        # Nor where nobody was to be held out.
        GEPC(**{**SMALL, "holdout": 0.0}).fit(crowd, device="cpu")
