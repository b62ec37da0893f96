"""The layout of the package: short modules and classes, tests in the folders of the package."""

from __future__ import annotations

import ast

from helpers import ROOT

MODULES = sorted((ROOT / "gepc_geo").rglob("*.py"))


def test_modules_have_at_most_400_lines():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert lines and not {name: count for name, count in lines.items() if count > 400}


def test_classes_have_at_most_300_lines():
    lines = {
        f"{path.relative_to(ROOT / 'gepc_geo').as_posix()}: {node.name}": (
            node.end_lineno - node.lineno + 1
        )
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.end_lineno is not None
    }
    long = {name: count for name, count in lines.items() if count > 300}
    assert lines and not long


def test_folders_of_tests_are_rooms():
    rooms = {path.name for path in (ROOT / "gepc_geo").iterdir() if path.is_dir()}
    folders = {path.parent for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders and {folder.name for folder in folders} <= rooms
