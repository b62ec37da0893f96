"""Picture of one pose with names of joints, as a PNG file (needs the extra ``plots``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.plots import new_figure, save_figure
from gepc_geo.utils.files import as_text


def draw_pose(tracks: PoseTracks, path: str | Path) -> None:
    """Draws the pose with the most detected joints; left joints are red, right joints blue.

    Poses in 3D are drawn along their last axis.

    Args:
        tracks: Poses.
        path: PNG file to write.

    Raises:
        InputError: There are no poses, matplotlib is not installed, or the file is not writable.
    """
    if not tracks.num_frames:
        raise InputError("poses must have at least one person to draw, got none")
    skeleton = tracks.skeleton
    seen = tracks.confidence > 0
    row = int(np.lexsort((tracks.confidence.sum(1), seen.sum(1)))[-1])
    points = tracks.keypoints[row, :, :2]
    colors = ["0.3"] * skeleton.num_joints
    for left, right in skeleton.pairs:
        colors[left], colors[right] = "tab:red", "tab:blue"
    figure = new_figure(6, 8)
    axes = figure.subplots()
    for a, b in skeleton.bones:
        if seen[row, a] and seen[row, b]:
            color = colors[a] if colors[a] == colors[b] else "0.6"
            axes.plot(*points[[a, b]].T, color=color, linewidth=2)
    for joint in np.flatnonzero(seen[row]):
        axes.plot(*points[joint], "o", color=colors[joint], markersize=5)
        axes.annotate(
            skeleton.joints[joint],
            points[joint],
            textcoords="offset points",
            xytext=(5, 3),
            fontsize=7,
        )
    axes.set_aspect("equal")
    if tracks.dims == 2:
        # The y axis of images points down, that of 3D poses up.
        axes.invert_yaxis()
    axes.margins(0.25, 0.1)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.set_title(
        f"clip {as_text(tracks.clip_names[tracks.clip[row]])}, person {tracks.track[row]}, frame "
        f"{tracks.frame[row]} ({skeleton.name})\nred: left, blue: right",
        fontsize=9,
        parse_math=False,
    )
    save_figure(figure, Path(path))
