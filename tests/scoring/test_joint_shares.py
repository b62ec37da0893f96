"""Shares of joints in scores that are known functions, against finite differences and by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.fft import dct, idct
from torch import Tensor

from gepc_geo.options import COMBINED, Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.joint_shares import input_shares, joint_shares
from gepc_geo.scoring.scorer import WindowScorer
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

FRAMES, JOINTS = 6, 5


class BodyEncoder:
    """An encoder whose part is the body's standardised coordinates."""

    def __init__(self, pipeline: InputPipeline) -> None:
        self.pipeline = pipeline

    def of_inputs(self, inputs, modes):
        return {"window": inputs.body.double()}


class GivenScore:
    """A model whose score of each mode is a given function of the body."""

    def __init__(self, **functions: Callable[[Tensor], Tensor]) -> None:
        self.functions = functions

    def project(self, parts):
        return {mode: parts["window"] for mode in self.functions}

    def scores(self, points, person=None):
        return {mode: function(points[mode]) for mode, function in self.functions.items()}

    def tails(self, scores):
        weights = {"nearest": 3.0, "altered": 1.0}
        return {mode: torch.full_like(score, weights[mode]) for mode, score in scores.items()}


@pytest.fixture
def windows() -> PoseWindows:
    rng = np.random.default_rng(0)
    count = 5 * 8
    tracks = PoseTracks.build(
        rng.normal(100, 20, (count, JOINTS, 2)).astype(np.float32),
        np.ones((count, JOINTS), np.float32),
        np.tile(np.arange(8), 5),
        np.repeat(np.arange(5), 8),
        np.zeros(count, np.int64),
        "box5",
        ["clip"],
        fps=[25],
    )
    return PoseWindows(tracks, FRAMES)


def scorer_for(windows: PoseWindows, model: GivenScore, **options: object) -> WindowScorer:
    tracks = windows.table.source
    pipeline = InputPipeline.for_tracks(tracks, Options(lengths=[str(FRAMES)], **options))
    pipeline.fit(WindowLoader(windows, 64))
    return WindowScorer(BodyEncoder(pipeline), {FRAMES: model})


def shares_of(scorer: WindowScorer, windows: PoseWindows, mode: str) -> np.ndarray:
    shares = np.zeros((len(windows), FRAMES, JOINTS))
    for index, share in input_shares(scorer, windows, mode):
        shares[index] = share
    return shares


def weighted_square(steps: int) -> Callable:
    """A sum of weighted squares of a body [B, S, V, C]; of tensors and of arrays."""
    weight = np.random.default_rng(1).uniform(0.5, 2, (steps, JOINTS, 2))

    def score(body):
        if isinstance(body, Tensor):
            return (torch.as_tensor(weight) * body.square()).sum((1, 2, 3))
        return (weight * body**2).sum((1, 2, 3))

    return score


def differences(score: Callable, frames: np.ndarray) -> np.ndarray:
    """Share of each frame and joint before scaling: |x ds/dx| by central differences [B, T, V]."""
    share = np.zeros(frames.shape)
    for place in np.ndindex(frames.shape[1:]):
        step = np.zeros(frames.shape)
        step[(slice(None), *place)] = 1e-3
        share[(slice(None), *place)] = (score(frames + step) - score(frames - step)) / 2e-3
    return np.abs(share * frames).sum(3)


def bodies(scorer: WindowScorer, windows: PoseWindows, choice: int) -> np.ndarray:
    batch = next(iter(WindowLoader(windows, len(windows))))
    choices = torch.full((len(windows),), choice)
    return scorer.encoder.pipeline(batch, choices).body.double().numpy()


@pytest.mark.parametrize("coefficients", [3, 6])
def test_shares_of_coefficients_are_those_of_their_frames(windows, coefficients):
    """Frames by SciPy's cosine transform, and the score as a function of frames."""
    score = weighted_square(coefficients)
    model = GivenScore(altered=score)
    scorer = scorer_for(windows, model, augment="none", coefficients=coefficients)
    body = bodies(scorer, windows, 0)
    frames = idct(body * np.sqrt(FRAMES), n=FRAMES, axis=1, norm="ortho")

    def of_frames(x):
        return score(dct(x, axis=1, norm="ortho")[:, :coefficients] / np.sqrt(FRAMES))

    share = differences(of_frames, frames)
    expected = share / share.sum((1, 2), keepdims=True)
    np.testing.assert_allclose(shares_of(scorer, windows, "altered"), expected, atol=1e-5)


def test_shares_of_a_mirrored_view_belong_to_the_joints_of_the_window(windows):
    score = weighted_square(FRAMES)
    scorer = scorer_for(windows, GivenScore(altered=score), augment="flip", coefficients=0)
    plain, mirrored = (differences(score, bodies(scorer, windows, choice)) for choice in (0, 1))
    # box5: the centre, then left and right at the top and at the bottom.
    share = plain + mirrored[:, :, [0, 2, 1, 4, 3]]
    expected = share / share.sum((1, 2), keepdims=True)
    np.testing.assert_allclose(shares_of(scorer, windows, "altered"), expected, atol=1e-5)


def test_nearest_has_the_shares_of_the_lower_view(windows):
    score = weighted_square(FRAMES)
    scorer = scorer_for(windows, GivenScore(nearest=score), augment="flip", coefficients=0)
    views = [bodies(scorer, windows, choice) for choice in (0, 1)]
    plain, mirrored = (differences(score, view) for view in views)
    lower = score(views[0]) < score(views[1])
    assert lower.any() and not lower.all()
    share = np.where(lower[:, None, None], plain, mirrored[:, :, [0, 2, 1, 4, 3]])
    expected = share / share.sum((1, 2), keepdims=True)
    np.testing.assert_allclose(shares_of(scorer, windows, "nearest"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("nearest", [0, 1, 0, 0, 0]),
        ("altered", [0, 0, 0, 1, 0]),
        # Weighted by the tails, 3 and 1.
        (COMBINED, [0, 0.75, 0, 0.25, 0]),
    ],
)
def test_a_joint_that_alone_makes_the_score_has_the_whole_share(windows, mode, expected):
    model = GivenScore(
        nearest=lambda body: body[:, :, 1].square().sum((1, 2)),
        altered=lambda body: body[:, :, 3].square().sum((1, 2)),
    )
    scorer = scorer_for(windows, model, augment="none", coefficients=0)
    found = joint_shares(scorer, windows, mode)
    np.testing.assert_allclose(found, np.tile(expected, (len(windows), 1)), atol=1e-6)


def test_a_score_that_depends_on_nothing_has_equal_shares(windows):
    model = GivenScore(altered=lambda body: 0 * body.sum((1, 2, 3)))
    scorer = scorer_for(windows, model, augment="flip", coefficients=0)
    found = shares_of(scorer, windows, "altered")
    np.testing.assert_allclose(found, 1 / (FRAMES * JOINTS), rtol=1e-5)


def test_joint_shares_are_sums_over_frames_whatever_the_batch(windows, monkeypatch):
    scorer = scorer_for(windows, GivenScore(altered=weighted_square(4)), coefficients=4)
    expected = shares_of(scorer, windows, "altered").sum(1)
    monkeypatch.setattr("gepc_geo.scoring.scorer.BATCH", {"cpu": 2})
    mixed = np.random.default_rng(2).permutation(len(windows))
    found = joint_shares(scorer, windows.subset(mixed), "altered")
    np.testing.assert_allclose(found, expected[mixed], atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
