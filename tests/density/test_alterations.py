"""Altered copies of windows, and classifiers of windows and copies."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from gepc_geo.datasets import simulate_crowd
from gepc_geo.density import alterations as alterations_module
from gepc_geo.density.alterations import AlterationClassifier, alterations
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline, Inputs

NAMES = ["velocity x", "velocity y", "log speed", "growth"]


STEPS = alterations_module.STEPS


@pytest.fixture(scope="module", autouse=True)
def in_full(quick_classifiers) -> Iterator[None]:
    """Classifiers train as long as outside of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alterations_module, "STEPS", STEPS)
        yield


@pytest.fixture(scope="module", params=[0, 6], ids=["frames", "coefficients"])
def pipeline(walkers, request) -> InputPipeline:
    options = Options(lengths=["12"], coefficients=request.param, augment="none")
    found = InputPipeline.for_tracks(walkers, options)
    return found.fit(WindowLoader(found.windows(walkers, 4), 50))


def batch_of(pipeline: InputPipeline, tracks: PoseTracks):
    return next(iter(WindowLoader(pipeline.windows(tracks, 4), 40)))


def unscaled(pipeline: InputPipeline, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    """Body and motion before statistics."""
    return (
        inputs.body * pipeline.std + pipeline.mean,
        inputs.motion * pipeline.motion_std + pipeline.motion_mean,
    )


def test_the_first_copy_is_the_window_reversed_in_time(pipeline, walkers):
    batch = batch_of(pipeline, walkers)
    backwards = copy.copy(batch)
    backwards.x = batch.x.flip(1)
    found, wanted = alterations(pipeline(batch), pipeline)[0], pipeline(backwards)
    torch.testing.assert_close(found.body, wanted.body, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.motion, wanted.motion, atol=1e-3, rtol=1e-3)
    assert (found.body - pipeline(batch).body).abs().max() > 0.1


def test_the_second_copy_moves_twice_as_far(pipeline, walkers):
    inputs = pipeline(batch_of(pipeline, walkers))
    faster = alterations(inputs, pipeline)[1]
    body, motion = unscaled(pipeline, inputs)
    same, moved = unscaled(pipeline, faster)
    torch.testing.assert_close(same, body)
    for channel, name in enumerate(NAMES):
        wanted = motion[..., channel].clone()
        if name != "log speed":
            wanted *= 2
        elif pipeline.options.coefficients:
            # The mean alone: it is the first coefficient.
            wanted[:, 0] += math.log(2)
        else:
            wanted += math.log(2)
        torch.testing.assert_close(moved[..., channel], wanted, atol=1e-4, rtol=1e-4)


def test_without_motion_there_is_one_copy(walkers):
    pipeline = InputPipeline.for_tracks(
        walkers, Options(lengths=["12"], motion=False, augment="none")
    )
    pipeline.fit(WindowLoader(pipeline.windows(walkers, 4), 50))
    copies = alterations(pipeline(batch_of(pipeline, walkers)), pipeline)
    assert [one.motion.shape[2] for one in copies] == [0]


def one_way(count: int, seed: int) -> torch.Tensor:
    """Rising rows, the reversed rows and the doubled rows: [N, 3, 8]."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.linspace(-1, 1, 8) + 0.3 * torch.randn(count, 8, generator=generator)
    return torch.stack([rows, rows.flip(1), 2 * rows], dim=1)


@pytest.fixture(scope="module")
def told() -> tuple[AlterationClassifier, torch.Tensor]:
    """Classifier, its rows and their people, four rows each."""
    person = 7 * (torch.arange(240) // 4)
    return AlterationClassifier(3).fit(one_way(240, 0), person), person


def test_the_score_equals_its_definition(told):
    """In NumPy, float64."""
    points = one_way(9, 1)
    state = {name: value.double().numpy() for name, value in told[0].state_dict().items()}
    scores = np.zeros((3, 9))
    for network in range(3):
        for copied in range(3):
            x = points[:, copied].double().numpy() / state["scale"]
            for layer in range(3):
                x = x @ state[f"weight_{layer}"][network] + state[f"bias_{layer}"][network]
                x = np.maximum(x, 0) if layer < 2 else x
            scores[network] -= log_softmax(x, axis=1)[:, copied]
    np.testing.assert_allclose(told[0](points).numpy(), scores.mean(0), rtol=1e-4, atol=1e-5)


def test_unseen_behaviour_scores_higher(told):
    """Reversed or slow rows, which look like the copies."""
    usual = told[0](one_way(200, 1))
    for altered in (one_way(200, 2).flip(2), 0.4 * one_way(200, 2)):
        assert told[0](altered).median() > usual.quantile(0.95)


def test_each_person_is_scored_by_the_network_that_has_not_seen_them(told):
    """Scores of training people are distributed as those of new people."""
    classifier, person = told
    points, new = one_way(240, 0), classifier(one_way(2000, 5))
    own, apart = classifier(points), classifier(points, person)
    assert own.mean() < apart.mean()
    assert abs(apart.median() - new.median()) < 0.5 * (new.quantile(0.75) - new.quantile(0.25))
    # One network scores all rows of a person; each third of people has another network.
    part = classifier._part[torch.searchsorted(classifier._person_ids, person)]
    assert part.view(-1, 4).unique(dim=1).shape[1] == 1
    assert torch.bincount(part).tolist() == [80, 80, 80]


def test_new_people_are_scored_by_all_networks(told):
    classifier, _ = told
    points, strangers = one_way(8, 5), torch.tensor([1, 3, 5, 8, 100, 1000, 2, 4])
    assert torch.equal(classifier(points, strangers), classifier(points))


def test_the_same_seed_gives_the_same_networks(told):
    classifier, person = told
    again = AlterationClassifier(3).fit(one_way(240, 0), person)
    other = AlterationClassifier(4).fit(one_way(240, 0), person)
    points = one_way(20, 1)
    assert torch.equal(again(points), classifier(points))
    assert not torch.equal(other(points), classifier(points))


def test_a_fit_leaves_torchs_random_numbers_alone():
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    AlterationClassifier(0).fit(one_way(12, 0), torch.arange(12))
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("columns", [8, 7])
def test_a_score_does_not_depend_on_the_rows_beside_it(columns):
    points = one_way(512, 1)[..., :columns]
    classifier = AlterationClassifier(0).fit(points[:100], torch.arange(100))
    order = torch.randperm(512, generator=torch.Generator().manual_seed(0))
    assert torch.equal(classifier(points)[order], classifier(points[order]))


@pytest.mark.parametrize("people", [1, 2])
def test_few_people_have_fewer_networks(people):
    person = torch.arange(20) % people
    classifier = AlterationClassifier(0).fit(one_way(20, 0), person)
    assert len(classifier.weights[0]) == people
    scores = classifier(one_way(20, 0), person)
    assert scores.isfinite().all() and scores.dtype == torch.float64


def test_an_update_makes_new_windows_normal_and_keeps_old_ones_normal(told):
    """The update also trains on stored windows."""
    classifier, _ = told
    backwards = one_way(80, 2).flip(2)
    more = classifier.extended(backwards, torch.arange(80) // 4)
    assert classifier.people == 60 and more.people == 80
    new, old = one_way(200, 6).flip(2), one_way(200, 7)
    assert more(new).median() < 0.5 * classifier(new).median()
    # Rows and mirrored rows are harder to classify than rows alone.
    assert more(old).median() < classifier(new).median()
    # New people have the following ids and get the score of the classifier without them.
    person = torch.arange(80) // 4 + classifier.people
    assert more(backwards).mean() < more(backwards, person).mean()


def test_many_windows_are_thinned_before_they_are_kept():
    points = one_way(9000, 0)
    classifier = AlterationClassifier(0).fit(points, torch.arange(9000) // 100)
    assert classifier.rows.shape == (2500, 3, 8) and classifier.rows.dtype == torch.float16
    assert classifier.people == 90


def test_a_restored_state_scores_the_same(told):
    again = AlterationClassifier(0)
    again.load_state_dict(told[0].state_dict())
    points = one_way(5, 1)
    assert torch.equal(again(points), told[0](points))
    assert again(points[:0]).shape == (0,)


def test_running_backwards_stands_out_among_walkers():
    """Most reversed windows of walkers score above the 90 % quantile of walkers."""
    train, test = (
        simulate_crowd("train", num_clips=n, random_state=s) for n, s in ((12, 0), (4, 1))
    )
    pipeline = InputPipeline.for_tracks(train, Options(lengths=["24"]))
    windows = pipeline.training_windows(train)
    pipeline.fit(WindowLoader(windows, 512))

    def rows(some) -> torch.Tensor:
        inputs = pipeline(next(iter(WindowLoader(some, len(some)))))
        copies = (inputs, *alterations(inputs, pipeline))
        return torch.stack([one.flat() for one in copies], dim=1)

    points = rows(windows)
    classifier = AlterationClassifier(0).fit(points, torch.as_tensor(windows.person))
    usual = rows(pipeline.training_windows(test))
    backwards = usual[:, [1, 0, 2]]
    normal, abnormal = classifier(usual), classifier(backwards)
    assert (abnormal > normal.quantile(0.9)).double().mean() > 0.5
