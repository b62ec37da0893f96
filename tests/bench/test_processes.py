"""Programs in new processes: arguments, environment and output."""

from __future__ import annotations

import os
import subprocess

import pytest

from gepc_geo.bench.processes import run_in_process

PROGRAM = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getpid(), os.environ["MINE"], os.environ["OURS"]]))
sys.exit(sys.argv[1] == "bad")
"""


def test_a_program_runs_in_a_process_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OURS", "kept")
    words, process, mine, ours = run_in_process(
        "program", tmp_path, 2, environment={"MINE": "added"}
    )
    assert words == [str(tmp_path), "2"] and (mine, ours) == ("added", "kept")
    assert process != os.getpid() and "MINE" not in os.environ
    with pytest.raises(subprocess.CalledProcessError):
        run_in_process("program", "bad", environment={"MINE": ""})
