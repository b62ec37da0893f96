"""Percentiles of training and words, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore
from test_measures import moving, person, tracks_of

from gepc_geo import GEPC
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table
from gepc_geo.poses.sharding import clip_range
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.explanation import NOTHING, Explanation, TrainingMeasures, _extremeness
from gepc_geo.scoring.measures import UNITS
from gepc_geo.windows.dataset import PoseWindows

KNOTS = np.linspace(0, 100, 101)


def crowd(rng: np.random.Generator, count: int = 40, fps: float | None = 10.0) -> PoseTracks:
    """People who walk to the right or left with speeds of 0.02 to 0.04 body heights a frame."""
    people = []
    for number in range(count):
        step = (-1) ** number * rng.uniform(3, 6)
        path = np.stack([step * np.arange(24), np.full(24, 1000.0 * number)], 1)
        people.append(moving(path) + rng.normal(size=(24, 17, 2)))
    return tracks_of(*people, **({} if fps is None else {"fps": [fps]}))


@pytest.fixture(scope="module")
def training() -> TrainingMeasures:
    windows = PoseWindows(crowd(np.random.default_rng(0)), (8, 16))
    return TrainingMeasures.of(windows, 10.0)


def explained(training: TrainingMeasures, *people: np.ndarray) -> Explanation:
    return training.explain(PoseWindows(tracks_of(*people, fps=[10.0]), (8, 16)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=40), st.integers(0, 1000))
def test_percentiles_are_those_of_scipy(sample, seed):
    values = np.sort(np.random.default_rng(seed).choice(sample, size=101)).astype(float)
    asked = np.unique(values)
    expected = [percentileofscore(values, value, kind="mean") for value in asked]
    found = 50 + 50 * _extremeness(asked, values)
    # scipy counts values; a knot stands for half a percent on each side, the ends for one side.
    np.testing.assert_allclose(found, (np.array(expected) * 1.01) - 0.5, atol=1e-9)


def test_values_outside_of_training_are_farther_away():
    found = _extremeness(np.array([-25.0, 0.0, 25.0, 99.5, 100.0, 150.0, np.nan]), KNOTS)
    np.testing.assert_allclose(found, [-1.5, -1, -0.5, 0.99, 1, 2, np.nan])
    # A measure that is constant in training.
    np.testing.assert_allclose(_extremeness(np.array([0.0, 0.5]), np.zeros(101)), [0, 1.5])
    assert np.isnan(_extremeness(np.array([1.0]), np.full(101, np.nan))).all()


def test_the_fit_stores_quantiles_of_each_length():
    tracks = crowd(np.random.default_rng(0))
    windows = PoseWindows(tracks, (8, 16))
    training = TrainingMeasures.of(windows, 10.0)
    assert training.knots.shape == (2, len(UNITS), 101)
    found = training.explain(windows)
    for at, length in enumerate(training.lengths):
        speed = found.measures["speed"][windows.size == length]
        np.testing.assert_allclose(
            training.knots[at, 0], np.percentile(speed, np.arange(101)), rtol=1e-9
        )
        inside = found.percentiles["speed"][windows.size == length]
        expected = [percentileofscore(speed, value, kind="mean") for value in speed]
        np.testing.assert_allclose(inside, expected, atol=1.5)
    again = TrainingMeasures.from_state_dict(training.state_dict())
    np.testing.assert_array_equal(again.knots, training.knots)
    assert (again.lengths, again.fps) == (training.lengths, training.fps)
    # People are alone in their places: no distance is known to be usual.
    few = TrainingMeasures.of(PoseWindows(tracks.rows(tracks.track == 0), (8, 16)), 10.0)
    assert np.isnan(few.knots[1]).all()


def test_a_file_with_other_measures_has_no_explanations(training):
    state = {**training.state_dict(), "names": ["speed"]}
    assert TrainingMeasures.from_state_dict(state) is None


def test_words_name_what_is_unusual(training):
    right = np.stack([20.0 * np.arange(24), np.full(24, -3000.0)], 1)
    usual = np.stack([4.5 * np.arange(24), np.zeros(24)], 1)
    noise = np.random.default_rng(1).normal(size=(24, 17, 2))
    up = moving(usual + (0, 3000)) + noise
    up[:, 9] = up[:, 0] + (-15, -20)
    found = explained(training, moving(right) + noise, moving(usual) + noise, up)
    assert found.words(0, 0, 0, 23).startswith("faster than ever seen in training")
    assert found.words(0, 1, 0, 23) == NOTHING
    assert "arms above the head" in found.words(0, 2, 0, 23).split("; ")
    assert found.words(0, 3, 0, 23) == "" and found.words(1, 0, 0, 23) == ""
    # No window has its middle in a single frame at the end: those that contain it are meant.
    assert found.words(0, 0, 23, 23).startswith("faster than ever seen in training")


def test_a_stay_is_told_in_seconds_or_frames(training):
    noise = np.random.default_rng(2).normal(size=(150, 17, 2))
    found = explained(training, person(150) + noise)
    assert "stood in one place for 15 s" in found.words(0, 0, 0, 149)
    assert found.units["dwell"] == "seconds"
    tracks = crowd(np.random.default_rng(0), fps=None)
    framewise = TrainingMeasures.of(PoseWindows(tracks, (8, 16)), float("nan"))
    found = explained(framewise, person(150) + noise)
    assert "stood in one place for 149 frames" in found.words(0, 0, 0, 149)
    assert found.units["speed"] == "body heights a frame"


def by_hand(extremeness: dict[str, float]) -> str:
    """Words of one window with given extremeness; other measures are usual."""
    windows = PoseWindows(tracks_of(person(8)), 8)
    values = np.array([[extremeness.get(name, 0.0)] for name in UNITS])
    measures = {name: np.array([0.44]) for name in UNITS}
    found = Explanation(windows, measures, values)
    assert found.words(0, 0, 0, 7) == found.window_words()[0]
    return found.words(0, 0, 0, 7)


@pytest.mark.parametrize(
    ("extremeness", "words"),
    [
        ({}, NOTHING),
        ({"speed": 0.95}, NOTHING),
        ({"speed": 0.9501}, "faster than 97 % of training"),
        ({"speed": 0.999}, "faster than 99 % of training"),
        ({"speed": 1.01}, "faster than ever seen in training"),
        ({"speed": -0.97}, "slower than 98 % of training"),
        ({"across": -0.97}, "moved to the left faster than 98 % of training"),
        ({"approach": 0.97}, "came closer faster than 98 % of training"),
        ({"sideways": 0.97}, "moved sideways"),
        ({"posture": -1.5}, "body lower than ever seen in training"),
        ({"posture": 1.5}, NOTHING),
        ({"knee_bend": 1.5}, "legs bent more than ever seen in training"),
        ({"distance": -0.97}, "two people closer than usual (0.4 body heights)"),
        ({"distance": 0.97}, NOTHING),
        # One of those that say the same; the most extreme first.
        (
            {"speed": 0.96, "across": 1.5, "turn": 1.2},
            "changed direction by 0 degrees; faster than",
        ),
        ({"arms_up": 0.96, "elbow_range": 2.0}, "arms above the head"),
        # At most three.
        (
            {"speed": 1.1, "posture": -1.4, "knee_bend": 1.3, "acceleration": 1.2},
            "body lower than ever seen in training; legs bent more than ever seen in training; "
            "changed speed more suddenly than ever seen in training",
        ),
    ],
)
def test_words(extremeness, words):
    found = by_hand(extremeness)
    assert found == words or (words.endswith("than") and found.startswith(words))


def test_an_event_is_as_extreme_as_its_most_extreme_quarter():
    windows = PoseWindows(tracks_of(person(15)), 8)
    values = np.zeros((len(UNITS), 8))
    measures = {name: np.zeros(8) for name in UNITS}
    values[0, :2] = 0.97
    assert Explanation(windows, measures, values).words(0, 0, 0, 14) != NOTHING
    values[0, 1] = 0
    assert Explanation(windows, measures, values).words(0, 0, 0, 14) == NOTHING
    # Windows of which nothing is known do not count.
    values[:, 3:] = np.nan
    assert Explanation(windows, measures, values).words(0, 0, 0, 14) != NOTHING


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    return GEPC(lengths=["12", "24"], score_stride=4).fit(walkers, device="cpu")


def test_a_detector_explains_without_a_change_of_scores(detector, walkers):
    scored = detector.window_scores(walkers)
    explanation = detector.explain(walkers, scored)
    again = detector.explain(walkers)
    np.testing.assert_array_equal(explanation.extremeness, again.extremeness)
    fault = scored.quality.fault
    assert np.isnan(explanation.extremeness[:, fault]).all()
    known = ~fault & ~scored.windows.padded
    assert np.isfinite(explanation.percentiles["speed"][known]).mean() > 0.99
    # Training is usual.
    assert (explanation.window_words()[known] == NOTHING).mean() > 0.5


def test_models_keep_measures_and_old_ones_have_none(detector, walkers, tmp_path):
    detector.save(tmp_path / "model.pt")
    loaded = GEPC.load(tmp_path / "model.pt", device="cpu")
    np.testing.assert_array_equal(
        loaded.explain(walkers).extremeness, detector.explain(walkers).extremeness
    )
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    del state["measures"]
    torch.save(state, tmp_path / "old.pt")
    old = GEPC.load(tmp_path / "old.pt", device="cpu")
    assert old.explain(walkers) is None
    assert "why" not in score_table(old, walkers, "window", ScoreOptions())


def test_detectors_of_whole_clips_do_not_explain(walkers):
    detector = GEPC(frames=12).fit(walkers, device="cpu")
    assert detector.measures_ is None and detector.explain(walkers) is None


def test_tables_of_windows_have_percentiles_and_words(detector, walkers):
    columns = score_table(detector, walkers, "window", ScoreOptions())
    explanation = detector.explain(walkers)
    names = [f"{name}_percentile" for name in UNITS]
    assert list(columns)[-len(names) - 3 :] == ["score", *names, "why", "time"]
    assert set(columns["why"]) == set(explanation.window_words())
    part = score_table(detector, clip_range(walkers, 3, 7), "window", ScoreOptions())
    rows = np.isin(columns["clip"], walkers.clip_names[3:7])
    for name in (*names, "why"):
        np.testing.assert_array_equal(part[name], columns[name][rows])
