"""What was fitted keeps the options it was fitted with, and a fit is whole or has not happened."""

from __future__ import annotations

import copy
import inspect
from dataclasses import fields

import numpy as np
import pytest
import torch
from helpers import NETWORK
from sklearn.base import clone

from gepc_geo import GEPC, Frame, InputError, OnlineScorer
from gepc_geo.datasets import simulate_crowd
from gepc_geo.detector.estimator import NotFittedError
from gepc_geo.detector.fitted import FittedDetector
from gepc_geo.evaluation.alarms import alarm_threshold
from gepc_geo.evaluation.evaluator import evaluate
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level
from gepc_geo.export import ScoringGraph, example
from gepc_geo.options import MODES, NAMES, Options
from gepc_geo.scoring.joint_shares import input_shares
from gepc_geo.streaming.adaptation import adapt_to_poses

SMALL = {**NETWORK, "budget": 64, "batch_size": 32, "score_stride": 3, "holdout": 0.2}
#: Another value of every option; strides and encoder_channels have to fit one another.
OTHER = {
    "skip_faults": False,
    "lengths": ["24"],
    "stride": 7,
    "score_stride": 1,
    "max_gap": 0,
    "frames": 24,
    "scale": "image",
    "center": "window",
    "align": False,
    "motion": False,
    "coefficients": 4,
    "motion_coefficients": 2,
    "augment": "paper",
    "branches": ["static"],
    "attention": "additive",
    "hidden": 3,
    "encoder_channels": [1, 1, 1],
    "strides": [2, 1, 1],
    "decoder_channels": [3],
    "kernel_size": 3,
    "dropout": 0.5,
    "clusters": 5,
    "assignment": "student",
    "target": "paper",
    "components": 4,
    "density": "dirichlet",
    "holdout": 0.5,
    "contamination": 0.4,
    "budget": 999,
    "patience": 99,
    "cluster_share": 0.9,
    "batch_size": 2,
    "lr": 0.5,
    "cluster_lr": 0.5,
    "weight_decay": 0.5,
    "cluster_weight": 9.0,
    "target_updates": 2,
    "precision": "bf16",
    "compile": "always",
    "random_state": 77,
    "checkpoint_seconds": 1.0,
}


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Batches are filled up, and there are few windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gepc_geo.scoring.scorer.BATCH", {"cpu": 64})
        yield


@pytest.fixture(scope="module")
def walkers():
    return simulate_crowd("train", num_clips=4, frames_per_clip=30, random_state=5)


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    return GEPC(**SMALL).fit(walkers, device="cpu")


@pytest.fixture
def fitted(detector):
    """The detector, with the parameters that it was made with again at the end."""
    before = detector.get_params()
    yield detector
    detector.set_params(**before)


@pytest.fixture(scope="module")
def crowd():
    return simulate_crowd("test", num_clips=2, frames_per_clip=30, random_state=2)


def everything(detector: GEPC, crowd, walkers) -> dict[str, np.ndarray]:
    """All that a detector says of poses, by name."""
    windows = detector.windows(crowd)
    assignment, nearest = detector.scorer_.coordinates(windows)
    shares = [share for _, share in input_shares(detector.scorer_, windows, detector.mode)]
    scored = detector.window_scores(crowd)
    graph = ScoringGraph(detector).eval()
    scorer = OnlineScorer(detector)
    frames = []
    for number in np.unique(crowd.frame[crowd.clip == 0]):
        at = (crowd.clip == 0) & (crowd.frame == number)
        poses = crowd.keypoints[at], crowd.confidence[at]
        frames.append(Frame("a", int(number), crowd.track[at], *poses))
    metrics = evaluate(detector, crowd).metrics
    with torch.no_grad():
        traced = graph(*example(detector, 2))
    return {
        **scored.scores,
        "places": assignment,
        "nearest places": nearest,
        "batch": detector.scorer_.score_few(windows).scores[detector.mode],
        "shares": torch.cat(shares).numpy(),
        "soft": detector.soft_assignment(crowd),
        "predict": detector.predict(crowd),
        "thresholds": np.array([detector.threshold_, *detector.calibration_.thresholds.values()]),
        "alarm": np.array(alarm_threshold(detector)[1]),
        "frames": frame_level(detector, scored, crowd, ScoreOptions()).score.numpy(),
        "stream": scorer.push(*frames).scores[detector.mode],
        "waits": np.array(scorer.wait),
        "graph": traced[0].numpy(),
        "events": np.array(metrics["events"]["threshold"]),
        "trained on": detector.training_windows(walkers).first,
        "adapted": adapt_to_poses(detector, crowd).decision_function(crowd),
    }


