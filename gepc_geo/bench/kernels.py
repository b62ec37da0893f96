"""Benchmark of a training step by operator (on a GPU, by kernel), and its memory."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from gepc_geo.bench.measure import Work, peak_megabytes
from gepc_geo.bench.model import variants, works
from gepc_geo.utils.device import wait

# Warm-up steps, in which kernels are chosen, compiled and recorded.
_WARM = 3


def run(
    device: torch.device, *, batch: int = 256, steps: int = 3, most: int = 8
) -> list[dict[str, Any]]:
    """Measures the share of each operator in a training step, for each variant of the network.

    ``between`` is the remaining share: on a GPU the time without a running kernel, on the CPU the
    time outside of operators.

    Args:
        device: Device of the computation.
        batch: Windows in a batch.
        steps: Training steps to profile.
        most: Number of slowest operators to list; the rest is one row.
    """
    rows = []
    for implementation, precision in variants(device):
        step = works(implementation, precision, device, batch)["train"]
        shares, taken = _shares(step, device, steps)
        slowest = sorted(shares.items(), key=lambda item: -item[1])
        listed = dict(slowest[:most])
        listed["others"] = sum(share for _, share in slowest[most:])
        listed["between"] = max(0.0, 1 - sum(shares.values()))
        where = f"{implementation}, {precision}"
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
    """Share of each operator in the time of a step, and this time in seconds."""
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
    kind = "CUDA" if cuda else "CPU"
    shares = {}
    for event in profiler.key_averages():
        spent = event.self_device_time_total if cuda else event.self_cpu_time_total
        # Annotations contain kernels, which have their own entries.
        if event.device_type.name == kind and spent and not event.is_user_annotation:
            shares[event.key] = spent / 1e6 / taken
    return shares, taken / steps
