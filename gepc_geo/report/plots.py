"""Plots of ROC curves, timelines and measurements as PNG files (needs the extra ``plots``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from gepc_geo.errors import InputError
from gepc_geo.scoring.aggregation import FAULT, SHORT, STATES
from gepc_geo.scoring.metrics import runs
from gepc_geo.utils.files import as_text, atomic_path

# Bands of frames with people of whom none was judged: colour and hatch.
_BANDS = {SHORT: ("0.55", "///"), FAULT: ("tab:orange", "\\\\\\")}


def can_plot() -> bool:
    """Whether matplotlib (extra ``plots``) is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def new_figure(width: float, height: float) -> Any:
    """Off-screen figure, without a window system and without the state of pyplot."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "matplotlib must be installed for plots: pip install 'gepc_geo[plots]'"
        ) from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure as a PNG file, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def draw_scores(
    axes: Any, x: np.ndarray, score: np.ndarray, states: np.ndarray | None, width: float
) -> None:
    r"""Draws frame scores as a line with gaps, and bands where people were not judged.

    Args:
        axes: matplotlib axes.
        x: Place of each frame, :math:`[N]`, evenly spaced.
        score: Frame scores, :math:`[N]`; NaN where there is no score.
        states: What was judged in each frame, :math:`[N]`: names of
            :data:`~gepc_geo.scoring.aggregation.STATES` or positions in it. Frames that were not
            judged have no score. ``None``: all were judged where there is a score.
        width: Width of the line.
    """
    score = np.asarray(score, dtype=np.float64)
    if states is not None:
        states = np.asarray(states)
        names = states if states.dtype.kind == "U" else np.array(STATES)[states]
        score = np.where(names == STATES[-1], score, np.nan)
        half = (x[1] - x[0]) / 2 if len(x) > 1 else 0.5
        for state, (colour, hatch) in _BANDS.items():
            for start, end in runs(names == STATES[state]):
                axes.axvspan(
                    x[start] - half,
                    x[end - 1] + half,
                    facecolor="none",
                    edgecolor=colour,
                    hatch=hatch,
                    linewidth=0,
                    label=STATES[state],
                )
    axes.plot(x, score, color="tab:blue", linewidth=width)
    # A frame between gaps is no line.
    known = np.isfinite(np.concatenate([[np.nan], score, [np.nan]]))
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if alone.any():
        axes.plot(x[alone], score[alone], ".", color="tab:blue", markersize=2 * width)


def plot_roc(labels: np.ndarray, scores: np.ndarray, path: str | Path) -> None:
    """Draws the ROC curve of anomaly scores.

    Args:
        labels: Labels, :math:`[N]`; 1 abnormal, 0 normal, -1 unknown (not counted).
        scores: Anomaly scores, :math:`[N]`.
        path: PNG file to write.
    """
    labelled = labels >= 0
    labels, scores = labels[labelled], scores[labelled]
    false, true, _ = roc_curve(labels, scores)
    figure = new_figure(4.5, 4.5)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    axes.plot(false, true, color="tab:blue")
    axes.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title=f"AUC {roc_auc_score(labels, scores):.3f}",
        xlim=(0, 1),
        ylim=(0, 1.01),
    )
    save_figure(figure, Path(path))


def plot_timelines(
    names: Sequence[str],
    labels: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    path: str | Path,
    *,
    threshold: float | None = None,
    most: int = 12,
    states: Sequence[np.ndarray] | None = None,
) -> None:
    """Draws frame scores over time, one row for each clip, with abnormal frames shaded.

    Lines have gaps where scores are NaN, or nobody was judged. Frames with people who were not
    judged are hatched: grey if the tracks are too short, orange for tracking faults.

    Args:
        names: Names of clips.
        labels: Frame labels of each clip.
        scores: Frame scores of each clip.
        path: PNG file to write.
        threshold: Alarm threshold, drawn as a line. (default: no line)
        most: Largest number of clips to draw, evenly spaced. (default: 12)
        states: What was judged in each frame of each clip: names of
            :data:`~gepc_geo.scoring.aggregation.STATES` or positions in it.
            (default: ``None``, all frames with a score)
    """
    order = np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int))
    figure = new_figure(9, 1.1 * max(len(order), 1) + 0.6)
    rows = figure.subplots(len(order), 1, squeeze=False)[:, 0]
    for axes, i in zip(rows, order, strict=True):
        axes.fill_between(
            np.arange(len(labels[i])),
            0,
            1,
            where=labels[i] == 1,
            transform=axes.get_xaxis_transform(),
            color="tab:red",
            alpha=0.2,
            step="mid",
            linewidth=0,
        )
        own = None if states is None else states[i]
        draw_scores(axes, np.arange(len(scores[i])), scores[i], own, 1)
        if threshold is not None:
            axes.axhline(threshold, color="0.5", linewidth=0.8, linestyle="--")
        name = as_text(names[i])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.set_xlim(0, max(len(scores[i]) - 1, 1))
    rows[-1].set_xlabel("frame")
    shown = f"{len(order)} of {len(names)} clips" if len(order) < len(names) else "all clips"
    dashed = "" if threshold is None else ", dashed: threshold"
    hatched = ""
    if states is not None:
        hatched = "\nhatched: not judged (grey: too short, orange: tracking fault), gap: nobody"
    figure.suptitle(
        f"anomaly score ({shown}); red: labelled abnormal{dashed}{hatched}", fontsize=10
    )
    save_figure(figure, Path(path))


def plot_throughput(rows: Sequence[dict[str, Any]], path: str | Path) -> None:
    """Draws windows a second over batch size, with limits of the machine for each precision.

    Dashed lines are the FLOPs of the ordinary network at the rate of a matrix product. Dotted lines
    are the roofline, which also counts reads and writes of each operator. Caches and fused
    operators can exceed it.

    Args:
        rows: Rows of the suite ``model`` (``where`` "train, batch 256", ``name`` "gepc_geo, fp32",
            ``rate``, ``of_peak``, ``of_roofline``).
        path: PNG file to write.
    """
    figure = new_figure(9, 4.5)
    for axes, work in zip(figure.subplots(1, 2), ("train", "encode"), strict=True):
        lines: dict[str, list[tuple[int, float]]] = {}
        limits: dict[str, tuple[float, float]] = {}
        for row in rows:
            step, batch = row["where"].split(", batch ")
            if step == work:
                lines.setdefault(row["name"], []).append((int(batch), row["rate"]))
                precision = row["name"].split(", ")[-1]
                limits[precision] = tuple(
                    row["rate"] / row[share] for share in ("of_peak", "of_roofline")
                )
        for name, points in lines.items():
            axes.plot(*zip(*sorted(points), strict=True), "o-", label=name)
        for number, (precision, (peak, roofline)) in enumerate(limits.items()):
            grey = str(0.6 * number / len(limits))
            axes.axhline(peak, color=grey, ls="--", label=f"matrix product, {precision}")
            axes.axhline(roofline, color=grey, ls=":", label=f"roofline, {precision}")
        axes.set(xscale="log", yscale="log", title=work, xlabel="windows in a batch")
        axes.set_ylabel("windows/s")
        axes.legend(fontsize=8)
    save_figure(figure, Path(path))


def plot_lines(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    path: str | Path,
    *,
    xlabel: str,
    ylabel: str,
) -> None:
    """Draws named lines over one variable, with both axes from 0 (or below).

    Args:
        x: Values of the variable.
        lines: Measurements of each line.
        path: PNG file to write.
        xlabel: Name of the variable.
        ylabel: Name of the measurement.
    """
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for name, y in lines.items():
        axes.plot(x, y, marker="o", label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.legend()
    save_figure(figure, Path(path))


def plot_bars(
    rows: Mapping[str, Mapping[str, tuple[float, float]]], path: str | Path, *, xlabel: str
) -> None:
    """Draws means and standard deviations as bars, grouped by row and coloured by column.

    Args:
        rows: Mean and standard deviation (or NaN) of each row and column.
        path: PNG file to write.
        xlabel: Name of the measurement.
    """
    columns = list(dict.fromkeys(name for cells in rows.values() for name in cells))
    figure = new_figure(8, 1 + 0.25 * len(rows) * max(len(columns), 1))
    axes = figure.subplots()
    height = 0.8 / max(len(columns), 1)
    for number, column in enumerate(columns):
        positions = [
            i + height * number for i, cells in enumerate(rows.values()) if column in cells
        ]
        values = [cells[column] for cells in rows.values() if column in cells]
        mean, deviation = np.array(values).T
        axes.barh(positions, mean, 0.9 * height, xerr=np.nan_to_num(deviation), label=column)
    axes.set_yticks(np.arange(len(rows)) + 0.4 - height / 2, list(rows))
    axes.invert_yaxis()
    axes.set_xlabel(xlabel)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    save_figure(figure, Path(path))
