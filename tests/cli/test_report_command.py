"""``gepc-geo report`` from files to a page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers import NETWORK

from gepc_geo.cli import main
from gepc_geo.cli.run import Run
from gepc_geo.datasets import simulate_crowd
from gepc_geo.options import Options


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def data_of(page: Path) -> dict:
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.S
    )
    return json.loads(found[1])


@pytest.fixture(scope="module")
def files(tmp_path_factory, walkers) -> Path:
    """Poses, and a run that knows where it was trained."""
    folder = tmp_path_factory.mktemp("files")
    walkers.save(folder / "train.npz")
    simulate_crowd("test", num_clips=3, frames_per_clip=36, random_state=3).save(
        folder / "test.npz"
    )
    small = {"mode": "assignment", "lengths": ["12", "18"], "budget": 64, "score_stride": 6}
    options = Options(**NETWORK | small | {"augment": "none"})
    made = Run(folder / "run")
    made.start(resume=False)
    made.write_config(options, data={"path": str(folder / "train.npz")})
    made.train(walkers, options, device="cpu", quiet=True)
    return folder


def test_the_report_finds_the_training_poses_of_the_run(files, tmp_path):
    page = tmp_path / "page.html"
    result = run("report", files / "run", files / "test.npz", "--out", page, "--mode", "max")
    assert result.exit_code == 0, result.output
    assert re.search(r"3 clips, \d+ peaks in .*page\.html \(\d\.\d MB\)", result.output)
    found = data_of(page)
    assert found["words_from"] == "training" and found["mode"] == "max"
    assert all("normal" in scene for scene in found["scenes"])
    assert found["about"]["run"] == "run" and found["quality"] is not None
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_missing_training_poses_are_noted_in_the_report(files, tmp_path):
    run_folder, page = tmp_path / "moved", tmp_path / "page.html"
    run_folder.mkdir()
    (run_folder / "model.pt").write_bytes((files / "run" / "model.pt").read_bytes())
    result = run("report", run_folder, files / "test.npz", "--out", page)
    assert result.exit_code == 0 and "no training poses" in result.output
    found = data_of(page)
    assert "no training poses" in found["about"]["train"] and found["words_from"] == "data"
    given = run(
        "report", run_folder, files / "test.npz", "--out", page, "--train", files / "train.npz"
    )
    assert given.exit_code == 0 and data_of(page)["words_from"] == "training"


def test_a_video_gives_pictures_and_its_frame_rate(files, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    tracks = simulate_crowd("test", num_clips=1, frames_per_clip=36, random_state=3)
    free = tracks.with_(fps=None, image_size=None)
    free.save(tmp_path / "poses.npz")
    (tmp_path / "scores.csv").write_text(f"clip,frame,score,person\n{tracks.clip_names[0]},3,1,0\n")
    render = ("render", tmp_path / "poses.npz", "--scores", tmp_path / "scores.csv", "--fps", 12)
    assert run(*render, "--out", tmp_path / "video.mp4").exit_code == 0
    command = ("report", files / "run", tmp_path / "poses.npz", "--out", tmp_path / "page.html")
    result = run(*command, "--video", tmp_path / "video.mp4", "--blur-faces")
    assert result.exit_code == 0, result.output
    found = data_of(tmp_path / "page.html")
    assert found["clips"][0]["fps"] == 12 and found["scenes"]
    assert all(s["picture"]["src"].startswith("data:image/jpeg;") for s in found["scenes"])
    result = run(*command, "--blur-faces")
    assert result.exit_code == 2 and "--video or --frames-dir must be given for" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "page.pdf"], "page.pdf must have suffix .html, got '.pdf'"),
        (["--out", "page.html", "--train", "nowhere"], "nowhere does not exist"),
        (["--out", "page.html", "--smooth", "-1"], "smooth must be 0 or more frames, got -1.0"),
        (
            ["--out", "page.html", "--labels", ".", "--normal", "a"],
            "only one of --labels (of frames) and --normal (of clips) must be given, got . and a",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    files, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    result = run("report", files / "run", files / "test.npz", *arguments)
    assert result.exit_code == 2 and message in result.output
    assert not list(tmp_path.iterdir())


def test_training_poses_of_another_skeleton_are_refused(files, tmp_path, walkers):
    other = tmp_path / "other.npz"
    walkers.with_(skeleton=replace(walkers.skeleton, name="mine")).save(other)
    page = tmp_path / "page.html"
    result = run("report", files / "run", files / "test.npz", "--out", page, "--train", other)
    assert result.exit_code == 2 and "other.npz: " in result.output
    assert not page.exists()
