"""All suites by name, and their rows as text and as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from gepc_geo.bench import fit, kernels, layer, loader, mixture, model, readers, score
from gepc_geo.utils.files import atomic_path
from gepc_geo.utils.machine import machine

_Rows = list[dict[str, Any]]


def _layer(device: torch.device, quick: bool) -> _Rows:
    if not quick:
        return layer.run(device, compiled=True)
    return layer.run(device, batches=(64, 512), edges=(1_000, 100_000), seconds=0.5)


def _model(device: torch.device, quick: bool) -> _Rows:
    cpu = device.type == "cpu"
    # The largest GPU batch fits into 80 GB: training takes over 7 MB for each window.
    if quick:
        return model.run(device, batches=(256,) if cpu else (4096,), rounds=1, seconds=4.0)
    return model.run(device, batches=(64, 256, 1024) if cpu else (256, 1024, 4096))


def _kernels(device: torch.device, quick: bool) -> _Rows:
    batch = 256 if device.type == "cpu" else 4096
    return kernels.run(device, batch=64 if quick else batch)


def _mixture(device: torch.device, quick: bool) -> _Rows:
    return mixture.run(device, **({"sizes": ((100_000, 20),)} if quick else {}))


def _fit(device: torch.device, quick: bool) -> _Rows:
    return fit.run(device, **({"clips": 12, "budget": 3_000, "rounds": 1} if quick else {}))


def _score(device: torch.device, quick: bool) -> _Rows:
    small = {"clips": 3, "frames": 60, "rounds": 1, "rows": 20_000}
    return score.run(device, **(small if quick else {}))


def _loader(device: torch.device, quick: bool) -> _Rows:
    return loader.run(quick, device)


def _readers(device: torch.device, quick: bool) -> _Rows:
    return readers.run(quick)


SUITES: dict[str, Callable[[torch.device, bool], _Rows]] = {
    "layer": _layer,
    "model": _model,
    "kernels": _kernels,
    "fit": _fit,
    "loader": _loader,
    "readers": _readers,
    "mixture": _mixture,
    "score": _score,
}


def lines(rows: _Rows) -> Iterator[str]:
    """Yields rows as text, with a heading where the columns change."""
    before: list[str] = []
    for row in rows:
        columns = [name for name in row if name not in ("suite", "where", "name", "goal")]
        if columns != before:
            yield f"\n{row['suite']:57s}" + "".join(f"{name:>14s}" for name in columns) + "  goal"
        before = columns
        values = "".join(f"{_text(row[name]):>14s}" for name in columns)
        yield f"{row['where']:22s} {row['name']:34s}{values}  {row.get('goal', '')}"


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def write(rows: _Rows, device: torch.device, command: str, path: Path) -> None:
    """Writes rows, machine, versions and command as JSON."""
    content = {"machine": machine(device), "command": command, "rows": rows}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
