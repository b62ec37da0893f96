"""Processor, threads and versions, to be stored with measured times."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import torch
import torch_geometric

from gepc_geo._version import __version__


def machine(device: torch.device) -> dict[str, Any]:
    """Date, device, threads and versions, by name."""
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
    """Name, memory and CUDA version of the GPU, and the processor's name."""
    gpu = torch.cuda.get_device_properties(device)
    memory = f"{gpu.total_memory / 2**30:.0f} GiB"
    return f"{gpu.name}, {memory}, CUDA {torch.version.cuda}; {_cpu()}"


def _cpu() -> str:
    """Name of the processor, and the instruction set that PyTorch uses."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (cpuinfo.read_text().splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
