"""Benchmark of training and encoding against the ordinary network, in separate processes."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from gepc_geo.bench.measure import Traffic, Work, milliseconds, roofline
from gepc_geo.bench.processes import run_in_process
from gepc_geo.bench.reference import OrdinarySTGCAE
from gepc_geo.nn import STGCAE, reconstruction_loss
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.training.compiling import compiled
from gepc_geo.training.precision import autocast, native_bf16, tensor_float
from gepc_geo.utils.memory import keep_memory

SKELETON, WINDOW, CHANNELS = "coco18", 12, 3
#: Implementations and precisions of every device.
VARIANTS = (("ordinary", "fp32"), ("gepc_geo", "fp32"), ("gepc_geo", "bf16"))
# On a GPU also a compiled network, whose step is recorded and replayed.
_COMPILED = "gepc_geo, compiled"
_ON_CUDA = (("gepc_geo", "tf32"), (_COMPILED, "fp32"), (_COMPILED, "bf16"))
# Goals: speed relative to the ordinary network and, on an H100, windows a second.
_GOALS = {
    "cpu": {
        ("train", "fp32"): ">= 2",
        ("train", "bf16"): ">= 5",
        ("encode", "fp32"): ">= 1.5",
        ("encode", "bf16"): ">= 5",
    },
    "cuda": {
        ("train", "bf16"): ">= 10, 100,000 windows/s",
        ("encode", "bf16"): "500,000 windows/s",
    },
}
#: Allocator settings of ``rate_tuned``, for all variants: freed memory is reused.
TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}


def variants(device: torch.device) -> tuple[tuple[str, str], ...]:
    """Implementations and precisions of a device; bfloat16 only with native support."""
    native = native_bf16(device)
    every = VARIANTS + (_ON_CUDA if device.type == "cuda" else ())
    return tuple(variant for variant in every if native or variant[1] != "bf16")


def networks() -> tuple[STGCAE, OrdinarySTGCAE]:
    """Network of the library in default size, and the ordinary network with its weights."""
    torch.manual_seed(0)
    skeleton = SKELETONS[SKELETON]
    model = STGCAE(
        CHANNELS,
        skeleton.num_joints,
        WINDOW,
        adj=skeleton.adjacency(),
        dropout=Options().dropout,
    )
    return model, OrdinarySTGCAE(model)


def ordinary_flops() -> dict[str, float]:
    """FLOPs of one window in the ordinary network, for ``encode`` and ``train``."""
    model = networks()[1].eval()
    x = torch.zeros(1, WINDOW, SKELETONS[SKELETON].num_joints, CHANNELS)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encode(x)
    encode = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        model(x)[0].sum().backward()
    return {"encode": float(encode), "train": float(counter.get_total_flops())}


def ordinary_bytes(batch: int = 64) -> dict[str, float]:
    """Bytes that the operators of the ordinary float32 network read and write for a window."""
    model = networks()[1].eval()
    x = torch.zeros(batch, WINDOW, SKELETONS[SKELETON].num_joints, CHANNELS)
    with Traffic() as encode, torch.no_grad():
        model.encode(x)
    with Traffic() as train:
        model(x)[0].sum().backward()
    return {"encode": encode.total / batch, "train": train.total / batch}


def run(
    device: torch.device,
    *,
    batches: tuple[int, ...] = (256,),
    rounds: int = 3,
    seconds: float = 6.0,
) -> list[dict[str, Any]]:
    """Measures windows a second at batch sizes, as medians over alternating processes.

    ``of_peak`` is the share of the measured rate of matrix products. ``of_roofline`` is the share
    of the roofline rate. At that rate, a window takes the longer of the time of its FLOPs and the
    time of its bytes (half of them in bfloat16), both at measured rates. Caches and fused operators
    can exceed the roofline.

    Args:
        device: Device of the computation.
        batches: Windows in a batch.
        rounds: Processes of each variant.
        seconds: Duration of training and of encoding in each process.
    """
    measured = variants(device)
    flops, moved = ordinary_flops(), ordinary_bytes()
    most = roofline(device, sorted({precision for _, precision in measured}))
    rows = []
    for batch in batches:
        columns = {"rate": _rates(measured, device, batch, rounds, seconds, {})}
        if device.type == "cpu":
            columns["rate_tuned"] = _rates(measured, device, batch, rounds, seconds, TUNED)
        for work in ("train", "encode"):
            for name, precision in measured:
                if work not in columns["rate"][name, precision]:
                    continue
                row: dict[str, Any] = {
                    "suite": "model",
                    "where": f"{work}, batch {batch}",
                    "name": f"{name}, {precision}",
                    "unit": "windows/s",
                }
                for column, rates in columns.items():
                    own, reference = rates[name, precision][work], rates[VARIANTS[0]][work]
                    row |= {column: own, column.replace("rate", "ratio"): own / reference}
                speed = flops[work] * row["rate"] / 1e9
                share = 0.5 if precision == "bf16" else 1.0
                least = max(
                    flops[work] / most[precision], share * moved[work] / most["copy"]
                )  # nanoseconds a window
                row |= {
                    "gflops": speed,
                    "of_peak": speed / most[precision],
                    "of_roofline": row["rate"] * least / 1e9,
                }
                goal = _GOALS.get(device.type, {}).get((work, precision))
                if name != "ordinary" and goal is not None:
                    row["goal"] = goal
                rows.append(row)
    machine = {
        "suite": "model",
        "where": "machine",
        "name": "measured peak",
        "unit": "GFLOP/s, GB/s",
    }
    return [*rows, machine | most]


def _rates(
    measured: Sequence[tuple[str, str]],
    device: torch.device,
    batch: int,
    rounds: int,
    seconds: float,
    environment: dict[str, str],
) -> dict[tuple[str, str], dict[str, float]]:
    """Windows a second of each variant and each of its :func:`works`."""
    results: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in measured}
    for _ in range(rounds):
        for implementation, precision in measured:
            arguments = (implementation, precision, device, batch, seconds)
            rates = run_in_process("gepc_geo.bench.model", *arguments, environment=environment)
            results[implementation, precision].append(rates)
    return {
        key: {work: statistics.median(rates[work] for rates in found) for work in found[0]}
        for key, found in results.items()
    }


def works(implementation: str, precision: str, device: torch.device, batch: int) -> dict[str, Work]:
    """Functions that run a training step (``train``) and encode (``encode``) one batch.

    The compiled network has ``train`` only, because the trainer compiles nothing else.
    """
    ours, ordinary = networks()
    ours, ordinary = ours.to(device), ordinary.to(device)
    model: Any = ordinary if implementation == "ordinary" else ours
    if implementation == _COMPILED:
        model = compiled(ours)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    x = torch.randn(batch, WINDOW, SKELETONS[SKELETON].num_joints, CHANNELS, device=device)

    def train() -> None:
        with autocast(device, precision):
            reconstruction, _ = model(x)
        optimizer.zero_grad()
        reconstruction_loss(reconstruction.float(), x).backward()
        optimizer.step()

    def encode() -> None:
        with autocast(device, precision), torch.no_grad():
            model.encode(x)

    def in_mode(work: Work, training: bool) -> Work:
        def call() -> None:
            model.train(training)
            with tensor_float(precision):
                work()

        return call

    calls = {"train": in_mode(train, True), "encode": in_mode(encode, False)}
    return {"train": calls["train"]} if implementation == _COMPILED else calls


def measure(
    implementation: str, precision: str, device: torch.device, batch: int, seconds: float
) -> dict[str, float]:
    """Windows a second in this process."""
    result = {}
    for name, work in works(implementation, precision, device, batch).items():
        (taken,) = milliseconds(work, seconds=seconds, device=device)
        result[name] = 1e3 * batch / taken
    return result


if __name__ == "__main__":
    _implementation, _precision, _device, _batch, _seconds = sys.argv[1:]
    if _implementation != "ordinary":
        # As the command line does.
        keep_memory()
    print(
        json.dumps(
            measure(
                _implementation, _precision, torch.device(_device), int(_batch), float(_seconds)
            )
        )
    )
