"""Benchmark of the window loader against PyG's ``DataLoader``, and memory of a data set."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import torch
from torch_geometric.loader import DataLoader

from gepc_geo.bench.measure import milliseconds
from gepc_geo.bench.processes import resident, run_in_process
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader

_LENGTH, _BATCH = 12, 512
# Windows for PyG's loader: one second; its rate does not depend on their number.
_PLAIN_WINDOWS = 4 * _BATCH


def run(quick: bool = False, device: str | torch.device = "cpu") -> list[dict[str, Any]]:
    """Measures the rate on windows of 100,000 person-frames and the memory of 1,000,000.

    Args:
        quick: Whether to measure a tenth of both. (default: :obj:`False`)
        device: Device of the batches. (default: :obj:`"cpu"`)
    """
    rates, memory = (10_000, 100_000) if quick else (100_000, 1_000_000)
    return [*measure_rates(rates, torch.device(device)), *measure_memory(memory)]


def people(count: int) -> PoseTracks:
    """Random poses of 17 joints: 100 frames of each person, ten people in a clip."""
    rng = np.random.default_rng(0)
    track = np.arange(count) // 100
    return PoseTracks.build(
        rng.random((count, 17, 2), dtype=np.float32),
        0.5 + rng.random((count, 17), dtype=np.float32) / 2,
        np.arange(count) % 100,
        track % 10,
        track // 10,
        "coco17",
        [str(clip) for clip in range(-(-count // 1000))],
    )


def measure_rates(count: int, device: torch.device) -> list[dict[str, Any]]:
    """Windows a second of ``count`` person-frames; ``theirs`` is PyG's ``DataLoader``."""
    windows = PoseWindows(people(count), _LENGTH)
    few = windows.subset(slice(_PLAIN_WINDOWS))
    rows = []
    for order, shuffle in (("in order", False), ("shuffled", True)):
        ours = WindowLoader(windows, _BATCH, shuffle=shuffle, device=device)
        theirs = DataLoader(few, batch_size=_BATCH, shuffle=shuffle)
        mine, reference = milliseconds(
            lambda ours=ours: [None for _ in ours],  # type: ignore[misc]
            lambda theirs=theirs: [batch.to(device) and None for batch in theirs],  # type: ignore[misc]
            seconds=2.0,
            device=device,
        )
        rate, plain = 1e3 * len(windows) / mine, 1e3 * len(few) / reference
        rows.append(
            {
                "suite": "loader",
                "where": f"batch {_BATCH}, {order}",
                "name": "WindowLoader over DataLoader",
                "ours": rate,
                "theirs": plain,
                "unit": "windows/s",
                "ratio": rate / plain,
                "goal": ">= 20",
            }
        )
    return rows


def measure_memory(count: int) -> list[dict[str, Any]]:
    """Memory of windows and loader; ``theirs`` is the memory of the tracks, not included."""
    memory = run_in_process("gepc_geo.bench.loader", count)
    tracks = memory.pop("tracks")
    return [
        {
            "suite": "loader",
            "where": f"{count:,} person-frames",
            "name": f"windows and loader: memory {kind}",
            "ours": value,
            "theirs": tracks,
            "unit": "MB",
            "ratio": value / tracks,
            "goal": goal,
        }
        for (kind, value), goal in zip(memory.items(), ("<= 1.2", ""), strict=True)
    ]


def measure(count: int) -> dict[str, float]:
    """MB of tracks, and further MB of windows and loader: held and at most."""
    tracks = people(count)
    arrays = [value for value in vars(tracks).values() if isinstance(value, np.ndarray)]
    size = sum(array.nbytes for array in arrays) / 2**20
    before, _ = resident()
    loader = WindowLoader(PoseWindows(tracks, _LENGTH), _BATCH, shuffle=True)
    next(iter(loader))
    held, most = resident()
    return {"tracks": size, "held": held - before, "at most": most - before}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
