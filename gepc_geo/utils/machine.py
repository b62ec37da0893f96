"""What measured numbers depend on: the processor, threads and versions."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import torch
import torch_geometric

from gepc_geo._version import __version__


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": _gpu(device) if device.type == "cuda" else _cpu(),
        "threads": torch.get_num_threads(),
        "gepc_geo": __version__,
        "torch": str(torch.__version__),
        "torch_geometric": torch_geometric.__version__,
        "python": platform.python_version(),
    }


def _gpu(device: torch.device) -> str:
    """The GPU's name, memory and CUDA version, and the processor that feeds it."""
    own = torch.cuda.get_device_properties(device)
    memory = f"{own.total_memory / 2**30:.0f} GiB"
    return f"{own.name}, {memory}, CUDA {torch.version.cuda}; {_cpu()}"


def _cpu() -> str:
    """The processor's name, and what PyTorch's kernels make of it."""
    names = Path("/proc/cpuinfo")
    found = [
        line.split(":", 1)[1].strip()
        for line in (names.read_text().splitlines() if names.exists() else [])
        if line.startswith("model name")
    ]
    return f"{found[0] if found else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
