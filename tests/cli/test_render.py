"""``gepc-geo render`` from files to a film."""

from __future__ import annotations

from click.testing import CliRunner
from PIL import Image

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
        assert film.n_frames == 24 and film.size == (856, 480 + 40)
    result = CliRunner().invoke(main, [*command, "--clip", "no"], catch_exceptions=False)
    assert result.exit_code == 2 and "clip must be a clip of the poses, such as" in result.output
