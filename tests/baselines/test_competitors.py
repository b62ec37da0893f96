"""What all competitors promise."""

from __future__ import annotations

import pytest
from sklearn.base import clone

from gepc_geo.baselines import COMPETITORS, NearestNeighbour
from gepc_geo.errors import InputError
from gepc_geo.options import Options


@pytest.mark.parametrize("name", COMPETITORS)
def test_every_competitor_says_what_it_is(name, walkers):
    kind = COMPETITORS[name]
    assert isinstance(kind.supervised, bool)
    assert kind.levels and set(kind.levels) <= {"clip", "frame"}
    for ask in (kind(Options()).windows, kind(Options()).decision_function):
        with pytest.raises(InputError, match=f"this {kind.__name__} is not fitted"):
            ask(walkers)


@pytest.mark.parametrize("name", COMPETITORS)
def test_every_competitor_is_an_estimator(name):
    """Made without arguments, cloned with those it has, as scikit-learn's own."""
    kind, options = COMPETITORS[name], Options(seed=3)
    assert kind().get_params()["options"] is None
    copy = clone(kind(options))
    assert type(copy) is kind and copy.get_params()["options"] == options


@pytest.mark.parametrize("name", COMPETITORS)
def test_short_tracks_and_wrong_options_are_refused(name, walkers):
    with pytest.raises(InputError, match="give 0 windows of 120 frames, expected at least 2"):
        COMPETITORS[name](Options(window=120)).fit(walkers, device="cpu")
    with pytest.raises(InputError, match="seed is -1, expected at least 0"):
        COMPETITORS[name](Options(seed=-1)).fit(walkers, device="cpu")
    with pytest.raises(InputError, match="the poses are of type ndarray, expected PoseTracks"):
        COMPETITORS[name]().fit(walkers.keypoints, device="cpu")


def test_poses_of_another_kind_are_refused(walkers):
    model = NearestNeighbour().fit(walkers, device="cpu")
    with pytest.raises(InputError, match="the poses have 2 coordinates, expected 3"):
        model.pipeline_.dims = 3
        model.decision_function(walkers)
    with pytest.raises(InputError, match="the poses are of type ndarray, expected PoseTracks"):
        model.decision_function(walkers.keypoints)
