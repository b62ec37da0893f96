"""Picture of a pose."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report import picture

matplotlib_image = pytest.importorskip("matplotlib.image")


def test_the_pose_with_most_joints_is_drawn(walkers, tmp_path, monkeypatch):
    figures = []
    save = picture.save_figure
    monkeypatch.setattr(
        picture, "save_figure", lambda figure, path: figures.append(figure) or save(figure, path)
    )
    seen = (walkers.confidence > 0).sum(1)
    picture.draw_pose(walkers, tmp_path / "pose.png")
    (axes,) = figures[0].axes
    names = {text.get_text() for text in axes.texts}
    assert len(names) == seen.max() and names <= set(walkers.skeleton.joints)
    points = {line.get_color() for line in axes.lines if line.get_marker() == "o"}
    assert points == {"tab:red", "tab:blue", "0.3"}
    # The y axis of images points down.
    low, high = axes.get_ylim()
    assert low > high
    pixels = matplotlib_image.imread(tmp_path / "pose.png")
    assert pixels.shape[0] > 500 and np.ptp(pixels[..., 0]) == 1


def test_poses_in_3d_are_drawn_and_no_poses_are_refused(tmp_path):
    poses = np.random.default_rng(0).normal(size=(2, 20, 3))
    tracks = PoseTracks.build(poses, np.ones((2, 20)), [0, 1], [0, 0], [0, 0], "kinect20", ["a"])
    picture.draw_pose(tracks, tmp_path / "pose.png")
    assert (tmp_path / "pose.png").stat().st_size > 5000
    with pytest.raises(InputError, match="must have at least one person to draw, got none"):
        picture.draw_pose(tracks.rows(np.zeros(2, dtype=bool)), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
