"""Motion features by hand, and the mixture on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from gepc_geo.baselines import MotionMixture, motion_features
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows

STEPS = np.arange(4.0)


def boxes(center, width, height) -> PoseTracks:
    """Boxes of one person over time, with centre [T, 2]."""
    half = np.stack([width, height], 1)[:, None] / 2
    corners = np.array([[0, 0], [-1, -1], [1, -1], [-1, 1], [1, 1]])
    keypoints = np.asarray(center)[:, None] + corners * half
    count = len(keypoints)
    zeros = np.zeros(count, dtype=int)
    return PoseTracks.build(
        keypoints, np.ones((count, 5)), np.arange(count), zeros, zeros, "box5", ["clip"]
    )


def features(*arguments) -> np.ndarray:
    tracks = boxes(*arguments)
    return motion_features(PoseWindows(tracks, length=tracks.num_frames))


def test_a_steady_walk_has_one_velocity():
    # Two pixels to the right and one up a frame, four pixels tall.
    center = np.stack([2 * STEPS, -STEPS], 1)
    speed = np.sqrt(5) / 4
    expected = [0.5, -0.25, 0, 0, speed, 0, speed, np.log(0.5), 0, 0, 0]
    found = features(center, np.full(4, 2.0), np.full(4, 4.0))
    np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_stops_growth_and_turns_change_features():
    # Steps of 3, 0, -3 pixels to the side; a square body of 1, 2, 4 and 8 pixels (mean 3.75).
    size = 2.0**STEPS
    found = features([[0, 0], [3, 0], [3, 0], [0, 0]], size, size)
    step = 3 / 3.75
    expected = [
        0,
        0,
        step * np.sqrt(2 / 3),
        0,
        step * 2 / 3,
        step * np.sqrt(2) / 3,
        step,
        0,
        0,
        np.log(2),
        np.log(2) * np.sqrt(1.25),
    ]
    np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_depth_is_a_horizontal_direction():
    """A person 2 tall, 3 wide and 4 deep who walks 1 along x and 1 along z a frame."""
    corners = np.array([[0, 0, 0], [3, 2, 4], [0, 2, 0], [3, 0, 4], [0, 0, 4]], dtype=float)
    keypoints = corners + STEPS[:, None, None] * [1, 0, 1]
    zeros = np.zeros(4, dtype=int)
    tracks = PoseTracks.build(
        keypoints, np.ones((4, 5)), np.arange(4), zeros, zeros, "box5", ["clip"]
    )
    speed = np.sqrt(2) / 2
    expected = [speed, 0, 0, 0, speed, 0, speed, np.log(2.5), 0, 0, 0]
    found = motion_features(PoseWindows(tracks, length=4))
    np.testing.assert_allclose(found, [expected], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.5, 4),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    mirrored=st.booleans(),
)
def test_position_size_and_mirroring_do_not_change_features(seed, scale, shift, mirrored):
    rng = np.random.default_rng(seed)
    center = rng.uniform(0, 50, (6, 2))
    size = rng.uniform(10, 40, (2, 6))
    other = center * ([-1, 1] if mirrored else [1, 1]) * scale + shift
    np.testing.assert_allclose(features(other, *(scale * size)), features(center, *size), atol=2e-3)


def test_joints_in_one_point_have_finite_features():
    assert np.isfinite(features(np.zeros((4, 2)), np.zeros(4), np.zeros(4))).all()


@pytest.fixture(scope="module")
def model(walkers):
    return MotionMixture(Options(lengths=["12"], random_state=2), components=3).fit(
        walkers, device="cpu"
    )


def test_scores_are_minus_log_densities_of_standardised_features(model, walkers):
    train = motion_features(model.pipeline_.training_windows(walkers))
    x = motion_features(model.windows(walkers))
    x = (x - train.mean(0)) / train.std(0)
    mixture = model.model_[-1]
    density = np.stack(
        [
            np.log(weight) + multivariate_normal(mean, covariance).logpdf(x)
            for weight, mean, covariance in zip(
                mixture.weights_, mixture.means_, mixture.covariances_, strict=True
            )
        ]
    )
    np.testing.assert_allclose(
        model.decision_function(walkers), -logsumexp(density, axis=0), rtol=1e-6, atol=1e-6
    )


def test_runners_score_higher_than_walkers(model):
    crowd = simulate_crowd("test", num_clips=9, frames_per_clip=72, random_state=5)
    windows = model.windows(crowd)
    windows = windows.subset(~windows.padded)
    score = model.score_windows(windows)
    kind = np.array(crowd.clip_label)[windows.clip]
    worst = {
        name: np.median(
            [score[windows.clip == c].max() for c in np.unique(windows.clip[kind == name])]
        )
        for name in ("running", "normal")
    }
    assert worst["running"] > worst["normal"] + 5


def test_equal_seeds_give_equal_scores_and_no_people_no_scores(model, walkers):
    again = MotionMixture(Options(lengths=["12"], random_state=2), components=3).fit(
        walkers, device="cpu"
    )
    np.testing.assert_array_equal(
        again.decision_function(walkers), model.decision_function(walkers)
    )
    nobody = walkers.rows(np.zeros(walkers.num_frames, dtype=bool))
    assert model.decision_function(nobody).shape == (0,)
