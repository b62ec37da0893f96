"""Every code block of docs/ runs (long ones at a small size), and the site builds strictly."""

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
from helpers import ROOT, shrink_demo
from pages import (
    DOCS,
    NEEDS,
    SMALL,
    blocks,
    commands,
    lines,
    parse,
    python,
    run,
    small,
    write_poses,
)

from gepc_geo import PoseTracks
from gepc_geo.cli import main

# tests/io/test_formats_page.py holds what the page of formats says against the readers.
COMMANDS = [page for page in DOCS if page.stem != "formats"]
PAGE = {page.stem: page for page in DOCS}
# Commands whose data nobody has here, or that a scheduler runs: parsed (or looked up), not run.
ELSEWHERE = ("PATH/", "runs/validation", "$SLURM", "parts/*")
# Commands that take minutes: parsed; tests/bench and tests/experiments run them.
LONG = ("bench", "experiment")


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> Path:
    """A folder with poses as the guides name them, and a small run trained on them."""
    folder = tmp_path_factory.mktemp("docs")
    write_poses(folder)
    words = ["train", str(folder / "poses/train"), "--out", str(folder / "runs/mine"), *SMALL]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def folder(poses, tmp_path, monkeypatch) -> Path:
    """The working directory: a copy of :func:`poses`."""
    shutil.copytree(poses, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_code_block_is_of_a_known_kind():
    kinds = {kind for page in DOCS for kind, _ in blocks(page)}
    assert kinds == {"", "python", "text", "json"}  # text: other tools' code
    tools = {shlex.split(line)[0] for page in DOCS for line in lines(page)}
    assert tools <= {"gepc-geo", "python", "torchrun", "sbatch"}


# Exporting the same model to two formats takes long.
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow) if page.stem == "export" else page
        for page in COMMANDS
    ],
    ids=lambda page: page.stem,
)
def test_commands_of_the_pages_run(page, folder, monkeypatch):
    if page.stem == "commands":
        shrink_demo(monkeypatch)
    if any("clips.npz" in line for line in lines(page)):
        # The page's code before these commands makes the file.
        (code,) = [block for block in python(page) if "clips.npz" in block]
        exec(compile(code, page.name, "exec"), {})
    for line in lines(page):
        tool, *words = shlex.split(line)
        # The page of exports runs its own lines: converting takes long.
        twice = words[0] == "export" and page.stem != "export"
        if twice:
            assert shlex.split(line) in commands(PAGE["export"])
        elif tool == "gepc-geo" and not any(part in line for part in (*ELSEWHERE, *LONG)):
            if words[0] == "train":
                shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
            needed = NEEDS.get(words[0])
            if needed is None or importlib.util.find_spec(needed) is not None:
                run(*words)
        elif tool == "python":
            script, *flags = words
            text = (ROOT / script).read_text(encoding="utf-8")
            names = [flag.strip("-") for flag in flags if flag.startswith("--")]
            assert all(re.search(rf"--{name}\b", text) for name in names), line
        else:
            # Two processes run such commands in utils/test_distributed.py.
            if tool == "torchrun":
                words = words[words.index("gepc_geo") + 1 :]
            elif tool == "sbatch":
                words = shlex.split(words[-1].replace("$SLURM_ARRAY_TASK_ID", "1"))[1:]
            assert parse(*words)
    if page.stem == "commands":
        assert Path("merged.csv").read_bytes() == Path("scores.csv").read_bytes()
        made = (
            "metrics.json",
            "test.npz",
            "runs/demo/model.pt",
            "alphapose",
            "runs/adapted/model.pt",
        )
        assert all(Path(name).exists() for name in made)


