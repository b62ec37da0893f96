"""Names of action words of people who move in known ways."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gepc_geo import PoseTracks
from gepc_geo.report.naming import name_windows
from gepc_geo.windows.dataset import PoseWindows


def placed(step, *, fps=25.0, lying=False, people=3, frames=50):
    """Windows of people 100 pixels high who move by ``step`` pixels in each frame."""
    rng = np.random.default_rng(0)
    pose = np.stack([rng.uniform(-20, 20, 17), np.linspace(0, 100, 17)], axis=1)
    pose = pose[:, ::-1] if lying else pose
    steps = np.broadcast_to(step, (people, 2))
    frame = np.tile(np.arange(frames), people)
    track = np.repeat(np.arange(people), frames)
    tracks = PoseTracks.build(
        pose + (steps[track] * frame[:, None])[:, None],
        np.ones((len(frame), 17)),
        frame,
        track,
        np.zeros(len(frame), dtype=int),
        "coco17",
        ["clip"],
        fps=[fps],
    )
    windows = PoseWindows(tracks, frames)
    return SimpleNamespace(windows=windows, plane=windows.table.keypoints)


# A step of one pixel at 25 frames a second is a quarter of the body height a second.
@pytest.mark.parametrize(
    ("step", "more", "name"),
    [
        ((3.2, 0.0), {}, "walks right"),
        ((-3.2, 1.0), {}, "walks left"),
        ((-1.2, 0.0), {}, "walks left, slow"),
        ((0.0, 2.8), {}, "walks down the picture"),
        ((0.5, -2.8), {}, "walks up the picture"),
        ((8.0, 0.0), {}, "moves right, fast"),
        ((0.2, 0.0), {}, "stays in place"),
        ((0.0, 0.0), {"lying": True}, "stays in place, low posture"),
        ([(3.0, 0.0), (-3.0, 0.0), (0.0, 3.0)], {}, "walks in several directions"),
        # Without a frame rate the speed is unknown.
        ((8.0, 0.0), {"fps": np.nan}, "moves right"),
    ],
)
def test_names_tell_direction_speed_and_posture(step, more, name):
    one = placed(step, **more)
    assert name_windows(one, np.arange(len(one.windows))) == name


def test_no_windows_have_no_name():
    assert name_windows(placed((0.0, 0.0)), np.zeros(0, dtype=int)) == ""
