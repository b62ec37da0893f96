"""What checks the project: Makefile, workflow and pre-commit agree."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def recipe(target: str) -> list[str]:
    """The commands of a target."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    return [line.strip() for line in found[1].splitlines()]


def test_the_workflow_runs_the_pythons_of_the_classifiers():
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    pythons = re.findall(r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.M)
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    job = yaml.safe_load(text)["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == pythons and len(pythons) > 1
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_continuous_integration_runs_checks_and_all_tests():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("make ")] == [
        "make lint",
        "make test",
        "make test-slow",
    ]
    assert recipe("test") == ["$(PYTEST) -m 'not slow'"]
    assert recipe("test-slow") == ["$(PYTEST) -m slow"]


def test_commits_are_checked_by_local_tools_as_lint_does():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    (repository,) = yaml.safe_load(text)["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    checks = [line.removeprefix("$(BIN)/").removesuffix(" .") for line in recipe("lint")]
    assert [hook["entry"] for hook in repository["hooks"]] == checks


def test_the_demo_compiles_nothing():
    """torch-scatter alone is compiled; make demo does not need it."""
    assert re.search(r"^demo: \$\(INSTALLED\)$", MAKEFILE, re.M)
    assert not any("scatter" in line for line in recipe(r"\$\(INSTALLED\)"))
    assert any("torch-scatter" in line for line in recipe(r"\$\(SCATTERED\)"))
