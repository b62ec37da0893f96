"""Measurements in a new process, and the memory of a process on Linux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def resident() -> tuple[float, float]:
    """Memory of this process in MB: resident now, and the peak with mapped files.

    Both are NaN on systems other than Linux.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    values = dict(line.split(":", 1) for line in lines)
    held, most = (values.get(name, "nan kB").split()[0] for name in ("RssAnon", "VmHWM"))
    return float(held) / 1024, float(most) / 1024


def run_in_process(
    module: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> Any:
    """Runs a module as a program in a new process and returns the JSON that it prints.

    Args:
        module: Name of the module.
        arguments: Arguments of the program.
        environment: Further environment variables.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)
