"""Columns that follow from others."""

from __future__ import annotations

import numpy as np

from gepc_geo.evaluation.columns import add_times


def test_times_are_frames_divided_by_the_rate_of_the_clip(walkers):
    fps = np.full(walkers.num_clips, 24.0)
    fps[:2] = 10, np.nan
    tracks = walkers.with_(fps=fps)
    first, second, third = tracks.clip_names[:3]
    for name in ("frame", "first_frame"):
        columns = {"clip": np.array([third, second, first]), name: np.array([12, 5, 7])}
        add_times(columns, tracks)
        assert list(columns) == ["clip", name, "time"]
        np.testing.assert_array_equal(columns["time"], [0.5, np.nan, 0.7])
    unknown = {"clip": np.array([first]), "frame": np.array([3])}
    add_times(unknown, walkers.with_(fps=np.full(walkers.num_clips, np.nan)))
    assert list(unknown) == ["clip", "frame"]
    people = {"clip": np.array([first]), "person": np.array([1])}
    add_times(people, tracks)
    assert list(people) == ["clip", "person"]
