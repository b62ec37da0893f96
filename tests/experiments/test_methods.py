"""Rows of tables: the methods, their training, and aggregation to clips and frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.baselines import BASELINES, ActionClassifier, LatentSVM, NearestNeighbour
from gepc_geo.errors import InputError, InputWarning
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import clip_level as clips_of_detector
from gepc_geo.evaluation.tables import frame_level as frames_of_detector
from gepc_geo.experiments import METHODS, choose_methods, methods
from gepc_geo.experiments.methods import (
    Scored,
    clip_level,
    frame_level,
    published,
    train_and_score,
)
from gepc_geo.options import MODES, Options
from gepc_geo.options.presets import preset_changes

CLIPS = Options(**NETWORK, frames=12, batch_size=8, budget=64)


def test_methods_are_chosen_by_name_level_and_classes():
    assert list(METHODS)[:3] == ["combined", "gepc", "paper"] and set(BASELINES) < set(METHODS)
    chosen = choose_methods("default", "clip", 2)
    assert {"combined", "nearest_neighbour"} < set(chosen)
    assert not {"gepc", "paper", "reconstruction"} & set(chosen)
    assert not any(METHODS[name].supervised for name in chosen)
    assert "trajectory" not in chosen
    every = choose_methods("all", "clip", 2)
    assert set(every) - set(choose_methods("all", "clip", 3)) == {"trajectory"}
    assert set(chosen) < set(every)
    assert not any(METHODS[n].supervised for n in choose_methods("all", "frame", 2, classes=False))
    assert choose_methods("latent_svm, gepc,gepc", "clip", 3) == ["latent_svm", "gepc"]
    with pytest.raises(
        InputError,
        match="^--methods must be default, all or some of combined, gepc, paper, "
        "nearest_neighbour, gaussian_mixture, isolation_forest, one_class_svm, "
        "reconstruction, latent_svm, softmax, softmax_dirichlet, trajectory, got 'knn'$",
    ):
        choose_methods("gepc,knn", "clip", 2)
    with pytest.raises(
        InputError,
        match="^--methods must be default, all or some of combined, gepc, paper, "
        "nearest_neighbour, gaussian_mixture, isolation_forest, one_class_svm, "
        "motion_mixture, reconstruction, latent_svm, trajectory, "
        "got 'softmax', which is not for these poses or this experiment$",
    ):
        choose_methods("softmax", "frame", 2, classes=False)


def test_only_supervised_methods_see_classes(actions, monkeypatch):
    seen = {}
    for kind in (GEPC, NearestNeighbour, ActionClassifier):
        fit = kind.fit

        def spy(self, tracks, *rest, fit=fit, kind=kind, **more):
            seen[kind.__name__] = set(tracks.clip_label)
            return fit(self, tracks, *rest, **more)

        monkeypatch.setattr(kind, "fit", spy)
    train, test = (actions.select(split=split) for split in ("train", "test"))
    train = train.select(labels=["walk", "stand"])
    for unit in ("gepc", "nearest_neighbour", "softmax"):
        train_and_score(unit, train, test, replace(CLIPS, budget=0), "clip", "cpu")
    assert seen == {
        "GEPC": {""},
        "NearestNeighbour": {""},
        "ActionClassifier": {"walk", "stand"},
    }


def test_one_training_serves_all_that_share_it(actions, monkeypatch):
    fits = []
    fit = GEPC.fit
    monkeypatch.setattr(GEPC, "fit", lambda *a, **k: fits.append(1) or fit(*a, **k))
    train, test = (actions.select(split=split) for split in ("train", "test"))
    found = train_and_score("gepc", train, test, CLIPS, "clip", "cpu")
    assert len(fits) == 1
    assert set(found.scored) == {
        "gepc",
        *(f"gepc:{mode}" for mode in MODES),
        "reconstruction",
        "latent_svm",
    }
    detector = fit(GEPC(**CLIPS.to_dict()), train.with_(clip_label=None), device="cpu")
    np.testing.assert_allclose(
        found.scored["gepc:latent"].score, detector.decision_function(test, "latent")
    )
    machine = LatentSVM.from_detector(detector).fit(train)
    np.testing.assert_allclose(found.scored["latent_svm"].score, machine.decision_function(test))
    np.testing.assert_allclose(
        clip_level(found.scored["gepc"], test),
        clips_of_detector(detector, detector.window_scores(test), test, ScoreOptions())[0],
    )


def test_a_classifier_has_two_scores(actions):
    train, test = (actions.select(split=split) for split in ("train", "test"))
    found = train_and_score("softmax", train, test, CLIPS, "clip", "cpu")
    assert set(found.scored) == {"softmax", "softmax_dirichlet"}
    assert all(len(one.score) == test.num_clips for one in found.scored.values())


def test_frame_scores_equal_those_of_the_detector(walkers):
    options = Options(**NETWORK, budget=0, score_stride=2)
    detector = GEPC(**options.to_dict()).fit(walkers, device="cpu")
    late = walkers.rows(walkers.frame >= 5)
    scored = detector.window_scores(late)
    ours = frame_level(Scored(scored.windows, scored.scores["latent"]), late)
    wanted = frames_of_detector(detector, scored, late, ScoreOptions(mode="latent"))
    people = wanted.person.numpy() >= 0
    assert people.any() and not people.all()
    np.testing.assert_array_equal(ours[people], wanted.score.numpy()[people])
    full = ~scored.windows.padded
    assert (ours[~people] == scored.scores["latent"][full].min()).all()


def test_clips_without_people_have_the_lowest_score(actions):
    some = actions.rows(actions.clip != 2)
    model = NearestNeighbour(CLIPS).fit(some)
    scored = Scored(model.windows(some), model.decision_function(some))
    score = clip_level(scored, some)
    assert len(score) == actions.num_clips and score[2] == scored.score.min()


def test_the_published_method_takes_only_windows_and_training_of_the_experiment(actions):
    given = replace(CLIPS, clusters=7, precision="bf16", random_state=3)
    found = published(given, actions)
    paper = {**Options().to_dict(), **preset_changes("paper")}
    changed = {name for name, value in found.to_dict().items() if value != paper[name]}
    assert changed == {"frames", "stride", "batch_size", "budget", "precision", "random_state"}
    assert (found.clusters, found.frames, found.random_state, found.scale) == (20, 12, 3, "image")
    with pytest.warns(InputWarning, match="must have an image size"):
        assert published(given, actions.with_(image_size=None)).scale == "rms"
    converged = published(replace(given, budget=None, patience=40), actions)
    assert (converged.budget, converged.patience) == (None, 40)


def test_the_published_method_is_trained_with_its_own_options(actions, monkeypatch):
    train, test = (actions.select(split=split) for split in ("train", "test"))
    train = train.select(labels=["walk", "stand"])
    # But for its network, which takes a minute.
    options = replace(published(CLIPS, train), **NETWORK)
    monkeypatch.setattr(methods, "published", lambda given, tracks: options)
    found = train_and_score("paper", train, test, CLIPS, "clip", "cpu")
    assert set(found.scored) == {"paper", *(f"paper:{mode}" for mode in MODES)}
    alone = GEPC(**options.to_dict()).fit(train.with_(clip_label=None), device="cpu")
    expected = alone.window_scores(test).scores["assignment"]
    np.testing.assert_array_equal(found.scored["paper"].score, expected)


def test_every_name_of_a_shared_training_is_a_baseline():
    assert set(methods.SHARING) <= set(BASELINES)
    assert {METHODS[name].unit for name in METHODS} <= set(METHODS)
