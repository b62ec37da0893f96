"""Files and lines of an evaluation, for ``gepc-geo evaluate`` and ``gepc-geo demo``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from gepc_geo.evaluation.evaluator import Evaluation
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report import can_plot, plot_roc, plot_timelines
from gepc_geo.utils.files import atomic_path


def write_evaluation(result: Evaluation, tracks: PoseTracks, out: Path, plots: bool) -> list[Path]:
    """Writes the metrics and, beside them, the plots; without matplotlib a note replaces the plots.

    Args:
        result: The evaluation.
        tracks: Its poses.
        out: The file of metrics (.json).
        plots: Whether to draw plots.

    Returns:
        The written files, the metrics first.

    Raises:
        InputError: A file cannot be written.
    """
    if plots and not can_plot():
        click.echo("note: no plots without matplotlib (pip install 'gepc_geo[plots]')", err=True)
        plots = False
    written = [out]
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(result.metrics, indent=2) + "\n", encoding="utf-8")
    if plots:
        written.append(out.with_name(f"{out.stem}_roc.png"))
        plot_roc(result.labels, result.scores, written[-1])
        if result.metrics["level"] == "frame":
            borders, states = tracks.frame_offset[1:-1], result.states
            written.append(out.with_name(f"{out.stem}_timelines.png"))
            plot_timelines(
                tracks.clip_names,
                np.split(result.labels, borders),
                np.split(result.scores, borders),
                written[-1],
                threshold=result.metrics["events"]["threshold"],
                states=None if states is None else np.split(states, borders),
            )
    return written


def show(metrics: dict[str, Any]) -> None:
    """Prints one line per metric; a nested metric is one line."""
    for name, value in metrics.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {_text(v)}" for k, v in value.items())
        click.echo(f"{name:24s}{_text(value)}")


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
