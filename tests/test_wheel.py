"""A wheel of the project, installed where its sources are not: what is in it, and that it runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


def output_of(*command: object, cwd: Path) -> str:
    """What a command prints, without the sources on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the sources."""
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    sources = tmp_path_factory.mktemp("sources")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gepc_geo", sources / "gepc_geo", ignore=ignored)
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", sources / "dist", ".")
    output_of(sys.executable, "-m", "pip", *build, cwd=sources)
    (path,) = (sources / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """The folder of the programs of a fresh environment with the wheel in it.

    What the wheel requires comes from the environment of the tests.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = ("install", "--no-deps", "--no-index", wheel)
    python = programs / "python"
    output_of(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    path = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(output_of(python, "-c", path, cwd=folder).strip())
    # Searched after the fresh environment's own packages.
    own = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (site / "tests.pth").write_text("\n".join(sorted(own)) + "\n", encoding="utf-8")
    return programs


def test_the_wheel_has_the_files_that_are_not_modules(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    static = {path.name for path in (ROOT / "gepc_geo" / "report" / "static").iterdir()}
    assert {"page.html", "page.css", "page.js"} <= static
    assert {"gepc_geo/py.typed", *(f"gepc_geo/report/static/{name}" for name in static)} <= names
    assert not any(name.startswith("tests/") for name in names)


def test_the_wheel_has_every_module(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gepc_geo").rglob("*.py")}
    assert modules and modules == {name for name in names if name.endswith(".py")}


def test_the_demo_runs_from_the_wheel(programs, tmp_path):
    found = output_of(
        programs / "python", "-c", "import gepc_geo; print(gepc_geo.__file__)", cwd=tmp_path
    )
    assert Path(found.strip()).is_relative_to(programs.parent)
    small = ("--lengths", 12, "--stride", 24, "--score-stride", 48, "--device", "cpu")
    text = output_of(programs / "gepc-geo", "demo", "--out", "demo", *small, cwd=tmp_path)
    assert "over all clips, as in the files" in text
    report = ["report.html"] if importlib.util.find_spec("plotly") else []
    for name in ("model.pt", "scores.csv", "metrics.json", *report):
        assert (tmp_path / "demo" / name).stat().st_size > 0
