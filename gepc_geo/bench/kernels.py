"""Where a training step goes: operators (on a GPU kernels), the time between them, memory."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from gepc_geo.bench.measure import Work, peak_megabytes
from gepc_geo.bench.model import everyone, works
from gepc_geo.utils.device import wait

# Steps before the measured ones: kernels are chosen, compiled and recorded in the first.
_WARM = 3


def run(
    device: torch.device, *, batch: int = 256, steps: int = 3, most: int = 8
) -> list[dict[str, Any]]:
    """Shares of a training step's time, the ordinary network's and ours.

    ``between`` is what is left: on a GPU the time in which no kernel runs, launch gaps; on the CPU
    what is not inside of any operator.

    Args:
        device: Where to compute.
        batch: Windows in a batch.
        steps: Training steps to profile.
        most: Operators to list, those that take longest; the others together.
    """
    rows = []
    for who, precision in everyone(device):
        step = works(who, precision, device, batch)["train"]
        shares, taken = _shares(step, device, steps)
        named = sorted(shares.items(), key=lambda one: -one[1])
        listed = dict(named[:most])
        listed["others"] = sum(share for _, share in named[most:])
        listed["between"] = max(0.0, 1 - sum(shares.values()))
        where = f"{who}, {precision}"
        rows += [
            {"suite": "kernels", "where": where, "name": name[:34], "share": share}
            for name, share in listed.items()
        ]
        rows.append(
            {
                "suite": "kernels",
                "where": where,
                "name": f"a step of {batch}",
                "milliseconds": 1e3 * taken,
                "megabytes": peak_megabytes(step, device),
            }
        )
    return rows


def _shares(step: Work, device: torch.device, steps: int) -> tuple[dict[str, float], float]:
    """Each operator's share of the time of a step, which is given too, in seconds."""
    for _ in range(_WARM):
        step()
    wait(device)
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        wait(device)
        taken = time.perf_counter() - start
    kind = DeviceType.CUDA if cuda else DeviceType.CPU
    shares = {}
    for event in profiler.key_averages():
        spent = event.self_device_time_total if cuda else event.self_cpu_time_total
        # Annotations span the kernels beneath them, which have their own entries.
        if event.device_type == kind and spent and not event.is_user_annotation:
            shares[event.key] = spent / 1e6 / taken
    return shares, taken / steps
