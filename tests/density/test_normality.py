"""Tests of gepc_geo.density.normality."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from gepc_geo.density.alterations import AlterationClassifier
from gepc_geo.density.mixture import DirichletProcessMixture, ilr
from gepc_geo.density.neighbours import NearestDistance
from gepc_geo.density.normality import Normality, Parts, Whitening, combine_views
from gepc_geo.options import MODES, NETWORK_MODES, WINDOW_MODES, Options
from gepc_geo.scoring.scorer import own_modes


def encoded(count: int = 300, seed: int = 0) -> Parts:
    """Latents, residuals and windows with 12, 8 and 8 directions of falling variance."""
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(count, 12, generator=generator) * torch.logspace(0, -2, 12)
    log_p = torch.randn(count, 4, generator=generator).log_softmax(1)
    residual = torch.randn(count, 8, generator=generator) * torch.logspace(0, -1, 8)
    window = torch.randn(count, 8, generator=generator) * torch.logspace(0, -1, 8)
    altered = torch.stack([window.flip(1), -window], dim=1)
    return {
        "latent": latent,
        "log_p": log_p,
        "residual": residual,
        "window": window,
        "altered": altered,
    }


def test_views_are_averaged_and_nearest_takes_the_lowest():
    scores = torch.tensor([[1.0, 5.0], [3.0, 2.0]])
    assert combine_views("nearest", scores).tolist() == [1.0, 2.0]
    for mode in ("altered", *NETWORK_MODES):
        assert combine_views(mode, scores).tolist() == [2.0, 3.5]


def people(count: int = 300) -> torch.Tensor:
    """Three windows each."""
    return torch.arange(count) // 3


@pytest.fixture(scope="module")
def fitted() -> Normality:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gepc_geo.density.normality.PRINCIPAL_COMPONENTS", 5)
        normality = Normality(Options(components=3), own_modes(MODES)).measure(encoded())
    points = normality.project(encoded())
    normality.fit(points, {mode: points[mode] for mode in WINDOW_MODES}, people())
    normality.calibrate(scores_of(normality, encoded(seed=1)))
    return normality


def scores_of(normality: Normality, parts: Parts) -> dict[str, torch.Tensor]:
    return normality.scores(normality.project(parts))


def whitened_by_scikit_learn(x: torch.Tensor, dims: int) -> np.ndarray:
    """Whitened components, and the standardised cube root of the squared reconstruction error."""
    array = x.double().numpy()
    pca = PCA(dims, whiten=True, svd_solver="full").fit(array)
    # scikit-learn divides by n - 1.
    parts = pca.transform(array) * math.sqrt(len(x) / (len(x) - 1))
    rest = np.cbrt(np.square(array - pca.inverse_transform(pca.transform(array))).sum(1))
    rest = (rest - rest.mean()) / rest.std(ddof=1)
    return np.concatenate([parts, rest[:, None]], axis=1)


@pytest.mark.parametrize("count", [300, 9])
def test_whitening_equals_scikit_learn(count):
    """Of tall and of wide data (12 columns)."""
    x = encoded(count)["latent"]
    ours = Whitening(5).fit(x)(x).numpy()
    expected = whitened_by_scikit_learn(x, 5)
    # Signs of components are free.
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), atol=1e-6)
    np.testing.assert_allclose(ours[:, -1], expected[:, -1], atol=1e-6)


def test_whitening_drops_directions_without_variance():
    x = torch.zeros(50, 6)
    x[:, :2] = encoded(50)["latent"][:, :2]
    # And nothing is left over, so there is no such column either.
    assert Whitening(64).fit(x)(x).shape == (50, 2)


def test_whitening_keeps_the_distance_from_the_subspace():
    """Two rows alike in the components kept, one of them off the subspace."""
    whitening = Whitening(5).fit(encoded()["latent"])
    row = encoded(1, seed=5)["latent"].double()
    off = torch.zeros(12, dtype=torch.float64)
    off[11] = 1.0
    off -= whitening.basis @ (whitening.basis.T @ off)
    inside, outside = whitening(row), whitening(row + off)
    torch.testing.assert_close(inside[:, :-1], outside[:, :-1])
    assert outside[0, -1] > inside[0, -1] + 3


def test_scores_of_all_modes_equal_their_definitions(fitted):
    other = encoded(40, seed=2)
    scores = scores_of(fitted, other)
    assert set(scores) == {*WINDOW_MODES, *NETWORK_MODES}
    torch.testing.assert_close(scores["max"], 1 - other["log_p"].exp().max(1).values.double())
    points, train = fitted.project(other), fitted.project(encoded())
    torch.testing.assert_close(points["assignment"], ilr(other["log_p"].double()))
    for mode in ("assignment", "latent", "reconstruction"):
        mixture = DirichletProcessMixture(3, random_state=0).fit(train[mode])
        torch.testing.assert_close(scores[mode], -mixture.log_density(points[mode]))
    nearest = NearestDistance().fit(train["nearest"], people())
    torch.testing.assert_close(scores["nearest"], nearest(points["nearest"]))
    told = AlterationClassifier(0).fit(train["altered"], people())
    torch.testing.assert_close(scores["altered"], told(points["altered"]))
    assert torch.equal(points["altered"][:, 0], points["nearest"])
    # All 8 columns are kept, so that distances are those of windows.
    torch.testing.assert_close(
        torch.pdist(points["nearest"]), torch.pdist(other["window"]), atol=1e-4, rtol=1e-4
    )


def test_only_modes_whose_parts_are_given_are_scored(fitted):
    parts = encoded(9, seed=2)
    alone = scores_of(fitted, {"window": parts["window"]})
    assert set(alone) == {"nearest"}
    assert torch.equal(alone["nearest"], scores_of(fitted, parts)["nearest"])
    without = Normality(Options(), ("nearest",)).measure({"window": parts["window"]})
    assert not without.mixtures and not without.whitening


def test_only_window_modes_leave_out_the_own_person(fitted):
    points = fitted.project(encoded())
    plain, apart = fitted.scores(points), fitted.scores(points, people())
    for mode in NETWORK_MODES:
        assert torch.equal(plain[mode], apart[mode])
    assert (plain["nearest"] + 0.5 < apart["nearest"]).all()
    # Two of three networks have seen them.
    assert plain["altered"].mean() < apart["altered"].mean()


def test_errors_count_relative_to_their_spread_in_training(fitted):
    """The same absolute error is more telling where training had less of it."""
    usual = encoded(1, seed=6)["residual"]
    quiet, noisy = usual.clone(), usual.clone()
    quiet[0, 7] += 1.0
    noisy[0, 0] += 1.0
    score = [
        scores_of(fitted, encoded(1) | {"residual": one})["reconstruction"].item()
        for one in (quiet, noisy)
    ]
    assert score[0] > score[1] + 3


def test_tail_probabilities_of_new_normal_windows_are_calibrated(fitted):
    """Of windows like those it was calibrated on every tail probability occurs as often."""
    tails = fitted.tails(scores_of(fitted, encoded(1000, seed=3)))
    for mode in ("assignment", "latent", "reconstruction"):
        assert float((tails[mode] > -math.log(0.1)).double().mean()) == pytest.approx(0.1, abs=0.05)


def test_a_restored_state_scores_the_same(fitted):
    again = Normality.from_state_dict(fitted.state_dict(), fitted.options, fitted.modes)
    other = encoded(30, seed=4)
    ours, theirs = scores_of(fitted, other), scores_of(again, other)
    for mode in own_modes(MODES):
        assert torch.equal(ours[mode], theirs[mode])
        assert torch.equal(fitted.tails(ours)[mode], again.tails(theirs)[mode])
