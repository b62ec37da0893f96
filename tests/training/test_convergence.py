"""Training to convergence: its end, the best weights, resumed runs, the reconstruction share."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import NETWORK

from gepc_geo import GEPC, InputError, PoseTracks
from gepc_geo.errors import InputWarning
from gepc_geo.scoring.scorer import scoring_loader
from gepc_geo.training import trainer
from gepc_geo.training.holdout import hold_out
from gepc_geo.training.trainer import Trainer
from gepc_geo.training.training_checkpoint import KIND, VERSION
from gepc_geo.training.validation_loss import Validation
from gepc_geo.utils import state_file

SMALL = {
    **NETWORK,
    "patience": 4,
    "lr": 0.02,
    "batch_size": 32,
    "components": 3,
    "stride": 12,
    "score_stride": 12,
    "random_state": 3,
    "holdout": 0.2,
    "target_updates": 3,
    "checkpoint_seconds": 0.0,
}
# Whatever they end with is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:the autoencoder")


class Stopped(Exception):
    """A run that was killed."""


def weights(detector: GEPC) -> dict[str, torch.Tensor]:
    state = {f"model.{name}": value for name, value in detector.network_.model.state_dict().items()}
    return state | dict(detector.network_.assignment.state_dict())


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


@pytest.fixture(scope="module", autouse=True)
def all_steps_of_clustering() -> Iterator[None]:
    """Clustering takes all its steps, even if no label changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "LABEL_TOLERANCE", 0)
        yield


@pytest.fixture(scope="module")
def whole(walkers, tmp_path_factory) -> tuple[GEPC, Path]:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    return GEPC(**SMALL).fit(walkers, run=folder, device="cpu"), folder


def test_training_ends_by_patience_and_keeps_the_best_weights(whole):
    detector, folder = whole
    looks = [row for row in rows(folder) if row["held_out"]]
    *looks, end = looks
    losses = [float(row["held_out"]) for row in looks]
    assert [int(row["step"]) for row in looks] == list(range(1, len(looks) + 1))
    rates = {
        float(row["lr"]) for row in rows(folder) if row["stage"] == "reconstruction" and row["lr"]
    }
    assert rates == {0.02, 0.002}
    # No drop by 1 % over the last four steps.
    assert min(losses) > 0.99 * min(losses[:-4])
    # The best weights are back: their loss is the lowest there was.
    assert float(end["held_out"]) == min(losses) and end["step"] == looks[-1]["step"]
    assert float(end["share"]) == pytest.approx(detector.reconstruction_share_, rel=1e-4)


def test_clustering_has_its_share_of_the_steps(whole):
    _, folder = whole
    state = state_file.load(folder / "checkpoint.pt", kind=KIND, version=VERSION)
    first, second = state["steps"]["reconstruction"], state["steps"]["clustering"]
    assert second == int(first / 3) and state["best"] is None
    last = rows(folder)[-1]
    assert (last["stage"], int(last["step"])) == ("clustering", second)
    assert int(last["passes"]) == (first + second) * SMALL["batch_size"]
    changes = [row for row in rows(folder) if row["label_change"]]
    assert len(changes) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "when"),
    [("reconstruction", "early"), ("reconstruction", "late"), ("clustering", "early"), ("end", "")],
)
@pytest.mark.parametrize("budget", [None, 480])
def test_a_run_that_was_stopped_ends_as_an_uninterrupted_one(
    stage, when, budget, whole, walkers, tmp_path, monkeypatch
):
    detector, folder = whole
    options = {**SMALL, "budget": budget}
    if budget is not None:
        if when == "late":
            pytest.skip("nothing is kept there that would not be kept early")
        folder = tmp_path / "whole"
        detector = GEPC(**options).fit(walkers, run=folder, device="cpu")
    state = state_file.load(folder / "checkpoint.pt", kind=KIND, version=VERSION)
    stop = 3 if when == "early" else state["steps"]["reconstruction"] - 1
    step, mean = Trainer._step, Validation.loss_of_mean

    def stopping(self: Trainer, index: torch.Tensor) -> torch.Tensor:
        if (self.stage, self.step) == (stage, stop):
            raise Stopped
        return step(self, index)

    def stopping_at_the_end(self: Validation) -> float:
        if stage == "end":
            raise Stopped
        return mean(self)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Trainer, "_step", stopping)
        patch.setattr(Validation, "loss_of_mean", stopping_at_the_end)
        GEPC(**options).fit(walkers, run=tmp_path / "run", device="cpu")
    resumed = GEPC(**options).fit(walkers, run=tmp_path / "run", resume=True, device="cpu")
    for name, value in weights(detector).items():
        torch.testing.assert_close(weights(resumed)[name], value, rtol=0, atol=0, msg=name)
    assert resumed.reconstruction_share_ == detector.reconstruction_share_
    # Means since the last row differ where a row was due in between; everything else does not.
    kept = ("stage", "step", "passes", "held_out", "share", "label_change")
    logged = [
        [
            {name: row[name] for name in kept}
            for row in rows(one)
            if row["held_out"] or row["label_change"]
        ]
        for one in (tmp_path / "run", folder)
    ]
    assert logged[0] == logged[1]


