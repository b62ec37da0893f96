"""``--log`` and ``--config``, which every command has."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from gepc_geo._version import __version__
from gepc_geo.cli import main
from gepc_geo.cli.log_file import _Logged
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.utils.progress import progress_bar

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def run(*words: object) -> tuple[int, str]:
    words = [str(word) for word in words]
    result = CliRunner().invoke(main, words, catch_exceptions=False, prog_name="gepc-geo")
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("poses") / "crowd.npz"
    simulate_crowd("train", num_clips=2, frames_per_clip=60, random_state=0).save(path)
    return path


def commands(group: click.Group) -> list[click.Command]:
    found = []
    for name in group.commands:
        command = group.commands[name]
        found += commands(command) if isinstance(command, click.Group) else [command]
    return found


def test_every_command_has_both_flags_once():
    for command in commands(main):
        names = [name for parameter in command.params for name in parameter.opts]
        assert names.count("--log") == names.count("--config") == 1, command.name


def test_the_log_has_what_goes_to_standard_error_with_times(poses, tmp_path):
    log = tmp_path / "all.log"
    code, said = run("convert", poses, "--to", "csv", "--out", tmp_path / "c.csv", "--log", log)
    assert code == 0
    note = "note: csv files have no frame rate: read this one with --fps 24"
    assert note in said and "poses: " in said
    code, said = run("convert", poses, "--to", "csv", "--out", tmp_path / "c.txt", "--log", log)
    assert code == 2
    lines = log.read_text().splitlines()
    assert all(re.match(f"{STAMP} ", line) for line in lines)
    start = f"gepc-geo convert (gepc_geo {__version__})"
    lost = "note: csv files have no frame labels, which are lost"
    assert [line[20:] for line in lines] == [start, note, lost, start, said.strip()]
    assert said.startswith("Error: ")
    assert not isinstance(sys.stderr, _Logged)


def test_a_log_that_cannot_be_written_is_refused(poses, tmp_path):
    code, said = run("info", poses, "--log", tmp_path / "none" / "a.log")
    assert code == 2
    assert said == f"Error: could not write {tmp_path}/none/a.log: No such file or directory\n"


def test_of_a_progress_bar_the_log_has_the_end():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, file = Terminal(), io.StringIO()
    file.close = lambda: None
    log = _Logged(screen, file)
    with progress_bar("train", 10, "windows", stream=log) as bar:
        bar.update(10)
    log.write("the end")
    log.finish()
    first, second = file.getvalue().splitlines()
    assert "10/10" in first and re.fullmatch(f"{STAMP} the end", second)
    assert screen.getvalue().count("\r") > 1


def test_flags_come_from_a_file_and_the_command_line_overrides_them(poses, tmp_path):
    config, out = tmp_path / "c.yaml", tmp_path / "there"
    config.write_text(f"to: alphapose-tracks\nout: {out}\nfps: null\nimage-size: 640x480\n")
    assert run("convert", poses, "--config", config)[0] == 0
    assert len(list(out.rglob("*.json"))) == 2
    assert (
        run("convert", poses, "--to", "native", "--out", tmp_path / "p.npz", "--config", config)[0]
        == 0
    )
    with np.load(tmp_path / "p.npz") as arrays:
        assert "keypoints" in arrays
    # An argument may be in the file, too.
    config.write_text(f"data: {poses}\n")
    assert "joints          17 (coco17)" in run("info", "--config", config)[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("too: csv", "c.yaml must have flags of gepc-geo convert, got 'too': did you mean to?"),
        ("log: a", "c.yaml must have flags of gepc-geo convert, got 'log'"),
        ("fps: slow", "fps of {c} must be a value of the flag, got an error: 'slow' is not"),
        ("- 1", "c.yaml must be a file of flags with values by name, got a list"),
    ],
)
def test_a_wrong_file_of_flags_is_refused(poses, tmp_path, text, message):
    config = tmp_path / "c.yaml"
    config.write_text(text)
    code, said = run("convert", poses, "--out", tmp_path / "p.npz", "--config", config)
    assert code == 2 and message.format(c=config) in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_flags_of_a_file_that_switch_something(poses, tmp_path):
    """A flag without a value is true or false in the file."""
    config = tmp_path / "c.yaml"
    config.write_text("padded: false\njudge-faults: true\nsmooth: 3\n")
    seen = {}
    command = main.commands["score"]
    context = command.make_context(
        "score", [str(poses), str(poses), "--out", "s.csv", "--config", str(config)]
    )
    seen.update(context.params)
    assert (seen["padded"], seen["faults"], seen["smooth"]) == (False, True, 3.0)
