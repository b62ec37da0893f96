"""Fixture that runs benchmark programs in this process, because a new process takes seconds."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest

from gepc_geo.bench import fit, model, readers, score


@pytest.fixture
def programs(monkeypatch) -> list[tuple[list[str], Mapping[str, str] | None]]:
    """Runs the programs of suites in this process; records their arguments and environments.

    Each is run as ``python -m`` would, from its arguments to the JSON that it prints. A process of
    its own is what the test of the loader's memory starts, and ``test_processes.py``.
    """
    started: list[tuple[list[str], Mapping[str, str] | None]] = []

    def run(module: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Any:
        words = [str(one) for one in arguments]
        started.append((words, environment))
        printed = io.StringIO()
        path = sys.modules[module].__file__
        with mock.patch.object(sys, "argv", [path, *words]), contextlib.redirect_stdout(printed):
            runpy.run_path(path, run_name="__main__")
        return json.loads(printed.getvalue())

    for suite in (fit, model, readers, score):
        monkeypatch.setattr(suite, "run_in_process", run)
    return started
