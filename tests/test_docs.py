"""Every code block of docs/ runs (long ones at a declared small size), and the site builds strictly."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import ROOT
from streams import write_another_day
from test_readme import NEEDS, SMALL, SMALLER, run
from test_readme import commands as readme_commands

from gepc_geo import PoseTracks
from gepc_geo.cli import main
from gepc_geo.datasets.simulate import write_crowd

PAGES = sorted((ROOT / "docs").glob("*.md"))
# tests/io/test_formats_page.py holds what the page of formats says against the readers.
COMMANDS = [page for page in PAGES if page.stem != "formats"]
# Commands whose data nobody has here, or that a scheduler runs: parsed (or looked up), not run.
ELSEWHERE = ("PATH/", "runs/validation", "$SLURM", "parts/*")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each of a page's code blocks."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.M | re.S)


def lines(page: Path) -> list[str]:
    every = [line for kind, block in blocks(page) if kind == "" for line in block.splitlines()]
    return [line for line in every if line.strip()]


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> Path:
    """A folder with poses as the guides name them, and a small run trained on them."""
    folder = tmp_path_factory.mktemp("docs")
    write_crowd(folder / "poses", random_state=2, train_clips=12, test_clips=9, frames_per_clip=48)
    (folder / "poses" / "test_masks").rename(folder / "poses" / "masks")
    write_another_day(folder)
    words = ["train", str(folder / "poses/train"), "--out", str(folder / "runs/mine"), *SMALL]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


def test_kinds_of_blocks_are_those_that_run():
    kinds = {kind for page in PAGES for kind, _ in blocks(page)}
    assert kinds == {"", "python", "text", "json"}  # text: other tools' code
    tools = {shlex.split(line)[0] for page in PAGES for line in lines(page)}
    assert tools <= {"gepc-geo", "python", "torchrun", "sbatch"}


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.stem)
def test_commands_run(page, poses, tmp_path, monkeypatch):
    shutil.copytree(poses, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for line in lines(page):
        tool, *words = shlex.split(line)
        # The README's own line of an export runs in test_readme.py: converting takes long.
        twice = words[0] == "export" and shlex.split(line) in readme_commands()
        if tool == "gepc-geo" and not twice and not any(part in line for part in ELSEWHERE):
            if words[0] == "train":
                shutil.rmtree(tmp_path / "runs/mine")
            needed = NEEDS.get(words[0])
            if needed is None or importlib.util.find_spec(needed) is not None:
                run(*words)
        elif tool == "python":
            script, *flags = words
            text = (ROOT / script).read_text(encoding="utf-8")
            names = [flag.strip("-") for flag in flags if flag.startswith("--")]
            assert all(re.search(rf"--{name}\b", text) for name in names), line
        else:
            # Two processes run such commands in test_distributed.py, a shard's in test_readme.py.
            if tool == "torchrun":
                words = words[words.index("gepc_geo") + 1 :]
            elif tool == "sbatch":
                words = shlex.split(words[-1].replace("$SLURM_ARRAY_TASK_ID", "1"))[1:]
            command, *rest = words
            parsed = main.commands[command]
            if command == "experiment":
                command, *rest = rest
                parsed = parsed.commands[command]
            parsed.make_context(command, rest)


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.stem)
def test_python_blocks_run(page, poses, tmp_path, monkeypatch):
    code = [block for kind, block in blocks(page) if kind == "python"]
    if not code:
        return
    if "onnxruntime" in "".join(code):
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    shutil.copytree(poses, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for block in code:
        for large, small in SMALLER.items():
            block = block.replace(large, small)
        exec(compile(block, page.name, "exec"), {})


def test_the_guide_gives_clips_their_classes_and_halves(poses, tmp_path, monkeypatch):
    """What the page's code saves, the commands it names take: classes and halves by the names."""
    page = ROOT / "docs" / "your_data.md"
    (code,) = [block for kind, block in blocks(page) if "clip_split" in block]
    shutil.copytree(poses / "poses", tmp_path / "poses")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page.name, "exec"), {})
    tracks = PoseTracks.load("clips.npz")
    names = tracks.clip_names
    assert tracks.clip_split == ("train",) * 12 + ("test",) * 9
    assert all(
        name.startswith(f"{half}_") for name, half in zip(names, tracks.clip_split, strict=True)
    )
    assert dict(zip(names, tracks.clip_label, strict=True))["test_falling_00"] == "falling"
    assert set(tracks.select(split="train").clip_label) == {"normal"}
    words = ["evaluate", str(poses / "runs/mine"), "clips.npz", "--split", "test"]
    run(*words, "--normal", "normal", "--no-plots", "--out", "metrics.json")
    assert json.loads(Path("metrics.json").read_text())["level"] == "clip"
    result = CliRunner().invoke(main, ["info", "clips.npz"])
    assert "splits          test 9, train 12" in result.output


def test_every_page_is_in_the_navigation_and_links_lead_somewhere():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in config
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


@pytest.mark.parametrize(
    "module", ["gepc_geo", "gepc_geo.density.mixture", "gepc_geo.nn", "gepc_geo.report"]
)
def test_public_names_are_in_the_api(module):
    pages = (ROOT / "docs" / "api").glob("*.md")
    shown = {line for page in pages for line in page.read_text(encoding="utf-8").splitlines()}
    names = {name for name in importlib.import_module(module).__all__ if name != "__version__"}
    assert names and not {name for name in names if f"::: {module}.{name}" not in shown}


@pytest.mark.slow
def test_site_builds_strictly(tmp_path):
    for package in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra docs)")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "s")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "s" / "api" / "detector.html").read_text(encoding="utf-8")
    assert "decision_function" in page and ":math:" not in page
    live = (tmp_path / "s" / "api" / "live.html").read_text(encoding="utf-8")
    for name in ("OnlineScorer.push", "alerts.AlertTracker", "adaptation.adapt_to_events"):
        assert f'id="gepc_geo.{name}"' in live
    # Nothing is fetched from elsewhere when a page opens.
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="(https?:[^"]+)"', page)
