"""What scikit-learn and PyOD expect of an estimator."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import sklearn.exceptions
from helpers import NETWORK
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score

from gepc_geo import GEPC, InputError
from gepc_geo.baselines import BASELINES
from gepc_geo.datasets import simulate_crowd
from gepc_geo.detector.estimator import NotFittedError
from gepc_geo.evaluation.evaluator import evaluate
from gepc_geo.options import NAMES, Options
from gepc_geo.options.metadata import default_of, documented

SMALL = {**NETWORK, "budget": 64, "batch_size": 32, "score_stride": 3, "holdout": 0.2}


@pytest.fixture(scope="module")
def walkers():
    return simulate_crowd("train", num_clips=4, frames_per_clip=30, random_state=5)


@pytest.fixture(scope="module")
def crowd():
    return simulate_crowd("test", num_clips=4, frames_per_clip=40, random_state=2)


@pytest.fixture(scope="module", params=["default", "chain"])
def fitted(request, walkers) -> GEPC:
    options = SMALL if request.param == "chain" else {"score_stride": 3}
    return GEPC(**options).fit(walkers, device="cpu")


def test_every_parameter_is_in_the_signature_and_the_docstring():
    parameters = inspect.signature(GEPC).parameters
    assert tuple(parameters) == NAMES == tuple(inspect.signature(Options).parameters)
    docstring = inspect.getdoc(GEPC)
    arguments = docstring.split("Args:\n")[1].split("\nAttributes:")[0]
    plain = " ".join(arguments.split())
    for one in fields(Options):
        assert parameters[one.name].default == default_of(one)
        assert f"{one.name} ({one.type}): {one.metadata['help']}" in plain
        assert f"(default: {default_of(one)!r})" in plain
    assert "**options" not in docstring and documented(None, Options) is None


def test_clones_have_the_parameters_and_nothing_fitted(fitted):
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params() and not hasattr(fresh, "scorer_")
    assert fresh.set_params(clusters=7).clusters == 7 and fitted.clusters != 7
    with pytest.raises(ValueError, match="(?s)Invalid parameter 'seed'.*random_state"):
        fresh.set_params(seed=1)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_copies_of_a_fitted_detector_are_independent_and_score_the_same(copied, fitted, crowd):
    again = copied(fitted)
    assert again.get_params() == fitted.get_params()
    ours, theirs = again.window_scores(crowd).scores, fitted.window_scores(crowd).scores
    assert ours.keys() == theirs.keys()
    for mode, score in theirs.items():
        np.testing.assert_array_equal(ours[mode], score)
    before = fitted.threshold_
    again.threshold_ = before + 1
    assert fitted.threshold_ == before


def test_unfitted_estimators_raise_the_exception_of_scikit_learn(crowd):
    for estimator in (GEPC(), BASELINES["nearest_neighbour"]()):
        for kind in (NotFittedError, InputError, sklearn.exceptions.NotFittedError):
            with pytest.raises(kind, match="must be fitted with fit"):
                estimator.decision_function(crowd)


def test_importing_the_errors_does_not_import_scikit_learn():
    """The command line's help is fast."""
    code = "import sys, gepc_geo.errors; print(any(n.startswith('sklearn.') for n in sys.modules))"
    # Not the package's own __init__, which imports the estimators.
    code = "import sys, types; sys.modules['gepc_geo'] = types.ModuleType('gepc_geo'); " + (
        "sys.modules['gepc_geo'].__path__ = ['gepc_geo']; " + code
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_fit_checks_the_values_of_parameters(walkers):
    """As scikit-learn asks: the constructor takes every value."""
    detector = GEPC(budget="5")
    assert clone(detector).get_params()["budget"] == "5"
    with pytest.raises(InputError, match="^budget must be a whole number, got '5'$"):
        detector.fit(walkers)


def test_signs_and_labels_follow_pyod(fitted, crowd):
    score, label = fitted.decision_function(crowd), fitted.predict(crowd)
    assert set(label.tolist()) == {0, 1} and label.dtype == np.int64
    assert score[label == 1].min() > fitted.threshold_ >= score[label == 0].max()


def test_poses_are_refused_as_an_array_in_cross_validation(walkers):
    message = r"^PoseTracks must not be made an array: PoseTracks.select\(clips=...\)"
    with pytest.raises(InputError, match=message):
        cross_val_score(GEPC(), walkers, scoring=lambda detector, tracks: 0.0)
    with pytest.raises(InputError, match=message):
        np.asarray(walkers)


def test_clips_are_cross_validated_by_their_numbers(crowd):
    """As the message says: every clip is scored once, by a detector that has not seen it."""
    areas, tested = [], []
    for train, test in KFold(2).split(np.arange(crowd.num_clips)):
        detector = GEPC(score_stride=3, lengths=["12"])
        detector.fit(crowd.select(clips=train), device="cpu")
        part = crowd.select(clips=test)
        areas.append(evaluate(detector, part).metrics["auc"])
        tested += part.clip_names
    assert tuple(tested) == crowd.clip_names and len(areas) == 2
    assert all(0 <= area <= 1 for area in areas)
