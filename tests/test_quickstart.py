"""The quickstart notebook runs from its first cell to its last, at a small size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
NOTEBOOK = Path(__file__).parent.parent / "examples" / "quickstart.ipynb"


def test_the_quickstart_runs_and_shows_its_plots(tmp_path, monkeypatch):
    for name, value in (("CLIPS", 4), ("FRAMES", 60)):
        monkeypatch.setenv(f"QUICKSTART_{name}", str(value))
    root = str(NOTEBOOK.parent.parent)
    monkeypatch.setenv("PYTHONPATH", root)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    # The notebook is stored without results, which differ between machines.
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(
        notebook, timeout=170, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert sum("image/png" in out.get("data", {}) for out in outputs) == 3
    assert any(re.match(r"frame AUC [01]\.\d{3}$", out.get("text", "")) for out in outputs)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and '"run": "quickstart"' in page
