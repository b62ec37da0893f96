"""The cells of a study: one training each, and the file with its outcome."""

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
    """One training: what is trained, under which condition, with which seed."""

    unit: str
    condition: Condition
    seed: int

    @property
    def key(self) -> str:
        """The cell's name and its file's."""
        one = self.condition
        parts = (self.unit, one.split, one.direction, one.variant, f"seed={self.seed}")
        return "__".join(part for part in parts if part)


class Outcome(NamedTuple):
    """What a cell gave.

    Attributes:
        rows: Names of the table's rows, :math:`M`.
        scores: Of clips or frames of the test poses, :math:`[M, N]` float64.
        labels: Their labels, :math:`[N]` int8.
        auc: Area under the ROC curve of each row, :math:`[M]`.
        auc_smoothed: The same of smoothed scores of frames; of clips empty.
        seconds: Of fitting and of scoring.
        names: Of the test clips.
        lengths: Of the test clips, in frames.
        machine: Names and values of what the numbers depend on, :math:`[K, 2]` text.
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
        protocol: What is measured.
        cell: Which training of it.
        device: Where to compute.
        quiet: Show no progress of a detector's training and scoring.

    Raises:
        InputError: As training and metrics; names the cell.
    """
    try:
        train, test, labels = protocol.task(cell.condition, cell.seed)
        options = replace(protocol.options_of(cell.condition), random_state=cell.seed)
        trained = train_and_score(cell.unit, train, test, options, protocol.level, device, quiet)
        aggregate = clip_level if protocol.level == "clip" else frame_level
        scores = np.stack([aggregate(one, test) for one in trained.scored.values()])
        smoothed = []
        if protocol.level == "frame":
            smoothed = [auc(labels, smooth(one, test.frame_offset, SMOOTH)) for one in scores]
        return Outcome(
            rows=np.array(list(trained.scored), dtype=np.str_),
            scores=scores,
            labels=labels,
            auc=np.array([auc(labels, one) for one in scores]),
            auc_smoothed=np.array(smoothed),
            seconds=np.array([trained.fit_seconds, trained.score_seconds]),
            names=np.array([as_text(name) for name in test.clip_names], dtype=np.str_),
            lengths=test.clip_length,
            machine=np.array(list(machine(pick_device(device)).items()), dtype=np.str_),
        )
    except InputError as error:
        raise InputError(f"{cell.key}: {error}") from None


def write_cell(outcome: Outcome, path: Path) -> None:
    """Writes an outcome whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **outcome._asdict())


def read_cell(path: Path, cell: Cell, level: str) -> Outcome:
    """Reads what :func:`write_cell` wrote.

    Args:
        path: The file.
        cell: The cell that it has to be of.
        level: The protocol's level, ``"clip"`` or ``"frame"``.

    Raises:
        InputError: The file is missing, damaged, or that of another cell.
    """
    try:
        arrays = read_npz(path, "cell of a study")
    except InputError as error:
        raise InputError(
            f"{error} (delete it to compute it)" if path.exists() else f"{error}"
        ) from None
    if not _is_outcome(arrays, level):
        raise InputError(f"{path} is no cell of a study, expected one (delete it to compute it)")
    if arrays["rows"][0] != cell.unit:
        raise InputError(
            f"{path} is a cell of {str(arrays['rows'][0])!r}, expected one of {cell.unit!r} "
            "(delete it to compute it)"
        )
    return Outcome(**arrays)


def _is_outcome(arrays: dict[str, np.ndarray], level: str) -> bool:
    """Whether arrays of a file are those of an :class:`Outcome`, of types and shapes that fit."""
    if set(arrays) != set(Outcome._fields) or arrays["scores"].ndim != 2:
        return False
    rows, scored = arrays["scores"].shape
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
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
    fits = rows > 0 and all(
        arrays[name].dtype.kind in kinds and arrays[name].shape == shape
        for name, (kinds, shape) in wanted.items()
    )
    numbers = ("scores", "auc", "auc_smoothed")
    return fits and all(bool(np.isfinite(arrays[name]).all()) for name in numbers)
