"""How commands end that are interrupted or called wrongly: one line and an exit code."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from streams import small_run

from gepc_geo.cli import COMMANDS, main
from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import simulate_crowd


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    small_run(folder)
    tracks = simulate_crowd("train", num_clips=3, frames_per_clip=40, random_state=2)
    tracks.with_(fps=[24.0] * 3).save(folder / "poses.npz")
    scored = ("score", folder / "run", folder / "poses.npz", "--level", "window")
    assert run(*scored, "--out", folder / "s.npz").exit_code == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("where", ["os.fsync", "gepc_geo.io.reading.plan"])
@pytest.mark.parametrize(
    "command",
    [
        "score run poses.npz --out new/s.csv",
        "calibrate run poses.npz --false-alarms-per-hour 2000",
        "adapt run poses.npz --out new",
        "convert poses.npz --out new/p.npz",
        "convert poses.npz --skeleton coco18 --to openpose --out new",
        "render poses.npz --scores s.npz --out new/v.gif",
        "report run poses.npz --out new/r.html",
        "info poses.npz --picture new/p.png",
    ],
)
def test_ctrl_c_ends_with_one_line_and_leaves_nothing(command, where, files, tmp_path, monkeypatch):
    """While poses are read, and while the result is written."""

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    needed = {"render": "PIL", "report": "plotly", "info": "matplotlib"}.get(command.split()[0])
    if needed is not None:
        pytest.importorskip(needed)
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(where, interrupt)
    result = run(*command.split())
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "interrupted"
    assert "Aborted" not in result.output
    assert contents(tmp_path) == before and not (tmp_path / "new").exists()


def test_ctrl_c_ends_a_process_that_reads_from_a_pipe(files, tmp_path):
    """In a process of its own."""
    os.mkfifo(tmp_path / "pipe.json")
    process = subprocess.Popen(
        [sys.executable, "-m", "gepc_geo", "info", str(tmp_path / "pipe.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would the child of one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # Opening waits until the command opens the pipe too.
    with open(tmp_path / "pipe.json", "w", encoding="utf-8"):
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["score"], "Missing argument 'RUN' (main score --help)"),
        (["convert", "."], "Missing option '--out' (main convert --help)"),
        (["nonsense"], "No such command 'nonsense' (main --help)"),
        (["experiment", "nonsense"], "No such command 'nonsense'"),
        (
            ["train", ".", "--lenghts", "1s"],
            "Error: No such option '--lenghts': did you mean --lengths?",
        ),
        (["--quack"], "Error: No such option '--quack'"),
        (["bench", "--suite", "all", "more"], "unexpected extra argument"),
        (["train", ".", "--out", "r", "--hidden", "x  y"], "'x  y' is not a valid integer"),
        (["train", ".", "--out", "r", "--mode", "x"], "'x' is not one of 'combined', 'nearest'"),
        (["train", ".", "--out", "r", "--branches"], "Option '--branches' requires an argument"),
    ],
)
def test_wrong_flags_are_refused_in_one_line(words, line):
    result = run(*words)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ") and line in result.output
    assert result.output.count("\n") == 1 and "Usage" not in result.output
    assert ". " not in result.output


@pytest.mark.parametrize("wording", [None, "no such option: --modes"])
def test_the_line_does_not_depend_on_the_wording_of_click(wording):
    @click.command(cls=Command)
    @click.option("--mode", type=click.Choice(["nearest", "altered"]), required=True)
    def command(mode: str) -> None:
        raise click.NoSuchOption("--modes", wording, ["--mode"])

    line = CliRunner().invoke(command, ["--mode", "nearest"]).output
    assert line.startswith("Error: No such option '--modes': did you mean --mode?")
    missing = CliRunner().invoke(command).output
    assert re.match(r"Error: Missing option '--mode'\. Choose from: ?nearest, altered", missing)
    assert line.count("\n") == missing.count("\n") == 1


def test_help_begins_with_the_usage_and_lists_the_commands():
    for words in ([], ["experiment"], ["--help"], ["score", "--help"]):
        assert run(*words).output.startswith("Usage: main")
    assert all(name in run().output for name in COMMANDS)
