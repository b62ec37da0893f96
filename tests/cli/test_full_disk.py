"""A full disk: one sentence names the file, the old file is unchanged, no partial file remains."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import full_disk
from streams import TRAINED, small_run

from gepc_geo import GEPC
from gepc_geo.cli import main
from gepc_geo.datasets import simulate_crowd
from gepc_geo.errors import InputError

FLAGS = [
    word
    for name, value in TRAINED.items()
    if name != "holdout"
    for word in (
        f"--{name.replace('_', '-')}",
        ",".join(map(str, value)) if isinstance(value, list) else str(value),
    )
] + ["--mode", "assignment", "--lengths", "12,18"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run, poses, and a table of their scores."""
    folder = tmp_path_factory.mktemp("full")
    small_run(folder, TRAINED)
    simulate_crowd("test", num_clips=3, frames_per_clip=60, random_state=4).save(
        folder / "test.npz"
    )
    simulate_crowd("train", num_clips=10, frames_per_clip=40, random_state=1).save(
        folder / "train.npz"
    )
    words = ("score", str(folder / "run"), str(folder / "test.npz"), "--out")
    assert CliRunner().invoke(main, [*words, str(folder / "scores.csv")]).exit_code == 0
    return folder


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("room", "command", "written"),
    [
        (300, "train train.npz --out new", "new/config.yaml"),
        (20_000, "train train.npz --out new", "new/checkpoint.pt"),
        (100, "score run test.npz --out scores.csv", "scores.csv"),
        (1000, "score run test.npz --out scores.npz", "scores.npz"),
        (1000, "score run test.npz --shard 1/2 --out part.npz", "part.npz"),
        (100, "evaluate run test.npz --no-plots --out metrics.json", "metrics.json"),
        (
            300_000,
            "calibrate run test.npz --normal normal --false-alarms-per-hour 2000",
            "run/model.pt",
        ),
        (300_000, "adapt run test.npz --out new", "new/model.pt"),
        (10_000, "report run test.npz --out report.html", "report.html"),
        (1000, "info test.npz --picture pose.png", "pose.png"),
        (10_000, "convert test.npz --out new.npz", "new.npz"),
        (10_000, "convert test.npz --to pyskl --out new.pkl", "new.pkl"),
        (1000, "convert test.npz --to deeplabcut --out new", "new"),
        (10_000, "render test.npz --scores scores.csv --out new.gif", "new.gif"),
        (30_000, "render test.npz --scores scores.csv --out new.mp4", "new.mp4"),
        (1_000_000, "export run --format torch --out new.pt2", "new.pt2"),
    ],
)
def test_commands_on_a_full_disk_end_in_one_sentence_and_leave_no_file(
    folder, monkeypatch, room, command, written
):
    for extra, modules in (
        ("report", ["plotly"]),
        ("info", ["matplotlib"]),
        ("render", ["PIL", "imageio_ffmpeg"]),
    ):
        for module in modules if command.startswith(extra) else ():
            pytest.importorskip(module)
    monkeypatch.chdir(folder)
    if command.startswith("info"):
        # The first use of matplotlib writes its list of fonts.
        import matplotlib.font_manager  # noqa: F401
    before = content(folder)
    words = command.split() + (FLAGS if command.startswith("train") else [])
    with full_disk(room):
        result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 2, result.output
    error = result.stderr.splitlines()[-1]
    assert error.startswith(f"Error: could not write {written}: ")
    assert content(folder) == before
    assert not (folder / "new").exists()


def test_training_resumes_when_the_disk_has_room_again(folder, tmp_path):
    words = ["train", str(folder / "train.npz"), "--out", str(tmp_path / "new"), *FLAGS]
    with full_disk(300_000):
        result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 2
    assert re.search(r"could not write \S*model\.pt: File too large", result.stderr)
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["checkpoint.pt", "config.yaml", "losses.csv"]
    result = CliRunner().invoke(main, [*words, "--resume"], catch_exceptions=False)
    assert result.exit_code == 0
    assert GEPC.load(tmp_path / "new" / "model.pt").threshold_ > 0


def test_an_adaptation_is_not_saved_without_its_record(folder, tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gepc_geo.cli.run.yaml.safe_dump", fail)
    words = ["adapt", str(folder / "run"), str(folder / "test.npz"), "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 2 and re.search(
        r"could not write \S*adapted\.yaml: No space left", result.stderr
    )
    assert not list(tmp_path.iterdir())


def test_saving_on_a_full_disk_keeps_the_old_model(folder, tmp_path):
    detector = GEPC.load(folder / "run" / "model.pt")
    path = tmp_path / "model.pt"
    path.write_text("old")
    message = r"could not write \S*model\.pt: File too large"
    with full_disk(100_000), pytest.raises(InputError, match=message):
        detector.save(path)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_printed_is_one_sentence(folder):
    command = [sys.executable, "-m", "gepc_geo", "info", str(folder / "test.npz")]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == ("Error: could not write standard output: No space left on device\n")
