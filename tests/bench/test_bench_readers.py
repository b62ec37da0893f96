"""Reader benchmark: both readers return the same poses, and rows."""

from __future__ import annotations

import numpy as np

from gepc_geo.bench import readers
from gepc_geo.io import read


def test_the_plain_readers_read_the_same_poses(tmp_path):
    paths = readers.write_alphapose_pair(43, tmp_path)
    for path, plain in zip(paths, (readers.plain_results, readers.plain_tracks), strict=True):
        tracks = read(path)
        frames, people, points = plain(path)
        order = np.lexsort((frames, people))
        np.testing.assert_array_equal(tracks.frame, frames[order])
        np.testing.assert_array_equal(tracks.track, people[order])
        np.testing.assert_allclose(tracks.keypoints, points[order, :, :2], rtol=1e-6)
        np.testing.assert_allclose(tracks.confidence, points[order, :, 2], rtol=1e-6)


def test_readers_are_measured_in_seconds_and_megabytes(programs, tmp_path):
    rows = [*readers.measure_alphapose(200, tmp_path), *readers.measure_native(2000, tmp_path)]
    assert [words[1] for words, _ in programs] == ["0", "1"]
    assert [row["unit"] for row in rows] == ["s", "s", "s", "MB", "MB", "s", "MB", "MB"]
    assert all(row["suite"] == "readers" and row["ours"] is not None for row in rows)
