"""The layout of the package: short modules, tests in the folders of the package."""

from __future__ import annotations

from helpers import ROOT

MODULES = sorted((ROOT / "gepc_geo").rglob("*.py"))


def test_modules_have_at_most_400_lines():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert lines and not {name: count for name, count in lines.items() if count > 400}


def test_folders_of_tests_are_rooms():
    rooms = {path.name for path in (ROOT / "gepc_geo").iterdir() if path.is_dir()}
    folders = {path.parent for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders and {folder.name for folder in folders} <= rooms
