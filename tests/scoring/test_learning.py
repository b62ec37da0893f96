"""Models of normal windows: components, reference set and scores by dense formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring import learning
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.scoring.learning import Learned, learn
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

LENGTHS = (6, 9)
#: Augmentations of the set "paper": all are copies in training, and views of a score.
VIEWS = 5


def tracks_of(people: int, seed: int) -> PoseTracks:
    """People of 15 frames, one in a clip, whose bodies sway."""
    rng, frames = np.random.default_rng(seed), 15
    body = rng.normal(size=(5, 2)) * 20
    sway = rng.normal(size=(people, frames, 5, 2)).cumsum(1)
    return PoseTracks.build(
        (300 + body + sway).reshape(-1, 5, 2).astype(np.float32),
        np.ones((people * frames, 5), np.float32),
        np.tile(np.arange(frames), people),
        np.zeros(people * frames, np.int64),
        np.repeat(np.arange(people), frames),
        "box5",
        [str(person) for person in range(people)],
        fps=[25] * people,
    )


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    options = Options(lengths=["6", "9"], augment="paper", coefficients=4)
    tracks = tracks_of(8, 0)
    pipeline = InputPipeline.for_tracks(tracks, options)
    return Encoder(pipeline.fit(WindowLoader(PoseWindows(tracks, LENGTHS), 64)), None)


@pytest.fixture(scope="module")
def training() -> PoseWindows:
    return PoseWindows(tracks_of(8, 0), LENGTHS, stride=3)


@pytest.fixture(scope="module")
def held_out() -> PoseWindows:
    return PoseWindows(tracks_of(3, 1), LENGTHS, stride=3)


@pytest.fixture(scope="module")
def learned(encoder, training, held_out) -> Learned:
    return learn(encoder, training, held_out)


def rows_of(encoder: Encoder, windows: PoseWindows) -> np.ndarray:
    """The standardised rows of windows of one length in every view: [A, W, D]."""
    batch = next(iter(WindowLoader(windows, len(windows))))
    every = [
        encoder.pipeline(batch, torch.full((len(windows),), view)).flat() for view in range(VIEWS)
    ]
    return torch.stack(every).double().numpy()


@pytest.mark.parametrize("length", LENGTHS)
def test_principal_components_are_those_of_the_windows_in_all_views(
    learned, encoder, training, length
):
    rows = np.concatenate(rows_of(encoder, training.of_length(length)))
    mean = rows.mean(0)
    _, values, vectors = np.linalg.svd(rows - mean, full_matrices=False)
    found = learned.normality[length].nearest
    width = rows.shape[1]
    np.testing.assert_allclose(found.mean[:width], mean, atol=1e-5)
    # Signs are free; the first components have variances of their own.
    assert (values[:4] > 1.02 * values[1:5]).all()
    agreement = np.abs(np.sum(found.basis.numpy()[:width, :4] * vectors[:4].T, axis=0))
    np.testing.assert_allclose(agreement, 1, atol=1e-4)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_reference_set_has_training_and_held_out_windows(
    learned, encoder, training, held_out, length
):
    """In all views, as rows in principal components."""
    nearest = learned.normality[length].nearest
    parts = [rows_of(encoder, windows.of_length(length)) for windows in (training, held_out)]
    rows = np.concatenate([np.concatenate(part) for part in parts])
    width = rows.shape[1]
    expected = (rows - nearest.mean.numpy()[:width]) @ nearest.basis.numpy()[:width]
    np.testing.assert_allclose(nearest.points, expected, atol=1e-4)
    own, others = (
        np.tile(windows.of_length(length).person, VIEWS) for windows in (training, held_out)
    )
    assert nearest.person.tolist() == [*own, *(others + 8)]
    assert learned.people == 8


@pytest.mark.parametrize("length", LENGTHS)
def test_scores_of_training_windows_leave_their_own_person_out(learned, encoder, training, length):
    """The mean log distance to the nearest person, over the spacing, in the nearest view."""
    nearest, windows = learned.normality[length].nearest, training.of_length(length)
    reference, width = nearest.points.double().numpy(), nearest.mean.numpy().size
    scale, owner = nearest.log_scale.double().numpy(), nearest.person.numpy()
    views = []
    for rows in rows_of(encoder, windows):
        rows = np.pad(rows, [(0, 0), (0, width - rows.shape[1])])
        points = (rows - nearest.mean.numpy()) @ nearest.basis.numpy()
        square = ((points[:, None] - reference) ** 2).sum(2)
        distance = np.log(square + float(nearest.least)) / 2 - scale
        distance[owner == windows.person[:, None]] = np.inf
        # Of 11 people a tenth is one.
        views.append(distance.min(1))
    found = learned.scores["nearest"].numpy()[learned.windows.size == length]
    np.testing.assert_allclose(found, np.min(views, axis=0), atol=1e-4)


def test_at_most_a_sample_of_each_length_is_kept_evenly_spaced(
    encoder, training, held_out, monkeypatch
):
    monkeypatch.setattr(learning, "SAMPLE", 10)
    learned = learn(encoder, training, held_out)
    expected = []
    for length in LENGTHS:
        at = np.flatnonzero(training.size == length)
        assert len(at) > 10
        expected += at[np.linspace(0, len(at) - 1, 10).astype(int)].tolist()
        # 10 training windows and the same share of held-out windows, in every view.
        held = len(held_out.of_length(length)) * 10 // len(at)
        assert len(learned.normality[length].nearest.points) == VIEWS * (10 + held)
    whole = learned.windows
    assert whole.first.tolist() == training.first[expected].tolist()
    assert whole.size.tolist() == training.size[expected].tolist()
    assert {mode: len(score) for mode, score in learned.scores.items()} == {
        "nearest": 20,
        "altered": 20,
    }
