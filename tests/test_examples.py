"""Examples on real data, at small size."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result
from helpers import script


@pytest.fixture(scope="module")
def few_clips(real_data, tmp_path_factory) -> Path:
    """Clips of one person of NW-UCLA."""
    folder = tmp_path_factory.mktemp("nw_ucla") / "all_sqe"
    folder.mkdir()
    for file in (real_data("nw_ucla") / "all_sqe").glob("*_s04_*.json"):
        (folder / file.name).symlink_to(file)
    return folder.parent


def recognise(module: ModuleType, root: Path, out: Path, *more: object) -> Result:
    small = ["--out", out, "--hidden", 2, "--device", "cpu", *more]
    return CliRunner().invoke(module.main, [str(word) for word in (root, *small)])


@pytest.mark.slow
def test_action_recognition_resumes(few_clips, tmp_path, monkeypatch):
    module = script("examples/action_recognition.py")
    whole = recognise(module, few_clips, tmp_path / "whole", "--epochs", 3)
    assert re.search(r"^static\+global\+inferred +top-1 \d+\.\d\d %$", whole.stdout, re.M)
    save = module.state_file.save

    def save_and_stop(*arguments, **keywords):
        save(*arguments, **keywords)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.state_file, "save", save_and_stop)
        stopped = recognise(module, few_clips, tmp_path / "parts", "--epochs", 3)
    assert stopped.exit_code != 0 and "top-1" not in stopped.stdout
    rest = recognise(module, few_clips, tmp_path / "parts", "--epochs", 3)
    assert rest.stdout == whole.stdout
    one, other = (
        module.state_file.load(
            tmp_path / name / "static+global+inferred-3.pt",
            kind="action recognition run",
            version=1,
        )
        for name in ("whole", "parts")
    )
    assert all((one["model"][key] == other["model"][key]).all() for key in one["model"])
    again = recognise(module, few_clips, tmp_path / "parts", "--epochs", 3, "--seed", 1)
    assert again.exit_code == 2 and "or use another --out" in again.stderr


@pytest.mark.slow
def test_action_recognition_compares_all_subsets_of_the_branches(few_clips, tmp_path):
    module = script("examples/action_recognition.py")
    table = recognise(module, few_clips, tmp_path, "--epochs", 4, "--compare", "--validate")
    assert re.findall(r"^(\S+) +top-1", table.stdout, re.M) == [
        "static",
        "global",
        "inferred",
        "static+global",
        "static+inferred",
        "global+inferred",
        "static+global+inferred",
    ]


def test_action_recognition_tells_where_the_clips_must_be(tmp_path):
    result = recognise(script("examples/action_recognition.py"), tmp_path / "nowhere", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ") and "does not exist: put the " in result.stderr
