"""What auto decides, and that a run keeps it."""

from __future__ import annotations

import pytest
import torch
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.datasets import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.training import precision

CPU = torch.device("cpu")
OPTIONS = {
    **NETWORK,
    "precision": "auto",
    "budget": 64,
    "score_stride": 6,
    "checkpoint_seconds": 0,
}


@pytest.fixture
def cpu(monkeypatch):
    """Makes PyTorch tell of a CPU with some flags."""

    def pretend(*flags: str) -> None:
        told = {"avx2": True, "amx_bf16": False, "avx512_bf16": False} | dict.fromkeys(flags, True)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)

    return pretend


@pytest.mark.parametrize(
    ("flags", "decided"),
    [
        (["avx512_f", "avx512_vnni", "amx_tile", "amx_int8"], "fp32"),
        (["avx512_bf16"], "bf16"),
        (["amx_bf16"], "bf16"),
    ],
)
def test_auto_takes_bfloat16_on_a_cpu_that_multiplies_in_it(cpu, flags, decided):
    cpu(*flags)
    assert precision.decide("auto", CPU) == decided
    for name in ("fp32", "tf32", "bf16"):
        assert precision.decide(name, CPU) == name


@pytest.mark.parametrize(
    ("capability", "decided"),
    [((7, 5), "fp32"), ((8, 0), "bf16"), ((8, 6), "bf16"), ((9, 0), "bf16"), ((12, 0), "bf16")],
)
def test_auto_takes_bfloat16_from_a_compute_capability_on(monkeypatch, capability, decided):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert precision.decide("auto", torch.device("cuda:0")) == decided


def test_auto_takes_float32_on_unknown_devices():
    assert precision.decide("auto", torch.device("mps")) == "fp32"


@pytest.mark.parametrize(("flag", "decided"), [("avx512_bf16", "bf16"), ("avx512f", "fp32")])
def test_cpu_features_come_from_linux_if_pytorch_has_no_list(monkeypatch, tmp_path, flag, decided):
    """PyTorch 2.4 has no list of what a CPU can do."""
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    text = f"processor\t: 0\nmodel name\t: Some\nflags\t\t: fpu avx2 {flag} sse\nbugs\t: amx_bf16\n"
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(precision, "Path", lambda path: tmp_path / "cpuinfo")
    assert precision.decide("auto", CPU) == decided
    monkeypatch.setattr(precision, "Path", lambda path: tmp_path / "missing")
    assert precision.decide("auto", CPU) == "fp32"


def test_deciding_the_precision_is_repeatable_and_draws_no_random_numbers():
    state = torch.get_rng_state()
    assert len({precision.decide("auto", CPU) for _ in range(5)}) == 1
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("name", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_tensorfloat_32_is_on_only_inside_the_context_of_tf32(name, allowed):
    """For convolutions and matrix products alike, which PyTorch has different defaults for."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [one.allow_tf32 for one in backends]
    with pytest.raises(ValueError, match="out"), precision.autocast(CPU, name):
        assert [one.allow_tf32 for one in backends] == [allowed] * 2
        assert torch.is_autocast_enabled("cpu") == (name == "bf16")
        raise ValueError("out")
    assert [one.allow_tf32 for one in backends] == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("name", "tolerance"), [("tf32", 1e-2), ("bf16", 5e-2)])
def test_faster_precisions_are_close_to_float32_on_a_gpu(tracks, name, tolerance):
    """Latents of the same weights, as shares of their deviation."""
    exact = GEPC(**OPTIONS | {"precision": "fp32"}).fit(tracks, device="cuda")
    expected = exact.embed(tracks)
    exact.network_.precision = name
    gap = abs(exact.embed(tracks) - expected).max() / expected.std()
    # Of small networks no product may be large enough for TensorFloat-32.
    assert (gap > 0 or name == "tf32") and gap < tolerance


def test_bfloat16_is_close_to_float32(tracks):
    """Latents of the same weights, as shares of their deviation."""
    exact = GEPC(**OPTIONS | {"precision": "fp32"}).fit(tracks, device="cpu")
    expected = exact.embed(tracks)
    exact.network_.precision = "bf16"
    gap = abs(exact.embed(tracks) - expected) / expected.std()
    assert 0 < gap.mean() < 0.01 and gap.max() < 0.1


@pytest.fixture(scope="module")
def tracks():
    return simulate_crowd("train", random_state=0, num_clips=3, frames_per_clip=48)


def test_a_resumed_run_and_a_saved_model_keep_the_chosen_precision(cpu, tracks, tmp_path):
    cpu("avx512_bf16")
    detector = GEPC(**OPTIONS).fit(tracks, run=tmp_path, device="cpu")
    assert detector.network_.precision == "bf16" and detector.precision == "auto"
    cpu()
    assert (
        GEPC(**OPTIONS).fit(tracks, run=tmp_path, resume=True, device="cpu").network_.precision
        == "bf16"
    )
    assert GEPC(**OPTIONS).fit(tracks, device="cpu").network_.precision == "fp32"
    detector.save(tmp_path / "model.pt")
    loaded = GEPC.load(tmp_path / "model.pt", device="cpu")
    assert loaded.network_.precision == "bf16"
    scores = [one.decision_function(tracks) for one in (detector, loaded)]
    assert (scores[0] == scores[1]).all()


def test_a_model_file_with_another_precision_is_refused(tracks, tmp_path):
    detector = GEPC(**OPTIONS).fit(tracks, device="cpu")
    detector.network_.precision = "fp8"
    detector.save(tmp_path / "model.pt")
    with pytest.raises(
        InputError, match=r"model\.pt must have precision fp32 or tf32 or bf16, got 'fp8'"
    ):
        GEPC.load(tmp_path / "model.pt", device="cpu")
