"""What auto decides, and that a run keeps it."""

from __future__ import annotations

import pytest
import torch
from helpers import NETWORK

from gepc_geo import GEPC, precision
from gepc_geo.datasets import simulate_crowd
from gepc_geo.errors import InputError

CPU = torch.device("cpu")
OPTIONS = {**NETWORK, "precision": "auto", "budget": 64, "checkpoint_seconds": 0}


@pytest.fixture
def speed(monkeypatch):
    """Makes the probe say what a test wants."""
    return lambda value: monkeypatch.setattr(precision, "bf16_speed", lambda device: value)


@pytest.mark.parametrize(("measured", "decided"), [(1.49, "fp32"), (1.5, "bf16"), (4.0, "bf16")])
def test_auto_takes_bfloat16_where_it_is_worth_it(speed, measured, decided):
    speed(measured)
    assert precision.decide("auto", CPU) == decided
    assert [precision.decide(name, CPU) for name in precision.PRECISIONS] == ["fp32", "bf16"]


def test_probe_measures_once_and_draws_no_random_numbers():
    precision.bf16_speed.cache_clear()
    state = torch.get_rng_state()
    first = precision.bf16_speed(CPU)
    assert 0 < first < 1000
    assert precision.bf16_speed(CPU) == first
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture(scope="module")
def tracks():
    return simulate_crowd("train", seed=0, num_clips=3, frames_per_clip=48)


def test_a_resumed_run_and_a_saved_model_keep_what_was_decided(speed, tracks, tmp_path):
    speed(2.0)
    detector = GEPC(**OPTIONS).fit(tracks, run=tmp_path, device="cpu")
    assert detector.precision_ == "bf16" and detector.precision == "auto"
    speed(1.0)
    assert GEPC(**OPTIONS).fit(tracks, run=tmp_path, resume=True, device="cpu").precision_ == "bf16"
    assert GEPC(**OPTIONS).fit(tracks, device="cpu").precision_ == "fp32"
    detector.save(tmp_path / "model.pt")
    loaded = GEPC.load(tmp_path / "model.pt", device="cpu")
    assert loaded.precision_ == "bf16"
    scores = [one.decision_function(tracks) for one in (detector, loaded)]
    assert (scores[0] == scores[1]).all()


def test_a_model_file_with_another_precision_is_refused(tracks, tmp_path):
    detector = GEPC(**OPTIONS).fit(tracks, device="cpu")
    detector.precision_ = "fp8"
    detector.save(tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt has precision 'fp8', expected fp32 or bf16"):
        GEPC.load(tmp_path / "model.pt", device="cpu")
