"""Training and encoding beside the ordinary network, each in a process of its own."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from gepc_geo.bench.measure import milliseconds, roofline
from gepc_geo.bench.ordinary import OrdinarySTGCAE
from gepc_geo.bench.resident import in_a_process
from gepc_geo.memory import kept_memory
from gepc_geo.nn import STGCAE, reconstruction_loss
from gepc_geo.options import Options
from gepc_geo.precision import autocast, bf16_speed
from gepc_geo.skeleton import SKELETONS

SKELETON, WINDOW, CHANNELS = "coco18", 12, 3
#: Who is measured: the ordinary network in float32, and ours.
WHO = (("ordinary", "fp32"), ("gepc_geo", "fp32"), ("gepc_geo", "bf16"))
# Where a device is slower in bfloat16 than in float32 nobody would take it.
_USELESS = 1.0
# Ours has to be so many times as fast as the ordinary network, on the CPU and on a GPU.
_GOALS = {
    "cpu": {("train", "fp32"): 2.0, ("train", "bf16"): 5.0}
    | {("encode", "fp32"): 1.5, ("encode", "bf16"): 5.0},
    "cuda": {("train", "bf16"): 10.0},
}
# An allocator that keeps what was freed, for both: the right-hand column.
_TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}


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


def run(
    device: torch.device,
    *,
    batches: tuple[int, ...] = (256,),
    rounds: int = 3,
    seconds: float = 6.0,
) -> list[dict[str, Any]]:
    """Windows a second at batch sizes, medians over processes that take turns.

    Without bfloat16 where the device is slower in it than in float32.

    Args:
        device: Where to compute.
        batches: Windows in a batch.
        rounds: Processes of each kind.
        seconds: How long a process measures each of training and encoding.
    """
    worth = bf16_speed(device) > _USELESS
    everyone = WHO if worth else tuple(one for one in WHO if one[1] != "bf16")
    flops = ordinary_flops()
    most = roofline(device, ("fp32", "bf16") if worth else ("fp32",))
    rows = []
    for batch in batches:
        columns = {"rate": _rates(everyone, device, batch, rounds, seconds, {})}
        if device.type == "cpu":
            columns["rate_tuned"] = _rates(everyone, device, batch, rounds, seconds, _TUNED)
        for work in ("train", "encode"):
            for who, precision in everyone:
                row: dict[str, Any] = {
                    "suite": "model",
                    "where": f"{work}, batch {batch}",
                    "name": f"{who}, {precision}",
                    "unit": "windows/s",
                }
                for column, rates in columns.items():
                    own, reference = rates[who, precision][work], rates[WHO[0]][work]
                    row |= {column: own, column.replace("rate", "ratio"): own / reference}
                speed = flops[work] * row["rate"] / 1e9
                row |= {"gflops": speed, "of_peak": speed / most[precision]}
                goal = _GOALS.get(device.type, {}).get((work, precision))
                if who != "ordinary" and goal is not None:
                    row["goal"] = f">= {goal:g}"
                rows.append(row)
    machine = {
        "suite": "model",
        "where": "machine",
        "name": "measured peak",
        "unit": "GFLOP/s, GB/s",
    }
    return [*rows, machine | most]


def _rates(
    everyone: Sequence[tuple[str, str]],
    device: torch.device,
    batch: int,
    rounds: int,
    seconds: float,
    environment: dict[str, str],
) -> dict[tuple[str, str], dict[str, float]]:
    """Windows a second of ``train`` and ``encode`` for everyone, each round a process each."""
    each: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in everyone}
    for _ in range(rounds):
        for who, precision in everyone:
            arguments = (who, precision, device, batch, seconds)
            rates = in_a_process("gepc_geo.bench.model", *arguments, environment=environment)
            each[who, precision].append(rates)
    return {
        key: {work: statistics.median(one[work] for one in found) for work in ("train", "encode")}
        for key, found in each.items()
    }


def measure(
    who: str, precision: str, device: torch.device, batch: int, seconds: float
) -> dict[str, float]:
    """Windows a second in this process; ours as training runs it, freed memory kept."""
    ours, ordinary = (model.to(device) for model in networks())
    model = ours if who == "gepc_geo" else ordinary
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

    result = {}
    with kept_memory() if who == "gepc_geo" else nullcontext():
        for name, work in (("train", train), ("encode", encode)):
            model.train(name == "train")
            (taken,) = milliseconds(work, seconds=seconds, device=device)
            result[name] = 1e3 * batch / taken
    return result


if __name__ == "__main__":
    _who, _precision, _device, _batch, _seconds = sys.argv[1:]
    print(
        json.dumps(measure(_who, _precision, torch.device(_device), int(_batch), float(_seconds)))
    )
