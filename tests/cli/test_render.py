"""``gepc-geo render`` from files to a film."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from gepc_geo import GEPC
from gepc_geo.cli import main
from gepc_geo.datasets import simulate_crowd


def test_render_films_the_clip_with_the_highest_score(tmp_path):
    simulate_crowd("test", num_clips=2, frames_per_clip=24, random_state=3).save(tmp_path / "p.npz")
    rows = ["clip,frame,score,person", "normal_00,3,1.5,0", "running_00,5,4.5,0"]
    (tmp_path / "scores.csv").write_text("\n".join(rows) + "\n")
    command = ["render", "p.npz", "--scores", "scores.csv", "--out", "film.gif"]
    command = [str(tmp_path / word) if "." in word else word for word in command]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0 and "clip 'running_00' in" in result.output
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 24 and film.size == (856, 480 + 64)
    result = CliRunner().invoke(main, [*command, "--clip", "no"], catch_exceptions=False)
    assert result.exit_code == 2 and "clip must be a clip of the poses, such as" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only-alarms"], "--run must be given for --only-alarms, got none"),
        (["--blur-faces"], "--video or --frames-dir must be given for --blur-faces, got neither"),
        (["--from", "soon"], "--from must be seconds as 12.5, minutes and seconds as 1:16.9"),
        (["--video", "p.npz"], "p.npz must be a video, got a file without frames that FFmpeg can"),
        (["--video", "no.mp4"], "no.mp4 does not exist"),
        (["--video", "p.npz", "--frames-dir", "."], "only one of --video and --frames-dir must be"),
    ],
)
def test_flags_that_do_not_suit_are_refused(tmp_path, monkeypatch, arguments, message):
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.chdir(tmp_path)
    simulate_crowd("test", num_clips=1, frames_per_clip=24, random_state=3).save("p.npz")
    Path("s.csv").write_text("clip,frame,score,person\nnormal_00,3,1.5,0\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    command = ["render", "p.npz", "--scores", "s.csv", "--out", "film.gif", *arguments]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 2 and message in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_render_draws_the_threshold_of_a_run_and_films_its_alarms(tmp_path, monkeypatch, walkers):
    monkeypatch.chdir(tmp_path)
    detector = GEPC(lengths=["6", "12"], stride=4, score_stride=6).fit(walkers)
    detector.save("model.pt")
    tracks = simulate_crowd("test", num_clips=1, frames_per_clip=200, random_state=3)
    tracks.save("p.npz")
    threshold = detector.frame_threshold()
    rows = [
        f"{tracks.clip_names[0]},{n},{threshold + (0.1 if n == 120 else -0.1)},0"
        for n in range(200)
    ]
    Path("s.csv").write_text("\n".join(["clip,frame,score,person", *rows]) + "\n")
    command = "render p.npz --scores s.csv --run model.pt --only-alarms --out film.gif"
    result = CliRunner().invoke(main, command.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    around = round(2 * float(tracks.fps[0]))
    with Image.open("film.gif") as film:
        assert film.n_frames == 2 * around + 1