def test_the_page_of_commands_has_every_command():
    assert {name for _, name, *_ in commands(PAGE["commands"])} == set(main.commands) - {
        "experiment"
    }
    text = PAGE["commands"].read_text(encoding="utf-8")
    table = text.split("| command |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(main.commands)


def test_flags_of_the_tables_exist():
    text = PAGE["commands"].read_text(encoding="utf-8")
    names = set(re.findall(r"`(?:\w+ )?(--[a-z-]+)", text))
    every = [*main.commands.values(), *main.commands["experiment"].commands.values()]
    known = {flag for c in every for p in c.params for flag in p.opts}
    assert names and names <= known


def test_the_glossary_has_every_kind_of_threshold():
    text = {name: PAGE[name].read_text(encoding="utf-8") for name in ("live", "glossary")}
    kinds = re.findall(r"^\| ([a-z-]+ threshold) ", text["live"], re.M)
    assert len(kinds) == 3
    assert set(kinds) <= set(re.findall(r"^\| ([^|]+) \|", text["glossary"], re.M))


def test_the_glossary_has_each_word_once_and_in_a_row_of_its_own():
    words = re.findall(r"^\| ([^|]+) \|", PAGE["glossary"].read_text(encoding="utf-8"), re.M)
    words = [word for word in words if word != "word"]
    assert len(words) == len(set(words)) > 50
    assert not [word for word in words if "," in word]


def test_the_list_of_results_has_every_file():
    folder = ROOT / "benchmarks" / "results"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for day in sorted(folder.glob("20*")):
        (entries,) = re.findall(rf"^- `{day.name}`.*\n((?:    .*\n)+)", text, re.M)
        names = re.findall(r"^    - (`[^:]+`):", entries, re.M)
        patterns = [one for name in names for one in re.findall(r"`([^`]+)`", name)]
        missing = [f.name for f in day.iterdir() if not any(map(f.match, patterns))]
        assert patterns and not missing, day.name


def test_torchrun_commands_of_the_page_are_train_and_score():
    several = [shlex.split(line) for line in lines(PAGE["scale"]) if line.startswith("torchrun ")]
    assert [words[words.index("gepc_geo") + 1] for words in several] == ["train", "score"]


def test_commands_of_experiments_name_their_data():
    """Training on the real data takes long: here the commands are parsed, flag by flag."""
    every = [*commands(PAGE["experiments"]), *commands(PAGE["results"])]
    every = [words for words in every if any("PATH" in word for word in words)]
    assert len(every) == 7
    for _, *words in every:
        assert parse(*words)["data"] is not None


@pytest.mark.slow
def test_the_experiment_runs_on_real_data_at_a_small_size(real_data, tmp_path, monkeypatch):
    """The command of the page of experiments, with a small network."""
    monkeypatch.chdir(tmp_path)
    (words,) = commands(PAGE["experiments"])
    changes = []
    for flag, value in zip(SMALL[::2], SMALL[1::2], strict=True):
        if flag != "--budget":
            value = f"[{value}]" if flag.endswith(("channels", "strides")) else value
            changes += ["--set", f"{flag.strip('-').replace('-', '_')}={value}"]
    words = [word.replace("PATH/nw_ucla", str(real_data("nw_ucla"))) for word in words[1:]]
    words += ["--splits", "whole_body", "--budget", "640", "--jobs", "1", *changes]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.stem)
def test_python_blocks_run(page, folder):
    code = python(page)
    if "onnxruntime" in "".join(code):
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    for block in code:
        exec(compile(small(block), page.name, "exec"), {})


def test_the_guide_gives_clips_classes_and_halves(poses, tmp_path, monkeypatch):
    """What the page's code saves, the commands it names take: classes and halves by the names."""
    page = PAGE["your_data"]
    (code,) = [block for block in python(page) if "clip_split" in block]
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
    for package in ("mkdocs", "material", "mkdocstrings", "latex2mathml"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra docs)")
    site = tmp_path / "s"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}
    assert "decision_function" in pages["api/detector.html"]
    for name in ("OnlineScorer.push", "alerts.AlertTracker", "adaptation.adapt_to_events"):
        assert any(
            f'id="gepc_geo.{part}{name}"' in pages["api/streaming.html"]
            for part in ("", "streaming.")
        )
    # The search works without a server: its index is a script, and so is its worker.
    assert (site / "search" / "search_index.js").read_text().startswith("var __index = {")
    assert 'src="javascripts/iframe-worker.js"' in pages["index.html"]
    for name, page in pages.items():
        # Formulas are MathML, references are links or code: nothing is left of LaTeX and reST.
        left = re.findall(
            r":(?:math|class|func|meth|attr|mod|data|obj):|\.\. math::|\\(?:mathbf|frac|sum|_)|>`_",
            page,
        )
        assert not left, (name, left)
        # Nothing is fetched from elsewhere when a page opens.
        assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="(https?:[^"]+)"', page), name
    for name, formula in (
        ("method.html", "<munder>"),
        ("api/nn.html", "<mi>&#x1D40C;</mi>"),
        ("api/windows.html", "<mfrac>"),
    ):
        assert "<math" in pages[name] and formula in pages[name], name
    link = r'<a class="autorefs[^>]*#gepc_geo.nn.DenseSpatialAttentionConv"[^>]*><code>'
    assert re.search(link, pages["api/nn.html"])
