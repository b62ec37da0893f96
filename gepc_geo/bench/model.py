"""Training and encoding beside the ordinary network, each in a process of its own."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from gepc_geo.bench.measure import Traffic, Work, milliseconds, roofline
from gepc_geo.bench.ordinary import OrdinarySTGCAE
from gepc_geo.bench.resident import in_a_process
from gepc_geo.nn import STGCAE, reconstruction_loss
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.training.compiling import compiled
from gepc_geo.training.precision import autocast, native_bf16, tensor_float
from gepc_geo.utils.memory import keep_memory

SKELETON, WINDOW, CHANNELS = "coco18", 12, 3
#: Who is measured: the ordinary network in float32, and ours.
WHO = (("ordinary", "fp32"), ("gepc_geo", "fp32"), ("gepc_geo", "bf16"))
# On a GPU, where compiling pays, also ours compiled: a step is recorded, and replayed.
_COMPILED = "gepc_geo, compiled"
_ON_CUDA = (("gepc_geo", "tf32"), (_COMPILED, "fp32"), (_COMPILED, "bf16"))
# Ours has to be so many times as fast as the ordinary network; on a GPU, which is to be an H100, it has to
# reach so many windows a second too.
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
# An allocator that keeps what was freed, for both: the right-hand column.
_TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}


def everyone(device: torch.device) -> tuple[tuple[str, str], ...]:
    """Who is measured on a device, with the precision: in bfloat16 where it computes in it."""
    native = native_bf16(device)
    kinds = WHO + (_ON_CUDA if device.type == "cuda" else ())
    return tuple(one for one in kinds if native or one[1] != "bf16")


def networks() -> tuple[STGCAE, OrdinarySTGCAE]:
    """Our network of default size and the ordinary one with its weights."""
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
    """FLOPs of one window in the ordinary formulation, ``encode`` and ``train``."""
    model = networks()[1].eval()
    x = torch.zeros(1, WINDOW, SKELETONS[SKELETON].num_joints, CHANNELS)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encode(x)
    encode = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        model(x)[0].sum().backward()
    return {"encode": float(encode), "train": float(counter.get_total_flops())}


def ordinary_bytes(batch: int = 64) -> dict[str, float]:
    """Bytes that the ordinary network reads and writes in float32 for a window, operator by operator."""
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
    """Windows a second at batch sizes, medians over processes that take turns.

    ``of_peak`` is the share of the measured matrix product's rate, ``of_roofline`` that of what the
    machine would allow operator by operator: the longer of the FLOPs at that rate and the bytes (half
    of them in bfloat16) at the measured bandwidth. Caches and fused operators can beat the latter.

    Args:
        device: Where to compute.
        batches: Windows in a batch.
        rounds: Processes of each kind.
        seconds: How long a process measures each of training and encoding.
    """
    who = everyone(device)
    flops, moved = ordinary_flops(), ordinary_bytes()
    most = roofline(device, sorted({precision for _, precision in who}))
    rows = []
    for batch in batches:
        columns = {"rate": _rates(who, device, batch, rounds, seconds, {})}
        if device.type == "cpu":
            columns["rate_tuned"] = _rates(who, device, batch, rounds, seconds, _TUNED)
        for work in ("train", "encode"):
            for name, precision in who:
                if work not in columns["rate"][name, precision]:
                    continue
                row: dict[str, Any] = {
                    "suite": "model",
                    "where": f"{work}, batch {batch}",
                    "name": f"{name}, {precision}",
                    "unit": "windows/s",
                }
                for column, rates in columns.items():
                    own, reference = rates[name, precision][work], rates[WHO[0]][work]
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
    kinds: Sequence[tuple[str, str]],
    device: torch.device,
    batch: int,
    rounds: int,
    seconds: float,
    environment: dict[str, str],
) -> dict[tuple[str, str], dict[str, float]]:
    """Windows a second of each kind's :func:`works`, each round a process each."""
    each: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in kinds}
    for _ in range(rounds):
        for who, precision in kinds:
            arguments = (who, precision, device, batch, seconds)
            rates = in_a_process("gepc_geo.bench.model", *arguments, environment=environment)
            each[who, precision].append(rates)
    return {
        key: {work: statistics.median(one[work] for one in found) for work in found[0]}
        for key, found in each.items()
    }


def works(who: str, precision: str, device: torch.device, batch: int) -> dict[str, Work]:
    """A training step and an encoding of one batch that is there already, to be called.

    Of what is compiled the step alone: the trainer compiles nothing else.
    """
    ours, ordinary = networks()
    ours, ordinary = ours.to(device), ordinary.to(device)
    model: Any = ordinary if who == "ordinary" else ours
    if who == _COMPILED:
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
    return {"train": calls["train"]} if who == _COMPILED else calls


def measure(
    who: str, precision: str, device: torch.device, batch: int, seconds: float
) -> dict[str, float]:
    """Windows a second in this process."""
    result = {}
    for name, work in works(who, precision, device, batch).items():
        (taken,) = milliseconds(work, seconds=seconds, device=device)
        result[name] = 1e3 * batch / taken
    return result


if __name__ == "__main__":
    _who, _precision, _device, _batch, _seconds = sys.argv[1:]
    if _who != "ordinary":
        # As the command line does.
        keep_memory()
    print(
        json.dumps(measure(_who, _precision, torch.device(_device), int(_batch), float(_seconds)))
    )