def share_in_numpy(detector: GEPC, tracks: PoseTracks) -> float:
    """Computed on whole sets at once; without held-out windows, on the training windows."""
    pipeline = detector.pipeline_
    parts = []
    for poses in hold_out(tracks, detector.options_):
        windows = pipeline.windows(poses, detector.options_.stride).without_padded()
        tensors = [pipeline.tensor(one) for one in scoring_loader(windows, torch.device("cpu"))]
        parts.append(torch.cat(tensors or parts))
    (train, seen), (held, shown) = (
        (x[..., :-1].double().numpy(), (x[..., -1:] > 0).numpy()) for x in parts
    )
    mean = (train * seen).sum(0) / np.maximum(seen.sum(0), 1)
    with torch.no_grad():
        rebuilt = detector.network_.model(parts[1])[0].numpy()
    mask = np.broadcast_to(shown, held.shape)
    return ((held - rebuilt)[mask] ** 2).mean() / ((held - mean)[mask] ** 2).mean()


@pytest.mark.parametrize("holdout", [0.2, 0.0])
def test_the_reconstruction_share_equals_one_in_numpy(walkers, holdout):
    # Without a second stage the weights are still those that were measured.
    options = {**SMALL, "cluster_share": 0.0, "holdout": holdout}
    detector = GEPC(**options).fit(walkers, device="cpu")
    assert detector.reconstruction_share_ == pytest.approx(
        share_in_numpy(detector, walkers), rel=1e-5
    )
    assert detector.reconstruction_share_ < 1


def test_a_poor_reconstruction_is_warned_of(walkers):
    options = {**SMALL, "budget": 64}
    message = r"held-out windows must be at most 0.5 of the error of the mean pose, got \d\.\d\d"
    with pytest.warns(
        InputWarning, match=f"{message}: try a larger budget, or a higher lr than 0.001"
    ):
        GEPC(**{**options, "lr": 1e-3}).fit(walkers, device="cpu")
    with pytest.warns(
        InputWarning, match=f"{message}: try more patience, or a higher lr than 1e-06"
    ):
        GEPC(**{**options, "budget": None, "lr": 1e-6}).fit(walkers, device="cpu")


def test_without_training_there_is_no_warning_of_reconstruction(walkers):
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        warnings.filterwarnings("ignore", "held-out people must be at least 20", InputWarning)
        detector = GEPC(**{**SMALL, "budget": 0}).fit(walkers, device="cpu")
    assert detector.reconstruction_share_ > 0.5


def test_a_held_out_loss_that_is_not_finite_is_refused(walkers):
    options = {**SMALL, "lr": 1e30, "checkpoint_seconds": 1e9}
    with pytest.raises(
        InputError,
        match="reconstruction loss of held-out windows must be finite, "
        r"got (nan|inf) at step \d+",
    ):
        GEPC(**options).fit(walkers, device="cpu")


def test_the_reconstruction_share_is_saved(whole, tmp_path):
    detector, _ = whole
    detector.save(tmp_path / "model.pt")
    loaded = GEPC.load(tmp_path / "model.pt", device="cpu")
    assert loaded.reconstruction_share_ == detector.reconstruction_share_


def test_checkpoints_of_older_versions_are_refused(whole, walkers, tmp_path):
    state = state_file.load(whole[1] / "checkpoint.pt", kind=KIND, version=VERSION)
    state_file.save(
        state | {"version": VERSION - 1}, tmp_path / "checkpoint.pt", kind=KIND, version=0
    )
    with pytest.raises(InputError, match=rf"version {VERSION}, got {VERSION - 1}: train again"):
        GEPC(**SMALL).fit(walkers, run=tmp_path, resume=True, device="cpu")
