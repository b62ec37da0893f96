"""Tests of gepc_geo.normality."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from gepc_geo.engine import Encoded
from gepc_geo.mixture import DirichletProcessMixture, ilr
from gepc_geo.normality import FUSED, SINGLE, Normality, Whitening
from gepc_geo.options import Options


def encoded(count: int = 300, seed: int = 0) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(count, 12, generator=generator) * torch.logspace(0, -2, 12)
    log_p = torch.randn(count, 4, generator=generator).log_softmax(1)
    error = torch.rand(count, 3, generator=generator) * torch.tensor([1.0, 0.01, 0.1])
    return Encoded(latent, log_p, error)


@pytest.fixture(scope="module")
def fitted() -> Normality:
    normality = Normality(Options(components=3, latent_dims=5)).fit(encoded())
    normality.calibrate(normality.single_scores(encoded(seed=1)))
    return normality


def test_whitening_is_scikit_learns():
    x = encoded().latent
    expected = PCA(5, whiten=True, svd_solver="full").fit_transform(x.double().numpy())
    # scikit-learn divides by n - 1; signs of components are free.
    expected *= math.sqrt(len(x) / (len(x) - 1))
    ours = Whitening(5).fit(x)(x).numpy()
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), atol=1e-9)


def test_whitening_drops_directions_without_variance():
    x = torch.zeros(50, 6)
    x[:, :2] = encoded(50).latent[:, :2]
    assert Whitening(64).fit(x)(x).shape == (50, 2)


def test_modes_by_their_definitions(fitted):
    other = encoded(40, seed=2)
    scores = fitted.single_scores(other)
    assert tuple(scores) == SINGLE
    noise = encoded().error.double().mean(0)
    expected = torch.stack([other.error[:, c].double() / noise[c] for c in range(3)]).sum(0) / 3
    torch.testing.assert_close(scores["reconstruction"], expected)
    torch.testing.assert_close(scores["max"], 1 - other.log_p.exp().max(1).values.double())
    mixture = DirichletProcessMixture(3, random_state=0).fit(ilr(encoded().log_p.double()))
    torch.testing.assert_close(
        scores["assignment"], -mixture.log_density(ilr(other.log_p.double()))
    )


def test_a_noisy_channel_does_not_drown_a_quiet_one(fitted):
    """The same absolute error is more telling where training had less of it."""
    quiet, noisy = encoded(1), encoded(1)
    base = torch.tensor([[0.5, 0.005, 0.05]])
    quiet.error = base + torch.tensor([[0.0, 0.1, 0.0]])
    noisy.error = base + torch.tensor([[0.1, 0.0, 0.0]])
    score = [fitted.single_scores(one)["reconstruction"].item() for one in (quiet, noisy)]
    assert score[0] > 2 * score[1]


def test_fused_sums_log_tails(fitted):
    scores = fitted.single_scores(encoded(40, seed=3))
    expected = -sum(fitted.calibrators[mode].log_tail(scores[mode]) for mode in FUSED)
    torch.testing.assert_close(fitted.fused_score(scores), expected)


def test_state_comes_back(fitted):
    again = Normality.from_state_dict(fitted.state_dict(), fitted.options)
    other = encoded(30, seed=4)
    ours, theirs = fitted.single_scores(other), again.single_scores(other)
    for mode in SINGLE:
        assert torch.equal(ours[mode], theirs[mode])
    assert torch.equal(fitted.fused_score(ours), again.fused_score(theirs))
