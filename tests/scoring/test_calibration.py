"""Thresholds and tail probabilities of given scores, against quantiles and loops in NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring import calibration as calibration_module
from gepc_geo.scoring.calibration import Calibration
from gepc_geo.scoring.learning import Learned
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.scoring.uncertainty import Interval
from gepc_geo.windows.dataset import PoseWindows

#: A window mode, which learns from held-out windows too, and a mode of a network.
MODES = ("nearest", "max")
SHARE = 0.1


class GivenScores:
    """A scorer of windows of 4 frames whose scores are given; it keeps what it is asked for."""

    def __init__(self, raw: dict[str, torch.Tensor]) -> None:
        self.given, self.fitted_to, self.person = raw, {}, None
        self.normality = {4: SimpleNamespace(calibrate=self.fitted_to.update)}

    def raw(self, windows, quiet, person):
        self.person = person
        return {mode: score[: len(windows)] for mode, score in self.given.items()}

    def comparable(self, windows, raw):
        return raw


def windows_of(people: int, frames: int, length: int = 4) -> PoseWindows:
    """Windows of people in one clip."""
    count = people * frames
    tracks = PoseTracks.build(
        np.zeros((count, 5, 2), np.float32),
        np.ones((count, 5), np.float32),
        np.tile(np.arange(frames), people),
        np.repeat(np.arange(people), frames),
        np.zeros(count, np.int64),
        "box5",
        ["clip"],
    )
    return PoseWindows(tracks, length)


def scores_of(windows: PoseWindows, seed: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return {mode: torch.as_tensor(rng.gumbel(size=len(windows))) for mode in MODES}


@pytest.fixture
def training() -> Learned:
    windows = windows_of(6, 12)
    return Learned({}, windows, scores_of(windows, 0), 6)


def frame_means(windows: PoseWindows, score: np.ndarray) -> list[float]:
    """The mean score of the windows around each frame of each person."""
    around: dict[tuple[int, int], list[float]] = {}
    for person, start, value in zip(windows.person, windows.frame, score, strict=True):
        for frame in range(start, start + windows.length):
            around.setdefault((person, frame), []).append(float(value))
    return [float(np.mean(values)) for values in around.values()]


def test_thresholds_are_quantiles_of_held_out_windows(training):
    held_out = windows_of(5, 20)
    scorer = GivenScores(scores_of(held_out, 1))
    found = Calibration.of(scorer, training, held_out, SHARE)
    for mode in MODES:
        scores = scorer.given[mode].numpy()
        assert found.thresholds[mode] == pytest.approx(np.quantile(scores, 0.9), abs=1e-12)
        assert found.most_normal[mode] == training.scores[mode].min()
    np.testing.assert_array_equal(scorer.person, held_out.person + 6)


def test_a_share_of_normal_person_frames_is_above_the_frame_threshold(training):
    held_out = windows_of(20, 30)
    scorer = GivenScores(scores_of(held_out, 2))
    found = Calibration.of(scorer, training, held_out, SHARE)
    for mode in MODES:
        means = frame_means(held_out, scorer.given[mode].numpy())
        assert len(means) == 600
        for share in (SHARE, 0.2, 0.5):
            above = np.mean(np.array(means) > found.frame_threshold(mode, share))
            assert above == pytest.approx(share, abs=0.01)


def test_window_modes_are_calibrated_on_training_windows_too(training):
    held_out = windows_of(5, 20)
    scorer = GivenScores(scores_of(held_out, 3))
    Calibration.of(scorer, training, held_out, SHARE)
    both = torch.cat([training.scores["nearest"], scorer.given["nearest"]])
    assert torch.equal(scorer.fitted_to["nearest"], both)
    assert torch.equal(scorer.fitted_to["max"], scorer.given["max"])


def test_without_held_out_windows_everything_is_of_training_windows(training):
    nobody = windows_of(1, 4).subset([])
    scorer = GivenScores({mode: torch.zeros(0, dtype=torch.float64) for mode in MODES})
    found = Calibration.of(scorer, training, nobody, SHARE)
    for mode in MODES:
        assert torch.equal(scorer.fitted_to[mode], training.scores[mode])
        expected = np.quantile(training.scores[mode].numpy(), 0.9)
        assert found.thresholds[mode] == pytest.approx(expected, abs=1e-12)


def test_of_many_held_out_windows_all_windows_of_some_people_are_used(training, monkeypatch):
    monkeypatch.setattr(calibration_module, "MOST_WINDOWS", 50)
    held_out = windows_of(40, 8)
    scorer = GivenScores(scores_of(held_out, 4))
    Calibration.of(scorer, training, held_out, SHARE)
    people, counts = np.unique(scorer.person - 6, return_counts=True)
    # 5 windows a person: 10 of the 40 people, from the first to the last.
    assert counts.tolist() == [5] * 10
    np.testing.assert_array_equal(people, np.linspace(0, 39, 10).round())


def test_further_normal_windows_raise_thresholds_and_lower_none():
    windows = windows_of(20, 20)
    rng = np.random.default_rng(5)
    normal = rng.gumbel(size=len(windows))
    tails = TailCalibrator().fit(torch.as_tensor(frame_means(windows, normal)))
    old = Calibration(
        {mode: float(np.quantile(normal, 0.9)) for mode in MODES},
        {mode: float(normal.min()) for mode in MODES},
        dict.fromkeys(MODES, tails),
    )
    higher, lower = normal + 3, np.full(len(windows), normal.min() - 1)
    found = old.extended(WindowScores(windows, {"nearest": higher, "max": lower}), SHARE)
    assert found.thresholds == {
        "nearest": pytest.approx(np.quantile(higher, 0.9)),
        "max": old.thresholds["max"],
    }
    assert found.most_normal == {
        "nearest": old.most_normal["nearest"],
        "max": normal.min() - 1,
    }
    # The old distribution counts as 2,000 frames: of these and the new ones a share is above.
    threshold = found.frame_threshold("nearest", SHARE)
    before, new = (np.array(frame_means(windows, score)) for score in (normal, higher))
    above = (2000 * np.mean(before > threshold) + np.sum(new > threshold)) / (2000 + len(new))
    assert above == pytest.approx(SHARE, abs=0.01)
    assert found.frame_threshold("max", SHARE) == pytest.approx(old.frame_threshold("max", SHARE))


def test_a_restored_calibration_has_the_same_thresholds(training):
    held_out = windows_of(5, 20)
    found = Calibration.of(GivenScores(scores_of(held_out, 6)), training, held_out, SHARE)
    again = Calibration.from_state_dict(found.state_dict())
    assert (again.thresholds, again.most_normal) == (found.thresholds, found.most_normal)
    for mode in MODES:
        assert again.frame_threshold(mode, 0.2) == found.frame_threshold(mode, 0.2)
    assert again.intervals == found.intervals and set(found.intervals) == set(MODES)
    assert again.person_intervals == found.person_intervals


def test_thresholds_have_intervals_of_the_held_out_people(training):
    held_out = windows_of(30, 20)
    scorer = GivenScores(scores_of(held_out, 7))
    found = Calibration.of(scorer, training, held_out, SHARE)
    for mode in MODES:
        interval = found.intervals[mode]
        assert interval == Interval.of(scorer.given[mode].numpy(), held_out.person, SHARE)
        assert interval.low < found.thresholds[mode] < interval.high and interval.people == 30
        assert found.person_intervals[mode].low < found.frame_threshold(mode, SHARE)
    nobody = windows_of(1, 4).subset([])
    unknown = Calibration.of(
        GivenScores({mode: torch.zeros(0, dtype=torch.float64) for mode in MODES}),
        training,
        nobody,
        SHARE,
    )
    assert unknown.intervals == unknown.person_intervals == {}


def test_calibrations_of_versions_without_intervals_are_read(training):
    held_out = windows_of(5, 20)
    state = Calibration.of(
        GivenScores(scores_of(held_out, 6)), training, held_out, SHARE
    ).state_dict()
    old = {name: state[name] for name in ("thresholds", "most_normal", "person")}
    assert Calibration.from_state_dict(old).intervals == {}
