"""Processes of their own, and how much memory one takes, as Linux counts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def resident() -> tuple[float, float]:
    """MB that this process holds of its own, and that it had at most, mapped files included.

    Both not a number where the system is no Linux.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    values = dict(line.split(":", 1) for line in lines)
    held, most = (values.get(name, "nan kB").split()[0] for name in ("RssAnon", "VmHWM"))
    return float(held) / 1024, float(most) / 1024


def in_a_process(
    module: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> Any:
    """What a module prints as JSON when run as a program: measured where nothing was before.

    Args:
        module: Its name.
        arguments: Of the program.
        environment: Variables that are added to this process's.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)
