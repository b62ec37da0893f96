"""Code blocks of README.md and of the pages of docs/, and commands of them at a small size."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner
from helpers import ROOT
from pytest import MonkeyPatch
from streams import write_another_day

from gepc_geo.cli import data, main
from gepc_geo.datasets.simulate import write_crowd

README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
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
    "budget=40_000": "budget=640",
    '("train", random_state': '("train", num_clips=12, frames_per_clip=48, random_state',
    '("test", random_state': '("test", num_clips=9, frames_per_clip=48, random_state',
}
# What commands need beside the package.
NEEDS = {"report": "plotly", "render": "imageio", "export": "onnx"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each of a page's code blocks."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.M | re.S)


def python(page: Path) -> list[str]:
    """A page's blocks of Python."""
    return [block for kind, block in blocks(page) if kind == "python"]


def lines(page: Path) -> list[str]:
    """The lines of a page's commands."""
    every = [line for kind, block in blocks(page) if kind == "" for line in block.splitlines()]
    return [line for line in every if line.strip()]


def commands(page: Path) -> list[list[str]]:
    """The words of a page's commands of the package."""
    every = [shlex.split(line, comments=True) for line in lines(page)]
    return [words for words in every if words[0] == "gepc-geo"]


def write_poses(folder: Path) -> None:
    """Poses of a small crowd as the pages name them."""
    write_crowd(folder / "poses", random_state=2, train_clips=12, test_clips=9, frames_per_clip=48)
    (folder / "poses" / "test_masks").rename(folder / "poses" / "masks")
    write_another_day(folder)


def small(block: str) -> str:
    """A block of Python at a small size."""
    for large, few in SMALLER.items():
        block = block.replace(large, few)
    return block


def run(name: str, *words: str) -> None:
    """A command at its small size, in the working directory.

    ``<`` feeds it a file; ``|`` feeds its output to another command.
    """
    text = None
    if "|" in words:
        place = words.index("|")
        first = CliRunner().invoke(main, [name, *words[:place]], catch_exceptions=False)
        assert first.exit_code == 0, (name, words, first.output)
        (_, name, *words), text = words[place + 1 :], first.stdout
    if "<" in words:
        place = words.index("<")
        words, text = words[:place], Path(words[place + 1]).read_text(encoding="utf-8")
    more = SMALL if name in ("train", "demo") else []
    if name == "calibrate":
        more = ["--false-alarms-per-hour", "1000"]  # seconds of poses are no half an hour
    result = CliRunner().invoke(main, [name, *words, *more], input=text, catch_exceptions=False)
    assert result.exit_code == 0, (name, words, result.output)


def parse(name: str, *words: str) -> dict[str, object]:
    """What a command understands of its words."""
    command = main.commands[name]
    if name == "experiment":
        name, *words = words
        command = command.commands[name]
    with MonkeyPatch.context() as patch:
        # The paths of the pages lie elsewhere.
        patch.setattr(data, "check_readable", lambda path, note: None)
        return command.make_context(name, list(words)).params
