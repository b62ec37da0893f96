"""Scores of windows by a plain encoder and model, against formulas in NumPy, window by window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.errors import InputError
from gepc_geo.options import COMBINED
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.scorer import WindowScorer, all_modes, own_modes
from gepc_geo.windows.dataset import PoseWindows

MODES = ("nearest", "altered")


class ChosenJoint:
    """An encoder: the x coordinates of one joint, which is the number of the view."""

    def __init__(self) -> None:
        augment = SimpleNamespace(num_scored=2)
        self.pipeline = SimpleNamespace(
            augment=augment, mean=torch.zeros(0), quality_of=lambda *_: None
        )

    def __call__(self, batch, choice, modes):
        x = batch.x.unflatten(0, (batch.num_graphs, -1))
        return {"window": x[:, choice, :, 0].double()}


class SquaredMean:
    """A model: the squared mean of a row, plus a tenth of the person's number if it is given."""

    modes = MODES

    def __init__(self) -> None:
        self.calibrators = {}

    def project(self, parts):
        return {mode: parts["window"] for mode in MODES}

    def scores(self, points, person=None):
        extra = 0 if person is None else person / 10
        return {mode: rows.mean(1).square() + extra for mode, rows in points.items()}

    def tails(self, scores):
        return {mode: -self.calibrators[mode].log_tail(score) for mode, score in scores.items()}


def windows_of(lengths: tuple[int, ...]) -> PoseWindows:
    """Windows of 2 people in 2 clips, 9 and 7 frames long."""
    rng = np.random.default_rng(0)
    size = [9, 7, 9, 7]
    tracks = PoseTracks.build(
        rng.normal(size=(sum(size), 5, 2)).astype(np.float32),
        np.ones((sum(size), 5), np.float32),
        np.concatenate([np.arange(count) for count in size]),
        np.repeat([3, 8, 3, 8], size),
        np.repeat([0, 0, 1, 1], size),
        "box5",
        ["gate", "yard"],
    )
    return PoseWindows(tracks, lengths)


