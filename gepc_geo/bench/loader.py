"""Batches of windows beside PyG's ``DataLoader``, and the memory that a data set takes."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import torch
from torch_geometric.loader import DataLoader

from gepc_geo.bench.measure import milliseconds
from gepc_geo.bench.resident import in_a_process, resident
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader

_LENGTH, _BATCH = 12, 512
# PyG's loader takes a second for this many; its rate does not depend on their number.
_PLAIN_WINDOWS = 4 * _BATCH


def run(quick: bool = False, device: str | torch.device = "cpu") -> list[dict[str, Any]]:
    """Rows of 100,000 person-frames' windows in batches of 512; of the memory of a million's.

    If quick, of a tenth of both. PyG's batches are moved to the device.
    """
    rates, memory = (10_000, 100_000) if quick else (100_000, 1_000_000)
    return [*_rates(rates, torch.device(device)), *_memory(memory)]


def people(count: int) -> PoseTracks:
    """Poses of 17 joints, each person's for 100 frames, ten people in a clip."""
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


def _rates(count: int, device: torch.device) -> list[dict[str, Any]]:
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


def _memory(count: int) -> list[dict[str, Any]]:
    """``theirs`` is the size of the tracks, which come on top."""
    memory = in_a_process("gepc_geo.bench.loader", count)
    tracks = memory.pop("tracks")
    return [
        {
            "suite": "loader",
            "where": f"{count:,} person-frames",
            "name": f"windows and loader: memory {what}",
            "ours": value,
            "theirs": tracks,
            "unit": "MB",
            "ratio": value / tracks,
            "goal": goal,
        }
        for (what, value), goal in zip(memory.items(), ("<= 1.2", ""), strict=True)
    ]


def measure(count: int) -> dict[str, float]:
    """MB of tracks; MB that their windows and a loader take beside, held and at most."""
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
