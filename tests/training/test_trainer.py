"""The training stages: resume, both losses, bad losses."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import NETWORK, NoReading

from gepc_geo import GEPC, InputError, PoseTracks
from gepc_geo.nn.attention import ATTENTIONS
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.scoring.scorer import scoring_loader
from gepc_geo.training.network import autoencoder, window_residual
from gepc_geo.training.trainer import Trainer
from gepc_geo.training.training_checkpoint import KIND, VERSION
from gepc_geo.utils import state_file
from gepc_geo.windows.pipeline import InputPipeline

SMALL = {
    **NETWORK,
    "budget": 640,
    "batch_size": 32,
    "components": 3,
    "stride": 4,
    "score_stride": 4,
    "random_state": 3,
    "holdout": 0.2,
}


def state_of(detector: GEPC) -> dict[str, torch.Tensor]:
    return {
        **{f"model.{k}": v for k, v in detector.network_.model.state_dict().items()},
        **{f"assignment.{k}": v for k, v in detector.network_.assignment.state_dict().items()},
    }


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0, msg=name)


@pytest.fixture(scope="module")
def whole(walkers, tmp_path_factory) -> tuple[GEPC, Path]:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    return GEPC(**SMALL).fit(walkers, run=folder, device="cpu"), folder


SCRIPT = """
import sys
from gepc_geo import GEPC, PoseTracks
options = eval(sys.argv[3])
GEPC(**options).fit(PoseTracks.load(sys.argv[1]), run=sys.argv[2], device="cpu", resume=True)
"""


@pytest.mark.parametrize("stage", ["reconstruction", "clustering"])
def test_killed_run_resumes_to_the_same_weights(stage, whole, walkers, tmp_path):
    """SIGKILL in each stage, then resume: bit for bit the uninterrupted run's weights."""
    poses, run = tmp_path / "poses.npz", tmp_path / "run"
    walkers.save(poses)
    run.mkdir()
    options = {**SMALL, "checkpoint_seconds": 0.0}
    command = [sys.executable, "-c", SCRIPT, str(poses), str(run), repr(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=environment)
    log = run / "losses.csv"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and sum(row["stage"] == stage for row in _rows(log)) >= 3:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert state_file.load(run / "checkpoint.pt", kind=KIND, version=VERSION)["stage"] == stage
    # As if the kill had come in the middle of writing.
    (run / ".checkpoint.pt.left-over.pt").write_bytes(b"half")
    GEPC(**options).fit(PoseTracks.load(poses), run=run, device="cpu", resume=True)
    assert not list(run.glob(".*"))
    resumed = state_file.load(run / "checkpoint.pt", kind=KIND, version=VERSION)
    assert resumed["stage"] == "done"
    assert_same(
        {
            **{f"model.{k}": v for k, v in resumed["model"].items()},
            **{f"assignment.{k}": v for k, v in resumed["assignment"].items()},
        },
        state_of(whole[0]),
    )
    # No row of the log stands twice.
    for column in ("loss", "label_change"):
        places = [(row["stage"], row["step"]) for row in _rows(log) if row[column]]
        assert len(places) == len(set(places))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_equal_seeds_give_equal_weights(whole, walkers):
    detector, _ = whole
    again = GEPC(**SMALL).fit(walkers, device="cpu")
    assert_same(state_of(detector), state_of(again))
    other = GEPC(**{**SMALL, "random_state": 4}).fit(walkers, device="cpu")
    assert not torch.equal(
        state_of(detector)["assignment.theta"], state_of(other)["assignment.theta"]
    )


def test_training_leaves_the_global_generator_alone(walkers):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    GEPC(**{**SMALL, "budget": 64}).fit(walkers, device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_budget_is_split_over_the_stages(whole):
    _, folder = whole
    rows = [row for row in _rows(folder / "losses.csv") if row["loss"]]
    last = {row["stage"]: int(row["step"]) for row in rows}
    assert last == {"reconstruction": 15, "clustering": 5}
    assert int(rows[-1]["passes"]) == SMALL["budget"]


def test_reconstruction_error_is_well_below_the_variance_of_the_input(walkers):
    """What is left falls well under the variance of standardised input."""
    detector = GEPC(**{**SMALL, "hidden": 4, "budget": 4800, "lr": 3e-3, "cluster_share": 0.0})
    detector.fit(walkers, device="cpu")
    loader = scoring_loader(detector.windows(walkers), torch.device("cpu"))
    encoder = detector.scorer_.encoder
    with torch.no_grad():
        parts = [encoder(batch, 0, ("reconstruction",))["residual"] for batch in loader]
        whole = [detector.pipeline_.tensor(batch)[..., :-1].flatten(1) for batch in loader]
    assert torch.cat(parts).square().mean() < 0.6 * torch.cat(whole).square().mean()


def test_a_loss_that_is_not_finite_stops_training(walkers, tmp_path):
    with pytest.raises(InputError, match=r"loss must be finite, got (nan|inf) at step \d+"):
        GEPC(**{**SMALL, "lr": 1e30}).fit(walkers, run=tmp_path, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["reconstruction", "clustering"])
@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_weights_that_are_not_finite_are_never_kept(stage, seconds, walkers, tmp_path, monkeypatch):
    """A finite loss with an infinite gradient, with and without a look at the loss before it."""
    clip, calls = torch.nn.utils.clip_grad_norm_, []

    def poisoned(parameters, norm):
        calls.append(None)
        if len(calls) == (3 if stage == "reconstruction" else 17):
            parameters[0].grad.fill_(torch.inf)
        return clip(parameters, norm)

    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", poisoned)
    seen = "loss must be finite, got (nan|inf)"
    if seconds == 0 or stage == "clustering":
        seen = "weights must be finite, got NaN or infinity"
    with pytest.raises(
        InputError, match=rf"^the {stage} {seen} at step \d+: lower the learning rate "
    ) as error:
        GEPC(**{**SMALL, "checkpoint_seconds": seconds}).fit(walkers, run=tmp_path, device="cpu")
    path = tmp_path / "checkpoint.pt"
    assert path.exists() == (f"the last good checkpoint is {path}" in str(error.value))
    assert path.exists() == (seconds == 0 or stage == "clustering")
    if path.exists():
        state = state_file.load(path, kind=KIND, version=VERSION)
        assert state["stage"] == stage or seconds > 0
        assert all(value.isfinite().all() for value in state["model"].values())


def test_checkpoint_of_other_data_or_options_is_refused(whole, walkers):
    _, folder = whole
    with pytest.raises(
        InputError,
        match=r"checkpoint\.pt must be of the 425 training windows with checksum [0-9a-f]{8}, "
        "got 627 windows with checksum [0-9a-f]{8}: ",
    ):
        GEPC(**SMALL).fit(walkers.select(clips=range(8)), run=folder, resume=True, device="cpu")
    moved = walkers.with_(keypoints=walkers.keypoints + 1)
    with pytest.raises(InputError, match=r"with checksum \w+, got \d+ windows with checksum"):
        GEPC(**SMALL).fit(moved, run=folder, resume=True, device="cpu")
    with pytest.raises(InputError, match=r"must have lr 0.1, got 0.001"):
        GEPC(**{**SMALL, "lr": 0.1}).fit(walkers, run=folder, resume=True, device="cpu")


def test_former_options_of_a_checkpoint(whole, walkers, tmp_path):
    """The value in effect passes, another one is refused with what replaces it."""
    state = state_file.load(whole[1] / "checkpoint.pt", kind=KIND, version=VERSION)
    path = tmp_path / "checkpoint.pt"

    def resume(**former: object) -> None:
        content = {**state, "options": {**state["options"], **former}}
        state_file.save(content, path, kind=KIND, version=VERSION)
        GEPC(**SMALL).fit(walkers, run=tmp_path, resume=True, device="cpu")

    resume(clip_norm=1.0, covariance="full", whitened_dims=64, label_tolerance=0.001)
    message = (
        f"{path} must not have option clip_norm: the gradient of each loss has a norm of at most "
        "1, got 9; train again without it"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        resume(clip_norm=9)
    with pytest.raises(InputError, match="got 'torso': train again with scale rms$"):
        resume(scale="torso")


def test_checkpoint_of_another_model_is_refused(whole, walkers, tmp_path):
    _, folder = whole
    state = state_file.load(folder / "checkpoint.pt", kind=KIND, version=VERSION)
    path = tmp_path / "checkpoint.pt"
    for part in ("model", "assignment"):
        name, *_ = state[part]
        other = {**state, part: {**state[part], name: torch.zeros(2, 3, 5, 7)}}
        state_file.save(other, path, kind=KIND, version=VERSION)
        message = rf"checkpoint.pt must be of the model of these options, got another one: .*{name}"
        with pytest.raises(InputError, match=message):
            GEPC(**SMALL).fit(walkers, run=tmp_path, resume=True, device="cpu")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"garbage" * 99])
def test_corrupt_checkpoint_is_refused(content, walkers, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(
        InputError, match=r"checkpoint.pt must be a gepc_geo training checkpoint, got an error"
    ):
        GEPC(**SMALL).fit(walkers, run=tmp_path, resume=True, device="cpu")


def test_residual_is_of_seen_joints_only():
    x = torch.zeros(1, 2, 2, 3)
    x[..., -1] = torch.tensor([[1.0, 0.0], [0.5, 0.0]])
    reconstruction = torch.zeros(1, 2, 2, 2)
    reconstruction[0, 0, 0] = torch.tensor([2.0, 1.0])
    reconstruction[0, :, 1] = torch.nan
    expected = torch.tensor([[-2.0, -1.0, 0, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(window_residual(reconstruction, x), expected)


def test_tensorboard_events_are_written(walkers, tmp_path):
    GEPC(**{**SMALL, "budget": 128}).fit(walkers, run=tmp_path, tensorboard=True, device="cpu")
    assert list((tmp_path / "tensorboard").glob("events*"))


@pytest.mark.parametrize(
    ("device", "precision", "compiled"),
    [
        ("cpu", "fp32", False),
        ("cuda", "fp32", False),
        ("cuda", "bf16", False),
        ("cuda", "fp32", True),
    ],
)
def test_no_step_waits_for_the_device(walkers, monkeypatch, device, precision, compiled):
    """On the CPU nothing is read back as a number; a GPU refuses whatever would wait."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    steps = []
    whole = Trainer._step

    def guarded(self, index):
        steps.append(self.stage)
        if compiled and len(steps) <= 4:
            # Compiled in the first of them, and recorded in the next.
            return whole(self, index)
        if device == "cpu":
            with NoReading():
                return whole(self, index)
        torch.cuda.set_sync_debug_mode("error")
        try:
            return whole(self, index)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Trainer, "_step", guarded)
    options = {"budget": 256, "augment": "vary", "precision": precision}
    options["compile"] = "always" if compiled else "never"
    GEPC(**{**SMALL, **options}).fit(walkers, device=device)
    assert steps == ["reconstruction"] * 6 + ["clustering"] * 2


@pytest.mark.slow
def test_a_compiled_network_has_the_same_training(walkers, monkeypatch):
    """Traced as for machine code, which takes minutes to make: tests of the layers make it."""
    compiler, modes = torch.compile, []

    def traced(model, mode):
        modes.append(mode)
        return compiler(model, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", traced)
    few = {"branches": ["static", "inferred"], "encoder_channels": [2], "strides": [2]}
    few["decoder_channels"] = [2]
    options = {**SMALL, **few, "budget": 96, "cluster_share": 0.34}
    plain = GEPC(**options).fit(walkers, device="cpu")
    compiled = GEPC(**options, compile="always").fit(walkers, device="cpu")
    np.testing.assert_allclose(compiled.embed(walkers), plain.embed(walkers), rtol=1e-2, atol=5e-3)
    assert modes == ["default"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_compiled_and_recorded_steps_give_the_same_training_on_a_gpu(walkers):
    options = {**SMALL, "budget": 192, "cluster_share": 0.34, "precision": "fp32"}
    plain = GEPC(**options, compile="never").fit(walkers, device="cuda")
    compiled = GEPC(**options, compile="always").fit(walkers, device="cuda")
    np.testing.assert_allclose(compiled.embed(walkers), plain.embed(walkers), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_network_has_the_attention_of_the_options(name):
    pipeline = InputPipeline(SKELETONS["box5"], 2, 0, Options(), (12,))
    pipeline.std = torch.ones(2)
    net = autoencoder(Options(attention=name, hidden=1), pipeline)
    layers = [*(block.spatial for block in [*net.encoder, *net.decoder]), net.output]
    assert {type(layer.attention) for layer in layers} == {ATTENTIONS[name]}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_on_cuda_agrees_with_the_cpu(walkers):
    options = {**SMALL, "budget": 64, "cluster_share": 0.0, "dropout": 0.0, "augment": "none"}
    cpu = GEPC(**options).fit(walkers, device="cpu")
    cuda = GEPC(**options).fit(walkers, device="cuda")
    np.testing.assert_allclose(cuda.embed(walkers), cpu.embed(walkers), rtol=1e-2, atol=1e-2)
