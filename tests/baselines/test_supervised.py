"""Supervised baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import NETWORK
from scipy import stats
from scipy.special import logsumexp

from gepc_geo.baselines import ActionClassifier, SoftmaxDirichlet
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.loader import WindowLoader

SMALL = Options(**NETWORK | dict(frames=12, budget=640, batch_size=16, lr=0.003, hidden=4))
_HANDS = [SKELETONS["coco17"].joints.index(f"{side}_wrist") for side in ("left", "right")]


def movers(seed: int, clips: int = 60) -> PoseTracks:
    """Clips of one person with hands that alternately move up and down, or sideways."""
    rng = np.random.default_rng(seed)
    # All seeds have the same body.
    body = np.random.default_rng(0).uniform(0, 100, (17, 2))
    time = np.arange(20)[:, None]
    poses, labels = [], ["sway" if clip % 2 else "wave" for clip in range(clips)]
    for label in labels:
        pose = body + rng.normal(0, 1, (20, 17, 2))
        axis = int(label == "wave")
        pose[:, _HANDS, axis] += 30 * np.sin(time / 2 + rng.uniform(0, 6))
        poses.append(pose)
    count = 20 * clips
    return PoseTracks.build(
        np.concatenate(poses),
        np.ones((count, 17)),
        np.tile(np.arange(20), clips),
        np.zeros(count, dtype=int),
        np.repeat(np.arange(clips), 20),
        "coco17",
        [f"clip_{clip}" for clip in range(clips)],
        clip_label=labels,
    )


@pytest.fixture(scope="module")
def classifier() -> ActionClassifier:
    return ActionClassifier(SMALL).fit(movers(1), device="cpu")


def test_the_classifier_recognises_classes_in_new_clips(classifier):
    new = movers(2)
    log_p = classifier.log_softmax(classifier.windows(new))
    assert list(classifier.classes_) == ["sway", "wave"]
    found = classifier.classes_[log_p.argmax(1).numpy()]
    assert np.mean(found == np.array(new.clip_label)) > 0.9


def test_the_classifier_scores_one_minus_the_largest_softmax(classifier):
    new = movers(2)
    p = classifier.log_softmax(classifier.windows(new)).exp().numpy()
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(classifier.decision_function(new), 1 - p.max(1), atol=1e-12)


@torch.no_grad()
def test_softmax_is_averaged_over_augmentations(classifier):
    windows = classifier.windows(movers(2))
    each = [classifier._log_softmax(windows, choice).exp().numpy() for choice in (0, 1)]
    assert np.abs(each[0] - each[1]).max() > 1e-6
    found = classifier.log_softmax(windows).exp().numpy()
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-6)


def test_softmax_dirichlet_is_a_dirichlet_mixture_on_the_same_classifier(classifier, monkeypatch):
    monkeypatch.setattr(ActionClassifier, "_train", None)
    train, new = movers(1), movers(2)
    model = SoftmaxDirichlet.from_classifier(classifier).fit(train)
    p = classifier.log_softmax(classifier.windows(new)).exp().numpy()
    mixture = model.mixture_
    density = np.stack(
        [
            np.log(weight) + [stats.dirichlet(alpha).logpdf(row / row.sum()) for row in p]
            for weight, alpha in zip(
                mixture.weights_.numpy(), mixture.components_.concentrations.numpy(), strict=True
            )
        ]
    )
    np.testing.assert_allclose(
        model.decision_function(new), -logsumexp(density, axis=0), rtol=1e-6, atol=1e-6
    )
    assert model.classifier_ is classifier
    with pytest.raises(InputError, match="this ActionClassifier must be fitted with fit"):
        SoftmaxDirichlet.from_classifier(ActionClassifier()).fit(train)


@pytest.mark.slow
def test_equal_seeds_give_equal_scores():
    options = Options(**SMALL.to_dict() | {"budget": 64, "random_state": 3})
    train, new = movers(1), movers(2)
    one, same, other = (
        ActionClassifier(chosen).fit(train, device="cpu").decision_function(new)
        for chosen in (options, options, Options(**options.to_dict() | {"random_state": 4}))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_too_few_classes_are_refused():
    train = movers(1, clips=4)
    one = train.select(labels=["sway"])
    some = train.with_(clip_label=["sway", "", "wave", "sway"])
    for kind in (ActionClassifier, SoftmaxDirichlet):
        with pytest.raises(
            InputError, match="at least 2 classes for a classifier, got only 'sway'"
        ):
            kind(SMALL).fit(one, device="cpu")
        with pytest.raises(
            InputError, match="every training clip must have a class, got none for 'clip_1'"
        ):
            kind(SMALL).fit(some, device="cpu")


@pytest.mark.slow
def test_without_a_budget_training_takes_200_000_window_passes():
    assert ActionClassifier()._passes == 200_000
    assert ActionClassifier(SMALL)._passes == SMALL.budget


def test_a_loss_that_is_not_finite_is_refused():
    wild = Options(**SMALL.to_dict() | {"lr": 1e30, "budget": 64})
    with pytest.raises(
        InputError,
        match=r"must be finite, got NaN or infinity after 4 steps "
        r"\(lower the learning rate 1e\+30\)$",
    ):
        ActionClassifier(wild).fit(movers(1), device="cpu")


def test_every_step_takes_a_full_batch(monkeypatch):
    """40 passes in batches of 16 are 3 steps, although an epoch has 20 windows."""
    sizes = []
    gather = WindowLoader.gather
    monkeypatch.setattr(
        WindowLoader, "gather", lambda self, index: sizes.append(len(index)) or gather(self, index)
    )
    few = movers(1, clips=20)
    ActionClassifier(replace(SMALL, budget=40)).fit(few, device="cpu")
    assert sizes[-3:] == [16, 16, 16]
