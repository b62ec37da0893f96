"""Contract of all baselines."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import NETWORK
from sklearn.base import clone

from gepc_geo import GEPC
from gepc_geo.baselines import BASELINES, NearestNeighbour, ReconstructionLoss, SoftmaxDirichlet
from gepc_geo.errors import InputError
from gepc_geo.options import NAMES, Options

SMALL = Options(**NETWORK | {"budget": 64, "batch_size": 32, "stride": 8, "score_stride": 6})


@pytest.fixture(scope="module")
def classes(walkers):
    """Clips of two classes, for supervised baselines."""
    return walkers.with_(clip_label=["a", "b"] * (walkers.num_clips // 2))


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_has_levels_and_refuses_to_score_before_a_fit(name, walkers):
    kind = BASELINES[name]
    assert isinstance(kind.supervised, bool)
    assert kind.levels and set(kind.levels) <= {"clip", "frame"}
    for ask in (kind(Options()).windows, kind(Options()).decision_function):
        with pytest.raises(InputError, match=f"this {kind.__name__} must be fitted with fit"):
            ask(walkers)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_an_estimator(name):
    """Default construction and clone work as in scikit-learn."""
    kind, options = BASELINES[name], Options(random_state=3)
    assert kind().get_params()["options"] is None
    copy = clone(kind(options))
    assert type(copy) is kind and copy.get_params()["options"] == options


@pytest.mark.parametrize("name", BASELINES)
def test_short_tracks_and_wrong_options_are_refused(name, walkers):
    with pytest.raises(InputError, match="must give at least 2 windows of 120 frames, got 0"):
        BASELINES[name](Options(lengths=["120"])).fit(walkers, device="cpu")
    with pytest.raises(InputError, match="random_state must be at least 0, got -1"):
        BASELINES[name](Options(random_state=-1)).fit(walkers, device="cpu")
    with pytest.raises(
        InputError,
        match=r"the poses must be PoseTracks \(gepc_geo\.io\.read of files, PoseTracks\.build of "
        r"arrays\), got ndarray",
    ):
        BASELINES[name]().fit(walkers.keypoints, device="cpu")


def test_poses_of_another_kind_are_refused(walkers):
    model = NearestNeighbour().fit(walkers, device="cpu")
    with pytest.raises(InputError, match="the poses must have 3 coordinates, got 2"):
        model.pipeline_.dims = 3
        model.decision_function(walkers)
    with pytest.raises(
        InputError,
        match=r"the poses must be PoseTracks \(gepc_geo\.io\.read of files, PoseTracks\.build of "
        r"arrays\), got ndarray",
    ):
        model.decision_function(walkers.keypoints)


@pytest.mark.parametrize("name", BASELINES)
def test_unknown_keywords_and_wrong_options_are_refused(name, walkers):
    kind = BASELINES[name]
    known = ", ".join(sorted(kind().get_params()))
    with pytest.raises(
        InputError,
        match=rf"keywords of {kind.__name__} must be some of {known} "
        r"\(options of a detector go into options=Options\(...\)\), got 'lengths'",
    ):
        kind(lengths=["24"])
    for options in ({"lengths": ["24"]}, 24):
        with pytest.raises(
            InputError,
            match=rf"options must be Options\(\.\.\.\) with some of {', '.join(NAMES)}, "
            f"got {type(options).__name__}",
        ):
            kind(options).fit(walkers, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_a_failed_fit_leaves_a_baseline_as_it_was(name, classes, monkeypatch):
    """After a failed fit, it is not fitted, or has its previous scores."""
    kind = BASELINES[name]
    baseline = kind(SMALL)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    late = {"trajectory": "_train"}.get(name, "_fit")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kind, late, stop)
        baseline.fit(classes, device="cpu")
    assert not [attribute for attribute in vars(baseline) if attribute.endswith("_")]
    for ask in (baseline.windows, baseline.decision_function):
        with pytest.raises(InputError, match=f"this {kind.__name__} must be fitted with fit"):
            ask(classes)
    expected = baseline.fit(classes, device="cpu").decision_function(classes)
    baseline.set_params(
        options=Options(**{**SMALL.to_dict(), "lengths": ["24"], "score_stride": 2})
    )
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kind, late, stop)
        baseline.fit(classes, device="cpu")
    # Options changed after a fit count from the next fit.
    np.testing.assert_array_equal(baseline.decision_function(classes), expected)


@pytest.mark.parametrize(
    "name", [name for name, kind in BASELINES.items() if hasattr(kind, "score_windows")]
)
def test_no_baseline_scores_windows_before_it_is_fitted(name, walkers):
    baseline = BASELINES[name](SMALL)
    windows = NearestNeighbour(SMALL).fit(walkers, device="cpu").windows(walkers)
    with pytest.raises(InputError, match="must be fitted with fit\\(\\)"):
        baseline.score_windows(windows)


def test_a_fit_uses_the_present_options_of_a_detector(walkers):
    """A detector works as options; later changes to it count from the next fit."""
    detector = GEPC(**SMALL.to_dict())
    baseline = NearestNeighbour(detector).fit(walkers, device="cpu")
    expected = baseline.decision_function(walkers)
    detector.set_params(score_stride=1, max_gap=0, lengths=["24"])
    np.testing.assert_array_equal(baseline.decision_function(walkers), expected)


def test_a_shared_detector_or_classifier_must_be_fitted(walkers, classes):
    for kind, unfitted in (
        (ReconstructionLoss, GEPC()),
        (SoftmaxDirichlet, BASELINES["softmax"]()),
    ):
        baseline = kind(SMALL, unfitted)
        with pytest.raises(InputError, match="must be fitted with fit"):
            baseline.fit(classes, device="cpu")
        with pytest.raises(InputError, match=f"this {kind.__name__} must be fitted with fit"):
            baseline.decision_function(walkers)
    with pytest.raises(InputError, match="the detector must be a GEPC, got NearestNeighbour"):
        ReconstructionLoss(SMALL, NearestNeighbour()).fit(walkers, device="cpu")
