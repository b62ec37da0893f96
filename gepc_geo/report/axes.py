"""Plots for notebooks, as matplotlib axes (needs the extra ``plots``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.paint import share_colours
from gepc_geo.report.plane import to_plane
from gepc_geo.report.plots import draw_scores
from gepc_geo.report.scenes import PlacedWindows, centred, scene_length, whole_windows
from gepc_geo.report.words import typical_windows
from gepc_geo.scoring.metrics import runs


def _subplots(rows: int, columns: int, width: float, height: float) -> Any:
    """New axes :math:`[rows, columns]` of pyplot, which notebooks show automatically."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise InputError(
            "matplotlib must be installed for plots: pip install 'gepc_geo[plots]'"
        ) from None
    size = (width, height)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")[1]


def plot_skeleton(
    keypoints: np.ndarray,
    skeleton: Skeleton | str,
    *,
    confidence: np.ndarray | None = None,
    shares: np.ndarray | None = None,
    ax: Any = None,
) -> Any:
    r"""Draws a pose, or a sequence of poses with the last pose darkest.

    Args:
        keypoints: Joints, :math:`[V, C]` or :math:`[T, V, C]`; 2D in pixels or 3D in metres.
        skeleton: A skeleton, or the name of a built-in skeleton.
        confidence: Confidence of each joint, :math:`[V]` or :math:`[T, V]`; joints with 0 are not
            drawn. (default: all joints are drawn)
        shares: Share of each joint in a score, :math:`[V]`, such as a row of
            :meth:`gepc_geo.GEPC.joint_scores`; larger shares are redder. (default: one colour)
        ax: matplotlib axes to draw into. (default: new axes)

    Returns:
        The axes.

    Raises:
        InputError: An array does not fit the skeleton, or matplotlib is not installed.
    """
    skeleton = Skeleton.get(skeleton)
    poses = np.asarray(keypoints, dtype=np.float64)
    poses = poses[None] if poses.ndim == 2 else poses
    joints = skeleton.num_joints
    if poses.ndim != 3 or poses.shape[1] != joints or poses.shape[2] not in (2, 3):
        raise InputError(
            f"keypoints must have shape [{joints}, 2 or 3] or [T, {joints}, 2 or 3] for skeleton "
            f"{skeleton.name!r}, got {np.shape(keypoints)}"
        )
    seen = np.ones(poses.shape[:2], dtype=bool)
    if confidence is not None:
        if np.size(confidence) != seen.size:
            raise InputError(
                f"confidence must have shape {seen.shape}, as keypoints, got {np.shape(confidence)}"
            )
        seen = np.reshape(confidence, seen.shape) > 0
    if shares is not None and np.shape(shares) != (joints,):
        raise InputError(f"shares must have shape ({joints},), got {np.shape(shares)}")
    ax = _subplots(1, 1, 4, 4.5)[0, 0] if ax is None else ax
    plane = to_plane(poses, skeleton)
    colour = np.tile([0.12, 0.37, 0.6], (joints, 1))
    if shares is not None:
        colour = share_colours(np.asarray(shares, dtype=np.float64)) / 255
    fading = np.linspace(0.15, 1, len(plane)) if len(plane) > 1 else np.ones(1)
    for pose, visible, alpha in zip(plane, seen, fading, strict=True):
        for a, b in skeleton.bones:
            if visible[a] and visible[b]:
                middle = (pose[a] + pose[b]) / 2
                for joint in (a, b):
                    ends = np.stack([pose[joint], middle])
                    ax.plot(
                        *ends.T,
                        color=colour[joint],
                        alpha=alpha,
                        linewidth=2.5,
                        solid_capstyle="round",
                    )
        ax.scatter(*pose[visible].T, c=colour[visible], alpha=alpha, s=18, zorder=3)
    # The y axis points down, as in images.
    ax.set_aspect("equal", adjustable="datalim")
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    ax.set_axis_off()
    return ax


