"""Skeleton-trajectory baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import NoReading

from gepc_geo.baselines import SkeletonTrajectories
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.metrics import auc
from gepc_geo.windows.loader import WindowLoader

SHORT = dict(budget=12_000, stride=4, score_stride=6, batch_size=64, lr=5e-3)


@pytest.fixture(scope="module")
def trained(walkers) -> SkeletonTrajectories:
    return SkeletonTrajectories(Options(**SHORT)).fit(walkers, device="cpu")


@pytest.fixture(scope="module")
def others() -> PoseTracks:
    """Normal walkers held out from training."""
    return simulate_crowd("train", num_clips=6, frames_per_clip=72, random_state=11)


def jerky(tracks: PoseTracks) -> PoseTracks:
    """The same people, with jumps of a tenth of their height between frames."""
    rng = np.random.default_rng(0)
    height = np.ptp(tracks.keypoints[..., 1], axis=1)
    shift = rng.normal(0, 0.1, (tracks.num_frames, 1, 2)) * height[:, None, None]
    return tracks.with_(keypoints=(tracks.keypoints + shift).astype(np.float32))


def test_training_lowers_the_loss(trained):
    assert len(trained.losses_) >= SHORT["budget"] // SHORT["batch_size"]
    assert trained.losses_[-10:].mean() < 0.5 * trained.losses_[:10].mean()


def test_each_window_has_a_score(trained, others):
    windows, scores = trained.windows(others), trained.decision_function(others)
    assert scores.shape == (len(windows),) and scores.dtype == np.float64
    assert np.isfinite(scores).all() and (scores >= 0).all()
    assert windows.stride == SHORT["score_stride"] and windows.length == 12


@pytest.mark.slow
def test_jerky_motion_scores_higher_than_the_same_motion_smoothed(trained, others):
    smooth = trained.decision_function(others)
    rough = trained.decision_function(jerky(others))
    label = np.repeat([0, 1], [len(smooth), len(rough)])
    assert auc(label, np.concatenate([smooth, rough])) > 0.6
    assert (rough > smooth).mean() > 0.75


@pytest.mark.slow
def test_equal_seeds_give_equal_scores(walkers, others):
    def run(seed: int) -> np.ndarray:
        options = Options(budget=600, stride=8, score_stride=12, random_state=seed)
        return SkeletonTrajectories(options).fit(walkers, device="cpu").decision_function(others)

    first = run(3)
    np.testing.assert_array_equal(run(3), first)
    assert not np.allclose(run(4), first)


def test_training_uses_exactly_the_budget(walkers):
    """The budget can end within an epoch."""
    model = SkeletonTrajectories(Options(budget=100, batch_size=30)).fit(walkers, device="cpu")
    assert len(model.losses_) == 4
    model = SkeletonTrajectories(Options(budget=0)).fit(walkers, device="cpu")
    assert len(model.losses_) == 0


def test_positions_of_missing_joints_do_not_change_scores(walkers, others):
    """The position of a joint without confidence does not matter in training and scoring."""
    rng = np.random.default_rng(1)

    def lost(tracks: PoseTracks, where: float) -> PoseTracks:
        missing = np.random.default_rng(2).random(tracks.confidence.shape) < 0.2
        keypoints = tracks.keypoints.copy()
        keypoints[missing] = where + rng.normal(0, 100, keypoints[missing].shape)
        return tracks.with_(keypoints=keypoints, confidence=np.where(missing, 0, tracks.confidence))

    def scores(where: float) -> np.ndarray:
        model = SkeletonTrajectories(Options(budget=300, score_stride=12))
        return model.fit(lost(walkers, where), device="cpu").decision_function(lost(others, where))

    np.testing.assert_array_equal(scores(0), scores(1e5))


def test_interpolated_joints_weigh_nothing_in_the_errors(trained, others):
    """Values of windows at undetected joints do not count in the error."""
    batch = next(iter(WindowLoader(trained.windows(others), batch_size=64)))
    # Only predicted frames change; the input of the network is the same.
    unseen = torch.zeros(batch.x.shape[:2], dtype=torch.bool)
    unseen[::3, trained.observed_ :] = True
    batch.x[..., 2] = torch.where(unseen, 0, batch.x[..., 2])
    moved = batch.clone()
    moved.x[..., :2] += 50 * unseen[..., None]
    with torch.no_grad():
        expected, found = trained._errors(batch), trained._errors(moved)
    assert not torch.equal(moved.x, batch.x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_errors_are_halves_of_reconstruction_and_prediction(trained, others):
    """Eq. 14 with means over detected joints, as plain loops."""
    windows = trained.windows(others)
    batch = WindowLoader(windows, batch_size=8).gather(torch.arange(8))
    with torch.no_grad():
        found = trained._errors(batch)
        skeletons, _ = trained._skeletons(batch)
        truth = [
            (one - center) / spread
            for one, center, spread in zip(skeletons, trained.center_, trained.spread_, strict=True)
        ]
        observed = trained.observed_
        decoded = trained.model_(*(one[:, :observed] for one in truth[:2]))
    seen = windows.table.confidence[windows.rows(np.arange(8))] > 0  # [B, T, V]
    assert not seen.all()
    for w in range(8):
        halves = []
        for frames in (range(observed), range(observed, 12)):
            squares = [
                (decoded.image[w, t, 2 * v + axis] - truth[2][w, t, 2 * v + axis]).item() ** 2
                for t in frames
                for v in range(17)
                for axis in range(2)
                if seen[w, t, v]
            ]
            halves.append(np.mean(squares))
        np.testing.assert_allclose(found.image[w].item(), np.mean(halves), rtol=1e-4)


def test_undetected_halves_of_a_window_have_no_weight(trained):
    seen = torch.zeros(3, 12, 5, dtype=torch.bool)
    seen[0, :2] = True
    seen[1, 0, 0] = seen[1, 9:] = True
    weight = trained._weights(seen)
    assert weight[0, :2].sum().item() == pytest.approx(1)
    assert weight[1, 0, 0].item() == pytest.approx(0.5)
    assert weight[1, 9:].unique().tolist() == pytest.approx([0.5 / 15])
    assert not weight[~seen].any()


def test_spreads_and_centers_are_quantiles_of_detected_joints(trained, walkers):
    windows = trained.pipeline_.windows(walkers, SHORT["stride"])
    windows = windows.subset(~windows.padded)
    table, rows = windows.table, windows.rows().ravel()
    points = table.keypoints[rows].astype(np.float64) / walkers.image_size[0]
    points = np.where(table.confidence[rows][..., None] > 0, points, np.nan).reshape(len(rows), -1)
    low, median, high = np.nanquantile(points, [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(trained.center_.image, median, atol=1e-5)
    np.testing.assert_allclose(trained.spread_.image, high - low, atol=1e-5)


def test_a_whole_clip_is_one_window(walkers):
    options = Options(frames=24, budget=200)
    model = SkeletonTrajectories(options).fit(walkers, device="cpu")
    windows = model.windows(walkers)
    assert windows.length == 24 and model.observed_ == 16 and model.model_.predicted == 8
    people = len(np.unique(np.stack([walkers.clip, walkers.track]), axis=1).T)
    assert len(model.decision_function(walkers)) == people


def test_training_without_image_sizes_uses_pixels(walkers):
    nowhere = walkers.with_(image_size=np.full_like(walkers.image_size, np.nan))
    options = Options(budget=200, score_stride=12)
    model = SkeletonTrajectories(options).fit(nowhere, device="cpu")
    assert np.isfinite(model.decision_function(nowhere)).all()
    model.fit(walkers, device="cpu")
    with pytest.raises(
        InputError,
        match="every clip must have an image size, as in the training poses, got none for",
    ):
        model.decision_function(nowhere)


def test_training_and_scoring_read_nothing_back_within_a_batch(trained, others):
    loader = WindowLoader(trained.windows(others), batch_size=16)
    with NoReading():
        trained._errors(loader.gather(torch.arange(16))).image.mean().backward()


def flat_poses(joints: int, dims: int, points: np.ndarray) -> PoseTracks:
    skeleton = Skeleton(
        name="chain",
        joints=tuple(f"joint{v}" for v in range(joints)),
        bones=tuple((v, v + 1) for v in range(joints - 1)),
        center=0,
    )
    frames = len(points)
    zeros = np.zeros(frames, dtype=np.int64)
    return PoseTracks.build(
        points, np.ones((frames, joints)), np.arange(frames), zeros, zeros, skeleton, ["clip"]
    )


def test_poses_and_options_it_cannot_use_are_refused():
    rng = np.random.default_rng(0)
    model = SkeletonTrajectories(Options(budget=100))
    with pytest.raises(
        InputError, match="poses must have 2 coordinates for the skeleton-trajectory model, got 3"
    ):
        model.fit(flat_poses(4, 3, rng.normal(size=(30, 4, 3))))
    with pytest.raises(
        InputError,
        match="median width and height of the boxes of training poses must be more than 0, got 0",
    ):
        model.fit(flat_poses(1, 2, rng.normal(size=(30, 1, 2))))
    with pytest.raises(InputError, match="must give at least 2 windows of 12 frames, got 0"):
        model.fit(flat_poses(4, 2, rng.normal(size=(5, 4, 2))))
    with pytest.raises(InputError, match="lr must be at least 0, got -1"):
        SkeletonTrajectories(Options(lr=-1.0)).fit(flat_poses(4, 2, rng.normal(size=(30, 4, 2))))


def test_a_loss_that_is_not_finite_is_refused(walkers):
    model = SkeletonTrajectories(Options(budget=1000, lr=1e38))
    with pytest.raises(
        InputError,
        match="^the loss must be finite, "
        r"got (nan|inf) at step \d+ \(lower the learning rate 1e\+38\)$",
    ):
        model.fit(walkers, device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_scores_as_the_cpu_does(walkers, others):
    """Untrained models are equal, because the weights are drawn on the CPU."""
    model = SkeletonTrajectories(Options(budget=0, score_stride=6))
    expected = model.fit(walkers, device="cpu").decision_function(others)
    found = model.fit(walkers, device="cuda").decision_function(others)
    assert next(model.model_.parameters()).device.type == "cuda"
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    # Training works on the device.
    trained = SkeletonTrajectories(Options(**SHORT)).fit(walkers, device="cuda")
    assert trained.losses_[-10:].mean() < 0.5 * trained.losses_[:10].mean()
