"""Plots for notebooks: drawn elements and refused arguments."""

from __future__ import annotations

import builtins

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from gepc_geo import InputError, Skeleton
from gepc_geo.report import plot_clusters, plot_skeleton, plot_timeline
from gepc_geo.scoring.aggregation import STATES

matplotlib.use("Agg")


@pytest.fixture
def ax():
    return Figure().subplots()


def test_a_skeleton_has_its_joints_bones_and_colours(ax):
    skeleton = Skeleton.get("coco17")
    pose = np.random.default_rng(0).uniform(0, 100, size=(17, 2))
    shares = np.full(17, 0.5 / 16)
    shares[9] = 0.5
    assert plot_skeleton(pose, "coco17", shares=shares, ax=ax) is ax
    assert len(ax.lines) == 2 * len(skeleton.bones)
    (dots,) = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), pose)
    red, grey = dots.get_facecolors()[9], dots.get_facecolors()[0]
    np.testing.assert_allclose(red[:3], np.array([208, 24, 48]) / 255)
    assert np.ptp(grey[:3]) < 0.15
    assert ax.yaxis_inverted()


def test_joints_that_were_not_seen_are_left_out(ax):
    skeleton = Skeleton.get("coco17")
    confidence = np.ones((3, 17))
    confidence[:, 0] = 0
    poses = np.random.default_rng(0).uniform(size=(3, 17, 2))
    plot_skeleton(poses, skeleton, confidence=confidence, ax=ax)
    touching = sum(0 in bone for bone in skeleton.bones)
    assert len(ax.lines) == 3 * 2 * (len(skeleton.bones) - touching)
    assert [len(dots.get_offsets()) for dots in ax.collections] == [16] * 3
    alpha = [dots.get_alpha() for dots in ax.collections]
    assert alpha == sorted(alpha) and alpha[-1] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"keypoints": np.zeros((16, 2))},
            r"keypoints must have shape \[17, 2 or 3\] or \[T, 17, 2 or 3\] for skeleton "
            r"'coco17', got \(16, 2\)",
        ),
        (
            {"keypoints": np.zeros((17, 4))},
            r"keypoints must have shape \[17, 2 or 3\] or \[T, 17, 2 or 3\] for skeleton "
            r"'coco17', got \(17, 4\)",
        ),
        (
            {"confidence": np.zeros(16)},
            r"confidence must have shape \(1, 17\), as keypoints, got \(16,\)",
        ),
        ({"shares": np.zeros(16)}, r"shares must have shape \(17,\), got \(16,\)"),
    ],
)
def test_poses_that_do_not_fit_the_skeleton_are_refused(change, message):
    options = {"keypoints": np.zeros((17, 2)), "skeleton": "coco17", **change}
    with pytest.raises(InputError, match=message):
        plot_skeleton(**options)


def test_a_timeline_has_line_threshold_and_shade(ax):
    score = np.array([0.0, 1, 5, 4, 1, 0])
    labels = np.array([0, 0, 1, 1, -1, 0])
    plot_timeline(score, labels=labels, threshold=3.0, fps=2.0, ax=ax)
    line, threshold = ax.lines
    np.testing.assert_allclose(line.get_xydata()[:, 0], [0, 0.5, 1, 1.5, 2, 2.5])
    np.testing.assert_allclose(line.get_xydata()[:, 1], score)
    assert threshold.get_ydata()[0] == 3.0
    (shade,) = ax.patches
    box = shade.get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([box.x0, box.x1], [0.75, 1.75])
    assert to_rgb(shade.get_facecolor()) == to_rgb("tab:red") and ax.get_xlabel() == "seconds"
    with pytest.raises(InputError, match="labels must have shape"):
        plot_timeline(score, labels=labels[:3])
    with pytest.raises(InputError, match="fps must be more than 0, got 0"):
        plot_timeline(score, fps=0)


@pytest.mark.parametrize("named", [True, False])
def test_a_timeline_has_gaps_and_bands_where_nobody_was_judged(ax, named):
    score = np.array([1.0, 2, 9, 9, 9, 3, 9, 9])
    states = np.array([3, 3, 1, 1, 0, 3, 2, 0])
    plot_timeline(score, states=np.array(STATES)[states] if named else states, ax=ax)
    line, alone = ax.lines
    np.testing.assert_array_equal(
        line.get_ydata(), [1, 2, np.nan, np.nan, np.nan, 3, np.nan, np.nan]
    )
    # A judged frame between gaps is a point.
    np.testing.assert_array_equal(alone.get_xydata(), [[5, 3]])
    bands = {
        band.get_label(): band.get_extents().transformed(ax.transData.inverted())
        for band in ax.patches
    }
    np.testing.assert_allclose([bands["too short"].x0, bands["too short"].x1], [1.5, 3.5])
    np.testing.assert_allclose([bands["tracking fault"].x0, bands["tracking fault"].x1], [5.5, 6.5])
    assert len(bands) == 2 and all(band.get_hatch() for band in ax.patches)
    with pytest.raises(InputError, match=r"states must have shape \(8,\), got \(3,\)"):
        plot_timeline(score, states=states[:3])


def test_clusters_have_a_row_each_with_their_share(detector, walkers):
    axes = plot_clusters(detector, walkers, sequences=2)
    word = detector.soft_assignment(walkers).argmax(1)[~detector.windows(walkers).padded]
    count = np.bincount(word, minlength=3)
    assert axes.shape == (np.count_nonzero(count), 2)
    titles = [row[0].get_title(loc="left") for row in axes]
    assert titles == [
        f"word {k}: {count[k] / count.sum():.0%}"
        for k in np.argsort(-count, kind="stable")
        if count[k]
    ]
    assert all(row[0].lines for row in axes)
    with pytest.raises(InputError, match="must have at least one window of 12 frames, got none"):
        plot_clusters(detector, walkers.rows(walkers.frame < 4))
    matplotlib.pyplot.close("all")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="matplotlib must be installed"):
        plot_timeline(np.zeros(3))