@pytest.fixture(scope="module")
def expected(detector, crowd, walkers):
    return everything(detector, crowd, walkers)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_these_tests_change_every_option():
    assert set(OTHER) | {"mode"} == set(NAMES)
    for option in fields(Options):
        if option.name != "mode":
            assert OTHER[option.name] != {**Options().to_dict(), **SMALL}[option.name]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OTHER))
def test_an_option_set_after_the_fit_changes_nothing_but_the_next_fit(
    name, fitted, expected, crowd, tmp_path
):
    made_with = fitted.get_params()
    fitted.set_params(**{name: OTHER[name]})
    assert fitted.get_params()[name] == clone(fitted).get_params()[name] == OTHER[name]
    found = fitted.window_scores(crowd).scores
    fitted.save(tmp_path / "model.pt")
    loaded = GEPC.load(tmp_path / "model.pt", device="cpu")
    again = loaded.window_scores(crowd).scores
    for mode in MODES:
        np.testing.assert_array_equal(found[mode], expected[mode])
        np.testing.assert_array_equal(again[mode], expected[mode])
    assert loaded.calibration_.thresholds == fitted.calibration_.thresholds
    assert fitted.threshold_ == loaded.threshold_ == expected["thresholds"][0]
    # A file holds what was fitted.
    assert loaded.get_params() == made_with


def test_options_set_after_the_fit_change_no_result(fitted, expected, crowd, walkers):
    fitted.set_params(**OTHER)
    same(everything(fitted, crowd, walkers), expected)


def test_an_option_set_before_a_fit_counts_in_it(detector, walkers, crowd):
    changed = {"center": "window", "augment": "none", "clusters": 4}
    again = (
        GEPC(**SMALL).fit(walkers, device="cpu").set_params(**changed).fit(walkers, device="cpu")
    )
    afresh = GEPC(**SMALL | changed).fit(walkers, device="cpu")
    np.testing.assert_array_equal(again.decision_function(crowd), afresh.decision_function(crowd))
    assert again.options_ == afresh.options_ and again.soft_assignment(crowd).shape[1] == 4
    assert not np.array_equal(again.decision_function(crowd), detector.decision_function(crowd))


@pytest.mark.parametrize("mode", MODES)
def test_the_threshold_is_that_of_the_present_mode(mode, fitted, walkers, crowd, tmp_path):
    """That of a detector fitted in this mode."""
    afresh = GEPC(**SMALL | {"mode": mode}).fit(walkers, device="cpu")
    fitted.set_params(mode=mode)
    assert fitted.threshold_ == afresh.threshold_
    assert alarm_threshold(fitted) == alarm_threshold(afresh)
    np.testing.assert_array_equal(fitted.predict(crowd), afresh.predict(crowd))
    np.testing.assert_array_equal(fitted.decision_function(crowd), afresh.decision_function(crowd))
    fitted.save(tmp_path / "model.pt")
    loaded = GEPC.load(tmp_path / "model.pt", device="cpu")
    assert loaded.mode == mode and loaded.threshold_ == fitted.threshold_


def test_an_adapted_detector_has_a_threshold_for_every_mode(fitted, crowd):
    """Each the higher of the old one and the one that the new poses need."""
    adapted = adapt_to_poses(fitted, crowd)
    for mode in MODES:
        assert adapted.calibration_.thresholds[mode] >= fitted.calibration_.thresholds[mode]
    other = adapt_to_poses(fitted.set_params(mode="latent"), crowd)
    assert other.calibration_.thresholds == adapted.calibration_.thresholds
    assert other.threshold_ == adapted.calibration_.thresholds["latent"]


