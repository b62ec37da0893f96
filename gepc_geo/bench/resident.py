"""How much memory a process takes, as Linux counts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def resident() -> tuple[float, float]:
    """MB that this process holds of its own, and that it had at most, mapped files included.

    Both not a number where the system is no Linux.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    values = dict(line.split(":", 1) for line in lines)
    held, most = (values.get(name, "nan kB").split()[0] for name in ("RssAnon", "VmHWM"))
    return float(held) / 1024, float(most) / 1024


def in_a_process(module: str, *arguments: object) -> dict[str, float]:
    """What a module prints as JSON when run as a program: memory is measured where nothing was."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {name: float(value) for name, value in json.loads(done.stdout).items()}