def plot_timeline(
    score: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    threshold: float | None = None,
    fps: float | None = None,
    states: np.ndarray | None = None,
    ax: Any = None,
) -> Any:
    r"""Draws the frame scores of a clip over time, with abnormal frames shaded.

    The line has gaps where scores are NaN, or nobody was judged. Frames with people who were not
    judged are hatched: grey if the tracks are too short, orange for tracking faults.

    Args:
        score: Frame scores, :math:`[N]`; higher is more abnormal, NaN without a score.
        labels: Frame labels, :math:`[N]`; 1 abnormal, 0 normal, -1 unknown. (default: no shading)
        threshold: Alarm threshold, drawn as a line. (default: no line)
        fps: Frames a second, for an axis in seconds. (default: an axis in frames)
        states: What was judged in each frame, :math:`[N]`: the column ``state`` of
            :func:`~gepc_geo.evaluation.tables.score_table`, or positions in
            :data:`~gepc_geo.scoring.aggregation.STATES`. (default: all frames with a score)
        ax: matplotlib axes to draw into. (default: new axes)

    Returns:
        The axes.

    Raises:
        InputError: ``labels`` or ``states`` and ``score`` differ in length, ``fps`` is not above 0,
            or matplotlib is not installed.
    """
    score = np.asarray(score)
    for name, given in (("labels", labels), ("states", states)):
        if given is not None and np.shape(given) != score.shape:
            raise InputError(f"{name} must have shape {score.shape}, got {np.shape(given)}")
    if fps is not None and not fps > 0:
        raise InputError(f"fps must be more than 0, got {fps}")
    ax = _subplots(1, 1, 9, 2.6)[0, 0] if ax is None else ax
    rate = 1.0 if fps is None else fps
    for start, end in [] if labels is None else runs(np.asarray(labels) == 1):
        ax.axvspan((start - 0.5) / rate, (end - 0.5) / rate, color="tab:red", alpha=0.2, lw=0)
    draw_scores(ax, np.arange(len(score)) / rate, score, states, 1.2)
    if threshold is not None:
        ax.axhline(threshold, color="0.4", linewidth=1, linestyle="--")
    ax.set(xlabel="frame" if fps is None else "seconds", ylabel="anomaly score")
    ax.set_xlim(0, max(len(score) - 1, 1) / rate)
    return ax


def plot_clusters(
    detector: GEPC, tracks: PoseTracks, *, most: int = 8, sequences: int = 3
) -> np.ndarray:
    r"""Draws typical sequences of the most frequent clusters ("action words"), one row each.

    Windows have the middle length of the detector. Without a network, the clusters are k-means
    clusters of windows.

    Args:
        detector: A fitted detector.
        tracks: Poses to assign to clusters, such as the training poses.
        most: Largest number of clusters to draw. (default: 8)
        sequences: Sequences of each cluster, of different people. (default: 3)

    Returns:
        matplotlib axes, [clusters, sequences]. Titles give the share of each cluster.

    Raises:
        InputError: The poses have another skeleton or no full window, or matplotlib is not
            installed.
    """
    length = scene_length(detector)
    windows = whole_windows(detector.windows(tracks), length)
    if not len(windows):
        raise InputError(f"poses must have at least one window of {length} frames, got none")
    placed = PlacedWindows.of(detector, windows)
    share = np.bincount(placed.assignment.argmax(1), minlength=placed.assignment.shape[1])
    order = np.argsort(-share, kind="stable")[:most]
    order = order[share[order] > 0]
    axes: np.ndarray = _subplots(len(order), sequences, 2.1 * sequences, 2.3 * len(order))
    for row, cluster in zip(axes, order.tolist(), strict=True):
        chosen = typical_windows(placed, cluster, sequences)
        rows = placed.windows.rows(chosen)
        for ax in row:
            ax.set_axis_off()
        for ax, pose in zip(row, centred(placed.plane[rows]), strict=False):
            plot_skeleton(pose[:: max(1, len(pose) // 4)], windows.skeleton, ax=ax)
        row[0].set_title(f"word {cluster}: {share[cluster] / share.sum():.0%}", loc="left")
    return axes