def test_a_threshold_that_is_set_counts_for_the_present_mode(detector, crowd, tmp_path):
    own = copy.copy(detector).set_params(mode="latent")
    own.threshold_ = -1e9
    thresholds = own.calibration_.thresholds
    assert own.predict(crowd).all() and thresholds["assignment"] == detector.threshold_
    own.save(tmp_path / "model.pt")
    assert GEPC.load(tmp_path / "model.pt", device="cpu").calibration_.thresholds == thresholds
    assert detector.calibration_.thresholds["latent"] > -1e9


def test_an_unknown_mode_is_refused_before_anything_is_scored_or_saved(fitted, crowd, tmp_path):
    fitted.set_params(mode="best")
    for ask in (
        lambda: fitted.decision_function(crowd),
        lambda: fitted.predict(crowd),
        lambda: fitted.threshold_,
        lambda: fitted.save(tmp_path / "model.pt"),
        lambda: alarm_threshold(fitted),
        lambda: evaluate(fitted, crowd),
    ):
        with pytest.raises(
            InputError,
            match="mode must be combined or nearest or altered or assignment or max or latent or "
            "reconstruction, got 'best'",
        ):
            ask()
    assert not (tmp_path / "model.pt").exists()


# -- fits that are refused, or stopped ----------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "poses", "error"),
    [
        ({"clusters": 9999}, "walkers", InputError),
        ({"lengths": ["13"], "coefficients": 0}, "walkers", InputError),
        ({"lr": 1e30, "budget": 640}, "walkers", InputError),
        ({"scale": "image"}, "unknown", InputError),
        ({"center": "window"}, "nobody", InputError),
        ({"center": "window"}, "solid", KeyboardInterrupt),
    ],
)
def test_a_failed_fit_leaves_the_detector_as_it_was(
    changes, poses, error, fitted, expected, crowd, walkers, monkeypatch
):
    tracks = {
        "walkers": walkers,
        "unknown": walkers.with_(image_size=None),
        "nobody": walkers.rows(np.zeros(walkers.num_frames, dtype=bool)),
        "solid": walkers.with_(
            keypoints=np.concatenate([walkers.keypoints, walkers.keypoints[..., :1]], axis=2)
        ),
    }[poses]
    state = dict(vars(fitted))
    if error is KeyboardInterrupt:

        def stop(*args, **kwargs):
            raise KeyboardInterrupt

        # As late as can be: everything but the calibration is there.
        monkeypatch.setattr("gepc_geo.detector.gepc.Calibration.of", stop)
    fitted.set_params(**changes)
    with pytest.raises(error):
        fitted.fit(tracks, device="cpu")
    monkeypatch.undo()
    assert {n: v for n, v in vars(fitted).items() if n.endswith("_")} == {
        n: v for n, v in state.items() if n.endswith("_")
    }
    same(everything(fitted, crowd, walkers), expected)


def test_a_failed_first_fit_leaves_no_fitted_attributes(walkers, crowd):
    detector = GEPC(**{**SMALL, "clusters": 9999})
    with pytest.raises(
        InputError, match="clusters must be at most 118, the number of training windows, got 9999"
    ):
        detector.fit(walkers, device="cpu")
    assert not [name for name in vars(detector) if name.endswith("_")]
    with pytest.raises(InputError, match="not fitted"):
        detector.predict(crowd)


def test_every_public_method_of_an_unfitted_detector_says_so(crowd, tmp_path):
    """Of all methods of the class but those that fit or load, and scikit-learn's setters."""
    given = {"tracks": crowd, "poses": 25.0, "path": tmp_path / "model.pt", "mode": "latent"}
    given |= {"normality": {}, "windows": None, "raw": {}}
    methods = {
        name: method
        for name, method in inspect.getmembers(GEPC, inspect.isfunction)
        if name in {*vars(GEPC), *vars(FittedDetector)}
        and not name.startswith(("_", "set_"))
        and name != "fit"
    }
    assert {"soft_assignment", "window_scores", "joint_scores", "fps_mismatch"} < set(methods)
    for name, method in methods.items():
        wanted = [
            one.name
            for one in inspect.signature(method).parameters.values()
            if one.name != "self" and one.default is one.empty and one.kind != one.KEYWORD_ONLY
        ]
        with pytest.raises(
            NotFittedError,
            match=r"^this detector must be fitted with fit\(\) or load\(\), "
            r"got one that is not fitted$",
        ):
            getattr(GEPC(), name)(*(given[one] for one in wanted))
    assert not any(tmp_path.iterdir())
