"""Cells of a study: one training each, with a file of its outcome."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.experiments.methods import clip_level, frame_level, train_and_score
from gepc_geo.experiments.protocol import Protocol
from gepc_geo.experiments.results import Condition
from gepc_geo.scoring.aggregation import smooth
from gepc_geo.scoring.metrics import auc
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.files import as_text, atomic_path, read_npz
from gepc_geo.utils.machine import machine

#: Standard deviation, in frames, of the Gaussian that smooths each recording's scores.
SMOOTH = 20.0


@dataclass(frozen=True)
class Cell:
    """One training of a study.

    Attributes:
        unit: Name of the method that is trained.
        condition: The condition of the training.
        seed: Seed of the training.
    """

    unit: str
    condition: Condition
    seed: int

    @property
    def key(self) -> str:
        """Name of the cell, and of its file without suffix."""
        split, direction, variant = (
            self.condition.split,
            self.condition.direction,
            self.condition.variant,
        )
        parts = (self.unit, split, direction, variant, f"seed={self.seed}")
        return "__".join(part for part in parts if part)


class Outcome(NamedTuple):
    """Scores and metrics of a cell.

    Attributes:
        rows: Names of the table's rows, :math:`[M]`.
        scores: Scores of the clips or frames of the test poses, :math:`[M, N]` float64.
        labels: Labels of those clips or frames, :math:`[N]` int8.
        auc: Area under the ROC curve of each row, :math:`[M]`.
        auc_smoothed: Area under the ROC curve of smoothed frame scores, :math:`[M]`; empty for
            clips.
        seconds: Seconds of fitting and of scoring, :math:`[2]`.
        names: Names of the test clips.
        lengths: Lengths of the test clips in frames.
        machine: Names and values that describe the machine, :math:`[K, 2]` text.
    """

    rows: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    auc: np.ndarray
    auc_smoothed: np.ndarray
    seconds: np.ndarray
    names: np.ndarray
    lengths: np.ndarray
    machine: np.ndarray


def run_cell(protocol: Protocol, cell: Cell, device: str, quiet: bool = True) -> Outcome:
    """Trains, scores and measures.

    Args:
        protocol: The experiment.
        cell: The training of the experiment.
        device: Where to compute.
        quiet: Show no progress of a detector's training and scoring. (default: :obj:`True`)

    Raises:
        InputError: As training and metrics; the message names the cell.
    """
    try:
        train, test, labels = protocol.task(cell.condition, cell.seed)
        options = replace(protocol.options_of(cell.condition), random_state=cell.seed)
        trained = train_and_score(cell.unit, train, test, options, protocol.level, device, quiet)
        aggregate = clip_level if protocol.level == "clip" else frame_level
        scores = np.stack([aggregate(scored, test) for scored in trained.scored.values()])
        smoothed = []
        if protocol.level == "frame":
            smoothed = [auc(labels, smooth(row, test.frame_offset, SMOOTH)) for row in scores]
        return Outcome(
            rows=np.array(list(trained.scored), dtype=np.str_),
            scores=scores,
            labels=labels,
            auc=np.array([auc(labels, row) for row in scores]),
            auc_smoothed=np.array(smoothed),
            seconds=np.array([trained.fit_seconds, trained.score_seconds]),
            names=np.array([as_text(name) for name in test.clip_names], dtype=np.str_),
            lengths=test.clip_length,
            machine=np.array(list(machine(pick_device(device)).items()), dtype=np.str_),
        )
    except InputError as error:
        raise InputError(f"{cell.key}: {error}") from None


def write_cell(outcome: Outcome, path: Path) -> None:
    """Writes an outcome; no partial file remains after an interruption.

    Args:
        outcome: The outcome.
        path: The file.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **outcome._asdict())


def read_cell(path: Path, cell: Cell, level: str) -> Outcome:
    """Reads a file of :func:`write_cell`.

    Args:
        path: The file.
        cell: The cell that the file must belong to.
        level: The protocol's level, ``"clip"`` or ``"frame"``.

    Raises:
        InputError: The file is missing, damaged, or of another cell.
    """
    try:
        arrays = read_npz(path, "cell of a study")
    except InputError as error:
        raise InputError(
            f"{error} (delete it to compute it)" if path.exists() else f"{error}"
        ) from None
    if not _is_outcome(arrays, level):
        raise InputError(
            f"{path} must be a cell of a study, got other arrays (delete it to compute it)"
        )
    if arrays["rows"][0] != cell.unit:
        raise InputError(
            f"{path} must be a cell of {cell.unit!r}, got one of {str(arrays['rows'][0])!r} "
            "(delete it to compute it)"
        )
    return Outcome(**arrays)


def _is_outcome(arrays: dict[str, np.ndarray], level: str) -> bool:
    """Whether arrays have the names, types and shapes of an :class:`Outcome`."""
    if set(arrays) != set(Outcome._fields) or arrays["scores"].ndim != 2:
        return False
    rows, scored = arrays["scores"].shape
    formats: dict[str, tuple[str, tuple[int, ...]]] = {
        "rows": ("U", (rows,)),
        "scores": ("f", (rows, scored)),
        "labels": ("biu", (scored,)),
        "auc": ("f", (rows,)),
        "auc_smoothed": ("f", (rows if level == "frame" else 0,)),
        "seconds": ("f", (2,)),
        "names": ("U", arrays["lengths"].shape),
        "lengths": ("iu", (arrays["lengths"].size,)),
        "machine": ("U", (arrays["machine"].size // 2, 2)),
    }
    matches = rows > 0 and all(
        arrays[name].dtype.kind in kinds and arrays[name].shape == shape
        for name, (kinds, shape) in formats.items()
    )
    numbers = ("scores", "auc", "auc_smoothed")
    return matches and all(bool(np.isfinite(arrays[name]).all()) for name in numbers)
