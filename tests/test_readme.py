"""The README is short, and every command and code block of it runs (at a small size)."""

from __future__ import annotations

import importlib.util
import re

import pytest
import yaml
from helpers import ROOT
from pages import NEEDS, README, commands, lines, python, run, small, write_poses

from gepc_geo import __version__

TEXT = README.read_text(encoding="utf-8")


def test_the_readme_has_at_most_150_lines():
    assert len(TEXT.splitlines()) <= 150


def test_commands_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_poses(tmp_path)
    every = commands(README)
    assert len(every) == 5
    for _, name, *rest in every:
        if name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None:
            run(name, *rest)
    for name in ("runs/mine/model.pt", "scores.csv", "metrics.json"):
        assert (tmp_path / name).exists()


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, *others = python(README)
    first = small(first)
    assert first.count("frames_per_clip=48") == 2 and "score_stride=6" in first
    exec(compile(first, "README", "exec"), {})
    assert (tmp_path / "model.pt").exists()
    assert others
    for block in others:
        # KarateClub is built in code: nothing is downloaded.
        exec(compile(block, "README", "exec"), {})


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [line.split()[1] for line in lines(page) if line.startswith("make ")]
    assert {"test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_the_first_example_has_at_most_ten_lines():
    code = [line for line in python(README)[0].splitlines() if line.strip()]
    assert len(code) <= 10


def test_links_and_pictures_are_there_and_the_pictures_are_small():
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT)
    pictures = [ROOT / target for target in targets if target.startswith("docs/images/")]
    assert len(pictures) == 2 and all((ROOT / target).exists() for target in targets)
    assert sum(picture.stat().st_size for picture in pictures) < 1_000_000


def test_the_results_are_those_of_the_page():
    """Each row of figures stands in docs/results.md."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    rows = [re.findall(r"\d\.\d{3} / \d\.\d{3}", row.replace("*", "")) for row in TEXT.splitlines()]
    rows = [row for row in rows if row]
    there = [re.findall(r"\d\.\d{3} / \d\.\d{3}", row) for row in page.splitlines()]
    assert len(rows) == 5
    for row in rows:
        assert any(set(row) <= set(other) for other in there), row


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__ and citation["title"] == "gepc_geo"
    (paper,) = citation["references"]
    assert len(paper["authors"]) == 5 and paper["title"] in TEXT.replace("\n> ", " ")
