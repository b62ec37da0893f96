"""Every command and code block of the README runs (long ones at a declared small size)."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import shrink_demo
from streams import write_another_day

from gepc_geo.cli import main
from gepc_geo.datasets.simulate import write_crowd

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
# What makes a training or a demo small; everything else of a command runs as it stands.
SMALL = [
    "--hidden",
    "1",
    "--encoder-channels",
    "2,2",
    "--strides",
    "2,3",
    "--decoder-channels",
    "2",
    "--budget",
    "640",
    "--batch-size",
    "32",
    "--clusters",
    "3",
    "--components",
    "2",
    "--stride",
    "4",
    "--score-stride",
    "6",
    "--augment",
    "none",
]
# The same of a block of Python.
SMALLER = {
    "score_stride=4": "score_stride=6, augment='none'",
    '("train", random_state': '("train", num_clips=12, frames_per_clip=48, random_state',
    '("test", random_state': '("test", num_clips=9, frames_per_clip=48, random_state',
}
# What commands need beside the package.
NEEDS = {"report": "plotly", "render": "imageio", "export": "onnx"}


def blocks(language: str) -> list[str]:
    every = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.M | re.S)
    return [block for kind, block in every if kind == language]


def commands() -> list[list[str]]:
    lines = [line for block in blocks("") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("gepc-geo ")]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shrink_demo(monkeypatch)
    write_crowd(
        tmp_path / "poses", random_state=2, train_clips=12, test_clips=9, frames_per_clip=48
    )
    (tmp_path / "poses" / "test_masks").rename(tmp_path / "poses" / "masks")
    write_another_day(tmp_path)
    return tmp_path


def run(name: str, *words: str) -> None:
    """A command at its small size, in the working directory; ``<`` feeds it a file."""
    text = None
    if "<" in words:
        place = words.index("<")
        words, text = words[:place], Path(words[place + 1]).read_text(encoding="utf-8")
    more = SMALL if name in ("train", "demo") else []
    if name == "calibrate":
        more = ["--false-alarms-per-hour", "1000"]  # seconds of poses are no half an hour
    result = CliRunner().invoke(main, [name, *words, *more], input=text, catch_exceptions=False)
    assert result.exit_code == 0, (name, words, result.output)


def test_commands_of_the_command_line_section_run_in_order(folder):
    section = [c for c in commands() if c[1] != "bench" and not any("PATH" in part for part in c)]
    assert {c[1] for c in section} == set(main.commands) - {"bench", "experiment"}
    for _, name, *rest in section:
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
            continue
        run(name, *rest)
    assert (folder / "merged.csv").read_bytes() == (folder / "scores.csv").read_bytes()
    for name in (
        "scores.csv",
        "metrics.json",
        "test.npz",
        "runs/mine/model.pt",
        "runs/demo/model.pt",
        "alphapose",
        "runs/adapted/model.pt",
    ):
        assert (folder / name).exists()


def test_commands_of_several_processes_parse():
    """Two processes run such commands in test_distributed.py."""
    lines = [line for block in blocks("") for line in block.splitlines()]
    several = [shlex.split(line) for line in lines if line.startswith("torchrun ")]
    names = []
    for words in several:
        name, *rest = words[words.index("gepc_geo") + 1 :]
        main.commands[name].make_context(name, rest)
        names.append(name)
    assert names == ["train", "score"]


def test_flags_of_the_table_exist():
    names = set(re.findall(r"`(?:train|score|evaluate)? ?(--[a-z-]+)", README))
    every = [*main.commands.values(), *main.commands["experiment"].commands.values()]
    known = {flag for c in every for p in c.params for flag in p.opts}
    assert names and names <= known


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, *others = blocks("python")
    small = first
    for large, few in SMALLER.items():
        small = small.replace(large, few)
    assert small.count("frames_per_clip=48") == 2 and "score_stride=6" in small
    exec(compile(small, "README", "exec"), {})
    assert (tmp_path / "model.pt").exists()
    for block in others:
        # KarateClub is built in code: nothing is downloaded.
        exec(compile(block, "README", "exec"), {})


def test_make_targets_exist():
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    for line in (line for block in blocks("") for line in block.splitlines()):
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", makefile, flags=re.M), line


def test_ten_lines_are_ten_lines():
    lines = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(lines) <= 10


def results_commands() -> list[list[str]]:
    return [c for c in commands() if any("PATH" in part for part in c)]


@pytest.mark.parametrize("command", results_commands(), ids=lambda c: " ".join(c)[9:60])
def test_commands_of_the_results_parse(command):
    """Training on the real data takes long: here the commands are parsed, flag by flag."""
    _, name, *rest = command
    parsed = main.commands[name]
    if name == "experiment":
        name, *rest = rest
        parsed = parsed.commands[name]
    context = parsed.make_context(name, rest)
    assert context.params["data"] is not None


@pytest.mark.slow
def test_results_commands_run_small_on_real_data(real_data, tmp_path, monkeypatch):
    """The README's clip-level commands, in order, with a small network."""
    monkeypatch.chdir(tmp_path)
    chosen = [c for c in results_commands() if "nw_ucla" in " ".join(c)]
    assert [c[1] for c in chosen] == ["experiment"]
    small = []
    for flag, value in zip(SMALL[::2], SMALL[1::2], strict=True):
        if flag != "--budget":
            value = f"[{value}]" if flag.endswith(("channels", "strides")) else value
            small += ["--set", f"{flag.strip('-').replace('-', '_')}={value}"]
    for _, name, *rest in chosen:
        rest = [part.replace("PATH/nw_ucla", str(real_data("nw_ucla"))) for part in rest]
        rest += ["--splits", "whole_body", "--budget", "640", "--jobs", "1", *small]
        result = CliRunner().invoke(main, [name, *rest], catch_exceptions=False)
        assert result.exit_code == 0, result.output
