"""Plots for a notebook, as matplotlib axes (needs the extra ``plots``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.paint import share_colours
from gepc_geo.report.plane import to_plane
from gepc_geo.report.scenes import Normal, centred, scene_length, whole_windows
from gepc_geo.report.words import typical_windows
from gepc_geo.scoring.metrics import runs


def _subplots(rows: int, columns: int, width: float, height: float) -> Any:
    """New axes :math:`[rows, columns]` of pyplot, which a notebook shows by itself."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise InputError(
            "matplotlib is not installed, expected it for plots (pip install 'gepc_geo[plots]')"
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
    r"""A pose, or several moments of one, the last one darkest.

    Args:
        keypoints: :math:`[V, C]` or :math:`[T, V, C]`, ``C`` 2 (an image's pixels) or 3 (a room's).
        skeleton: The joints, or the name of a built-in skeleton.
        confidence: :math:`[V]` or :math:`[T, V]`; joints of 0 are left out. Default: all are drawn.
        shares: Each joint's share in a score, :math:`[V]`, e.g. a row of
            :meth:`gepc_geo.GEPC.joint_scores`: the redder a joint, the larger. Default: one colour.
        ax: matplotlib axes to draw into; default: new ones.

    Returns:
        The axes.

    Raises:
        InputError: Arrays that do not fit the skeleton; matplotlib is not installed.
    """
    skeleton = Skeleton.get(skeleton)
    poses = np.asarray(keypoints, dtype=np.float64)
    poses = poses[None] if poses.ndim == 2 else poses
    joints = skeleton.num_joints
    if poses.ndim != 3 or poses.shape[1] != joints or poses.shape[2] not in (2, 3):
        raise InputError(
            f"keypoints have shape {np.shape(keypoints)}, expected [{joints}, 2 or 3] or "
            f"[T, {joints}, 2 or 3] for skeleton {skeleton.name!r}"
        )
    seen = np.ones(poses.shape[:2], dtype=bool)
    if confidence is not None:
        if np.size(confidence) != seen.size:
            raise InputError(
                f"confidence has shape {np.shape(confidence)}, expected {seen.shape} as the "
                "key points"
            )
        seen = np.reshape(confidence, seen.shape) > 0
    if shares is not None and np.shape(shares) != (joints,):
        raise InputError(f"shares have shape {np.shape(shares)}, expected ({joints},)")
    ax = _subplots(1, 1, 4, 4.5)[0, 0] if ax is None else ax
    plane = to_plane(poses, skeleton)
    colour = np.tile([0.12, 0.37, 0.6], (joints, 1))
    if shares is not None:
        colour = share_colours(np.asarray(shares, dtype=np.float64)) / 255
    fading = np.linspace(0.15, 1, len(plane)) if len(plane) > 1 else np.ones(1)
    for pose, there, alpha in zip(plane, seen, fading, strict=True):
        for a, b in skeleton.bones:
            if there[a] and there[b]:
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
        ax.scatter(*pose[there].T, c=colour[there], alpha=alpha, s=18, zorder=3)
    # Downwards as in an image.
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
    ax: Any = None,
) -> Any:
    r"""A clip's frame scores over time; abnormal frames shaded.

    Args:
        score: :math:`[N]`, higher is more abnormal.
        labels: :math:`[N]`; 1 abnormal, 0 normal, -1 unknown. Default: nothing is shaded.
        threshold: Drawn as a line. Default: none.
        fps: Frames a second, for an axis in seconds. Default: frames.
        ax: matplotlib axes to draw into; default: new ones.

    Returns:
        The axes.

    Raises:
        InputError: Another number of labels than of scores, ``fps`` not above 0; matplotlib is not
            installed.
    """
    score = np.asarray(score)
    if labels is not None and np.shape(labels) != score.shape:
        raise InputError(f"labels have shape {np.shape(labels)}, expected {score.shape}")
    if fps is not None and not fps > 0:
        raise InputError(f"fps is {fps}, expected more than 0")
    ax = _subplots(1, 1, 9, 2.6)[0, 0] if ax is None else ax
    rate = 1.0 if fps is None else fps
    for start, end in [] if labels is None else runs(np.asarray(labels) == 1):
        ax.axvspan((start - 0.5) / rate, (end - 0.5) / rate, color="tab:red", alpha=0.2, lw=0)
    ax.plot(np.arange(len(score)) / rate, score, color="tab:blue", linewidth=1.2)
    if threshold is not None:
        ax.axhline(threshold, color="0.4", linewidth=1, linestyle="--")
    ax.set(xlabel="frame" if fps is None else "seconds", ylabel="anomaly score")
    ax.set_xlim(0, max(len(score) - 1, 1) / rate)
    return ax


def plot_clusters(
    detector: GEPC, tracks: PoseTracks, *, most: int = 8, sequences: int = 3
) -> np.ndarray:
    r"""The action words: a row for each cluster, the most frequent first, with its typical sequences.

    Windows are of the middle one of the detector's lengths. Without a network the clusters are those of
    k-means, of the windows themselves.

    Args:
        detector: A fitted detector.
        tracks: Poses whose windows are assigned to clusters, e.g. those of the training.
        most: Clusters to show, at most.
        sequences: Sequences of each, of different people.

    Returns:
        matplotlib axes, [clusters, sequences]; titles say how often a cluster occurs.

    Raises:
        InputError: Poses of another skeleton or without a single full window; matplotlib is not
            installed.
    """
    length = scene_length(detector)
    windows = whole_windows(detector.windows(tracks), length)
    if not len(windows):
        raise InputError(f"the poses have no window of {length} frames, expected longer tracks")
    normal = Normal.of(detector, windows)
    share = np.bincount(normal.assignment.argmax(1), minlength=normal.assignment.shape[1])
    order = np.argsort(-share, kind="stable")[:most]
    order = order[share[order] > 0]
    axes = _subplots(len(order), sequences, 2.1 * sequences, 2.3 * len(order))
    for row, cluster in zip(axes, order.tolist(), strict=True):
        chosen = typical_windows(normal, cluster, sequences)
        rows = normal.windows.rows(chosen)
        for ax in row:
            ax.set_axis_off()
        for ax, pose in zip(row, centred(normal.plane[rows]), strict=False):
            plot_skeleton(pose[:: max(1, len(pose) // 4)], windows.skeleton, ax=ax)
        row[0].set_title(f"word {cluster}: {share[cluster] / share.sum():.0%}", loc="left")
    return axes
