"""Scores of the autoencoder without clusters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import NETWORK
from sklearn import svm

from gepc_geo import GEPC
from gepc_geo.baselines import LatentSVM, ReconstructionLoss
from gepc_geo.baselines import autoencoder as module
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.windows.loader import WindowLoader

SMALL = NETWORK | dict(budget=64, batch_size=32, score_stride=4)


@pytest.fixture(scope="module")
def others():
    return simulate_crowd("test", num_clips=3, frames_per_clip=40, random_state=1)


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    return GEPC(**SMALL).fit(walkers, device="cpu")


def whole(detector: GEPC, windows, choice: int) -> torch.Tensor:
    """Network input of all windows."""
    batch = next(iter(WindowLoader(windows, batch_size=len(windows))))
    return detector.pipeline_.tensor(batch, torch.full((len(windows),), choice))


@torch.no_grad()
def test_reconstruction_loss_is_the_mean_over_seen_joints(detector, walkers, others):
    model = ReconstructionLoss.from_detector(detector).fit(walkers)
    expected = []
    for choice in (0, 1):
        x = whole(detector, model.windows(others), choice).numpy()
        rebuilt = detector.network_.model(torch.from_numpy(x))[0].numpy()
        expected.append(
            [
                ((one[..., :-1] - other) ** 2)[one[..., -1] > 0].mean(dtype=float)
                for one, other in zip(x, rebuilt, strict=True)
            ]
        )
        assert (x[..., -1] == 0).any()
    score = model.decision_function(others)
    np.testing.assert_allclose(score, np.mean(expected, axis=0), rtol=1e-4)


@pytest.mark.parametrize("most", [60, 10_000])
@torch.no_grad()
def test_latent_svm_equals_scikit_learn(detector, walkers, others, monkeypatch, most):
    monkeypatch.setattr(module, "SVM_ROWS", most)
    model = LatentSVM.from_detector(detector).fit(walkers)
    windows = detector.pipeline_.training_windows(walkers)
    train = [detector.network_.model.encode(whole(detector, windows, c)).numpy() for c in (0, 1)]
    train = np.concatenate(train)
    if len(train) > most:
        # Windows first, then mirrored windows; the order does not matter.
        chosen = np.random.default_rng(0).choice(len(train), most, replace=False)
        train = train[np.sort(chosen)]
    # On centred columns, for which the kernel width of scikit-learn is meant.
    mean = train.mean(0)
    theirs = svm.OneClassSVM(nu=0.1, gamma="scale").fit(train - mean)
    test = [
        detector.network_.model.encode(whole(detector, model.windows(others), c)).numpy()
        for c in (0, 1)
    ]
    expected = -np.mean([theirs.decision_function(one - mean) for one in test], axis=0)
    score = model.decision_function(others)
    np.testing.assert_allclose(score, expected, atol=1e-3 * np.ptp(expected))


def test_reconstruction_and_latent_svm_share_one_training_without_clusters(
    walkers, others, monkeypatch
):
    model = ReconstructionLoss(Options(**SMALL)).fit(walkers, device="cpu")
    theirs = GEPC(**SMALL | {"cluster_share": 0.0}).fit(walkers, device="cpu")
    for name, value in model.detector_.network_.model.state_dict().items():
        assert torch.equal(value, theirs.network_.model.state_dict()[name]), name
    np.testing.assert_array_equal(
        model.decision_function(others),
        ReconstructionLoss.from_detector(theirs).fit(walkers).decision_function(others),
    )
    # No second training.
    monkeypatch.setattr(GEPC, "fit", None)
    other = LatentSVM.from_detector(model.detector_).fit(walkers)
    assert other.detector_ is model.detector_
    assert len(other.decision_function(others)) == len(other.windows(others))


def test_poses_without_people_have_no_scores(detector, walkers):
    nobody = walkers.rows(np.zeros(walkers.num_frames, dtype=bool))
    for kind in (ReconstructionLoss, LatentSVM):
        assert kind.from_detector(detector).fit(walkers).decision_function(nobody).shape == (0,)


def test_a_detector_without_an_autoencoder_is_refused(walkers):
    for model in (LatentSVM.from_detector(GEPC()), ReconstructionLoss(detector=GEPC())):
        with pytest.raises(InputError, match="this detector must be fitted with fit"):
            model.fit(walkers)


def test_a_detector_without_a_network_is_refused(walkers):
    alone = GEPC(lengths=["12"], stride=24, score_stride=12).fit(walkers, device="cpu")
    with pytest.raises(
        InputError,
        match="mode of the detector must be assignment or max or latent or reconstruction "
        r"\(modes with a network\), got 'combined'",
    ):
        LatentSVM.from_detector(alone).fit(walkers)
