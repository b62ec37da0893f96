"""Baselines on flattened windows, compared with scikit-learn on the same rows."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn import ensemble, svm
from sklearn.exceptions import ConvergenceWarning

from gepc_geo.baselines import (
    IsolationForest,
    Mixture,
    NearestNeighbour,
    OneClassSVM,
    flatten,
)
from gepc_geo.baselines import flat as module
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.options import Options
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

#: Windows of 12 frames.
ONE = Options(lengths=["12"])
FLAT = (NearestNeighbour, Mixture, IsolationForest, OneClassSVM)


@pytest.fixture(scope="module")
def others():
    return simulate_crowd("test", num_clips=3, frames_per_clip=40, random_state=1)


def rows(model, walkers, others):
    """Training and scored rows of a fitted baseline, in principal components."""
    pipeline = model.pipeline_
    windows = pipeline.windows(walkers, 8)
    windows = windows.subset(~windows.padded)
    train = np.concatenate([flatten(pipeline, windows, choice) for choice in range(10)])
    test = flatten(pipeline, model.windows(others))
    return model.pca_.transform(train), model.pca_.transform(test)


def test_windows_are_flattened_in_order(walkers):
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options(), (12,))
    windows = pipeline.windows(walkers, 6)
    pipeline.fit(WindowLoader(windows, batch_size=64))
    flat = flatten(pipeline, windows)
    assert flat.shape == (len(windows), 6 * 17 * 2 + 3 * 4)
    last = next(iter(WindowLoader(windows.subset(np.array([len(windows) - 1])), batch_size=1)))
    expected = pipeline(last).flat()[0].numpy()
    np.testing.assert_allclose(flat[-1], expected, atol=1e-6)


def test_windows_are_flattened_on_the_device_of_the_pipeline(walkers, monkeypatch):
    """The meta device stands for a GPU: mixing it with the CPU fails."""
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options(), (12,))
    windows = pipeline.windows(walkers, 6)
    pipeline.fit(WindowLoader(windows, batch_size=64))
    pipeline.to(torch.device("meta"))
    came_from = []

    def copy_to_host(tensor):
        came_from.append(tensor.device.type)
        return torch.zeros(tensor.shape)

    monkeypatch.setattr(torch.Tensor, "cpu", copy_to_host)
    flat = flatten(pipeline, windows, 1)
    assert isinstance(flat, np.ndarray) and flat.shape == (len(windows), 6 * 17 * 2 + 3 * 4)
    assert set(came_from) == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_flattens_as_the_cpu_does(walkers):
    pipeline = InputPipeline(walkers.skeleton, 2, 0, Options(), (12,))
    windows = pipeline.windows(walkers, 6)
    pipeline.fit(WindowLoader(windows, batch_size=64))
    expected = flatten(pipeline, windows, 1)
    there = flatten(pipeline.to(torch.device("cuda")), windows, 1)
    np.testing.assert_allclose(there, expected, atol=1e-4)


def test_nearest_neighbour_scores_the_smallest_distance(walkers, others):
    model = NearestNeighbour(ONE, dims=16).fit(walkers, device="cpu")
    train, test = rows(model, walkers, others)
    expected = np.sqrt(((test[:, None].astype(float) - train) ** 2).sum(-1)).min(1)
    np.testing.assert_allclose(model.decision_function(others), expected, rtol=1e-3)


def test_mirrored_training_windows_are_as_near_as_plain_ones(walkers):
    """In 2D, mirrored training clips are training clips too."""
    x = walkers.keypoints.copy()[:, walkers.skeleton.mirror()]
    x[..., 0] = 856 - x[..., 0]
    mirrored = walkers.with_(
        keypoints=x, confidence=walkers.confidence[:, walkers.skeleton.mirror()]
    )
    options = Options(lengths=["12"], score_stride=8)
    model = NearestNeighbour(options).fit(walkers, device="cpu")
    windows = model.windows(mirrored)
    assert model.score_windows(windows)[~windows.padded].max() < 0.03
    plain = NearestNeighbour(Options(lengths=["12"], score_stride=8, augment="none")).fit(
        walkers, device="cpu"
    )
    assert np.median(plain.score_windows(windows)[~windows.padded]) > 1


def test_principal_components_hold_the_most_variance(walkers):
    model = NearestNeighbour(ONE, dims=4).fit(walkers, device="cpu")
    windows = model.pipeline_.training_windows(walkers)
    x = np.concatenate([flatten(model.pipeline_, windows, choice) for choice in range(10)])
    values = np.linalg.svd((x - x.mean(0)).astype(float), compute_uv=False) ** 2
    np.testing.assert_allclose(
        model.pca_.explained_variance_ratio_, values[:4] / values.sum(), rtol=0.01
    )


def test_mixture_scores_minus_the_log_density(walkers, others):
    model = Mixture(Options(lengths=["12"], random_state=4), dims=8, components=3).fit(
        walkers, device="cpu"
    )
    train, test = rows(model, walkers, others)
    score = model.decision_function(others)
    # After each EM step, mixture and data have the same mean.
    np.testing.assert_allclose(
        model.model_.weights_ @ model.model_.means_, train.mean(0), atol=1e-2
    )
    density = np.stack(
        [
            np.log(weight) + multivariate_normal(mean, covariance).logpdf(test)
            for weight, mean, covariance in zip(
                model.model_.weights_, model.model_.means_, model.model_.covariances_, strict=True
            )
        ]
    )
    np.testing.assert_allclose(score, -logsumexp(density, axis=0), rtol=1e-4)
    assert model.model_.get_params()["random_state"] == 4


def test_mixture_of_equal_windows_has_finite_scores(walkers, others):
    """Without any movement there is no variance, and a relative ridge would be zero."""
    still = walkers.with_(keypoints=np.ones_like(walkers.keypoints))
    model = Mixture(Options(lengths=["12"], stride=24), components=3)
    with warnings.catch_warnings():
        # There are fewer distinct rows than components.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(still, device="cpu")
    assert np.isfinite(model.decision_function(others)).all()


def test_isolation_forest_equals_scikit_learn(walkers, others):
    model = IsolationForest(Options(lengths=["12"], random_state=4), dims=8).fit(
        walkers, device="cpu"
    )
    train, test = rows(model, walkers, others)
    theirs = ensemble.IsolationForest(random_state=4).fit(train)
    assert model.model_.get_params() == theirs.get_params()
    # Rounding can move rows across a cut and change the trees.
    same_order = np.corrcoef(model.decision_function(others), -theirs.score_samples(test))[0, 1]
    assert same_order > 0.9


@pytest.mark.parametrize("most", [40, 10_000])
def test_one_class_svm_equals_scikit_learn_on_a_seeded_sample(walkers, others, monkeypatch, most):
    monkeypatch.setattr(module, "SVM_ROWS", most)
    model = OneClassSVM(Options(lengths=["12"], random_state=2), dims=8).fit(walkers, device="cpu")
    train, test = rows(model, walkers, others)
    if most < len(train):
        train = train[np.random.default_rng(2).choice(len(train), most, replace=False)]
    # Columns of a sample are not quite centred; scikit-learn assumes centred columns.
    theirs = svm.OneClassSVM(nu=0.1, gamma="scale").fit(train - train.mean(0))
    score = model.decision_function(others)
    expected = -theirs.decision_function(test - train.mean(0))
    np.testing.assert_allclose(score, expected, atol=1e-3 * np.ptp(expected))


def test_one_class_svm_does_not_depend_on_the_means_of_columns():
    x = np.random.default_rng(0).normal(size=(200, 6))
    there = 100 * np.arange(6)
    score = module.one_class_svm(x, 0).decision_function(x)
    moved = module.one_class_svm(x + there, 0).decision_function(x + there)
    np.testing.assert_allclose(moved, score, atol=1e-3 * np.ptp(score))
    same = np.ones((5, 2))
    assert np.isfinite(module.one_class_svm(same, 0).decision_function(same)).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", FLAT)
def test_whole_clips_have_one_repeatable_score_for_each_person(walkers, others, kind):
    options = Options(frames=24, random_state=3)
    model = kind(options).fit(walkers, device="cpu")
    score = model.decision_function(others)
    assert score.dtype == np.float64 and np.isfinite(score).all()
    assert len(score) == len(model.windows(others)) == others.num_tracks
    again = kind(options).fit(walkers, device="cpu").decision_function(others)
    np.testing.assert_array_equal(score, again)
    nobody = others.rows(np.zeros(others.num_frames, dtype=bool))
    assert model.decision_function(nobody).shape == (0,)