def expected(windows: PoseWindows, person: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The scores of the encoder and the model above, one window at a time."""
    views = []
    for first, size in zip(windows.first, windows.size, strict=True):
        rows = windows.table.keypoints[first : first + size].astype(np.float64)
        views.append(rows[:, :2, 0].mean(0) ** 2)
    views = np.stack(views) + (0 if person is None else person[:, None] / 10)
    return {"nearest": views.min(1), "altered": views.mean(1)}


@pytest.fixture
def windows() -> PoseWindows:
    return windows_of((4, 6))


@pytest.fixture
def scorer() -> WindowScorer:
    return WindowScorer(ChosenJoint(), {4: SquaredMean(), 6: SquaredMean()})


@pytest.mark.parametrize("batch", [1, 5, 512])
def test_every_window_has_the_score_of_its_own_frames(scorer, windows, batch, monkeypatch):
    """Whatever the batch: nearest is the lowest of the views, altered their mean."""
    monkeypatch.setattr("gepc_geo.scoring.scorer.BATCH", {"cpu": batch})
    mixed = windows.subset(np.random.default_rng(1).permutation(len(windows)))
    found, formula = scorer.raw(mixed), expected(mixed)
    assert set(found) == set(MODES) and set(mixed.size) == {4, 6}
    for mode, score in found.items():
        np.testing.assert_allclose(score, formula[mode], rtol=1e-5)
    only = scorer.raw(mixed, ["altered"])
    assert set(only) == {"altered"} and torch.equal(only["altered"], found["altered"])


@pytest.mark.parametrize("batch", [5, 512])
def test_the_model_gets_the_person_of_each_window(scorer, windows, batch, monkeypatch):
    monkeypatch.setattr("gepc_geo.scoring.scorer.BATCH", {"cpu": batch})
    person = windows.person + 20
    for mode, score in scorer.raw(windows, person=person).items():
        np.testing.assert_allclose(score, expected(windows, person)[mode], rtol=1e-5)


def test_points_are_all_windows_of_one_view_and_then_of_the_next(scorer, windows, monkeypatch):
    monkeypatch.setattr("gepc_geo.scoring.scorer.BATCH", {"cpu": 5})
    part = windows.of_length(6)
    x = part.table.keypoints[part.rows(), :, 0]
    points = scorer.points(part)["nearest"]
    np.testing.assert_array_equal(points, np.concatenate([x[..., 0], x[..., 1]]))


def test_full_batches_repeat_a_window_and_leave_the_repeats_out(scorer, windows, monkeypatch):
    monkeypatch.setattr("gepc_geo.scoring.scorer.BATCH", {"cpu": 5})
    found = []
    for batch, index, length in scorer.full_batches(windows):
        assert batch.num_graphs == 5
        assert set(windows.size[index]) == {length}
        repeated = set(batch.window[len(index) :].tolist())
        assert torch.equal(batch.window[: len(index)], index) and repeated <= {int(index[0])}
        found += index.tolist()
    assert sorted(found) == list(range(len(windows)))


def calibrated(scorer: WindowScorer) -> dict[int, np.ndarray]:
    """Calibrates every mode on 20 scores of each length, and returns the scores by length."""
    rng = np.random.default_rng(2)
    normal = {length: np.sort(rng.gamma(2.0, length, 20)) for length in scorer.normality}
    for length, model in scorer.normality.items():
        tails = TailCalibrator().fit(torch.as_tensor(normal[length]))
        model.calibrators = dict.fromkeys(MODES, tails)
    return normal


def test_scores_of_several_lengths_are_log_tails_among_normal_windows(scorer, windows):
    """The i-th smallest of n normal scores, from 1, has the tail 1 - i / (n + 1)."""
    normal = calibrated(scorer)
    rank = np.random.default_rng(3).integers(0, 14, (2, len(windows)))
    raw = {
        mode: torch.tensor([normal[n][i] for n, i in zip(windows.size, ranks, strict=True)])
        for mode, ranks in zip(MODES, rank, strict=True)
    }
    tails = -np.log(1 - (rank + 1) / 21)
    found = scorer.comparable(windows, raw)
    assert list(found) == [COMBINED, *MODES]
    for mode, score in zip(MODES, tails, strict=True):
        np.testing.assert_allclose(found[mode], score)
    np.testing.assert_allclose(found[COMBINED], tails.mean(0))


def test_scores_of_one_length_stay_and_only_combined_is_of_tails():
    scorer, windows = WindowScorer(ChosenJoint(), {4: SquaredMean()}), windows_of((4,))
    normal = calibrated(scorer)[4]
    rank = np.random.default_rng(4).integers(0, 14, (2, len(windows)))
    raw = {mode: torch.as_tensor(normal[ranks]) for mode, ranks in zip(MODES, rank, strict=True)}
    found = scorer.comparable(windows, raw)
    for mode in MODES:
        assert torch.equal(found[mode], raw[mode])
    np.testing.assert_allclose(found[COMBINED], -np.log(1 - (rank + 1) / 21).mean(0))


def test_a_few_windows_have_the_same_scores(scorer, windows):
    calibrated(scorer)
    few = windows.subset([0, 7, len(windows) - 1])
    every, found = scorer(windows).scores, scorer.score_few(few).scores
    assert list(found) == [COMBINED, *MODES]
    for mode, score in found.items():
        np.testing.assert_allclose(score, every[mode][[0, 7, len(windows) - 1]], rtol=1e-6)


def test_combined_needs_both_window_modes():
    assert own_modes([COMBINED]) == ("nearest", "altered")
    assert own_modes(["max", COMBINED, "altered"]) == ("max", "nearest", "altered")
    assert all_modes(["nearest", "altered"]) == (COMBINED, "nearest", "altered")
    assert all_modes(["nearest", "max"]) == ("nearest", "max")


def test_a_score_that_is_not_finite_is_refused_with_its_window(scorer, windows):
    here = (windows.clip == 1) & (windows.track == 8) & (windows.frame == 3)
    number = np.flatnonzero(here)[0]
    windows.table.channels[windows.first[number] + 3] = np.nan
    reached = windows.subset([0, number])
    with pytest.raises(
        InputError,
        match="the score of person 8 from frame 3 of clip 'yard' must be finite, got NaN or "
        "infinity",
    ):
        scorer(reached)
