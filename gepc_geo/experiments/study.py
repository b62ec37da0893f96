"""A protocol run to its end: a cell after the other, each kept in a file, so that it can be resumed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from gepc_geo.errors import InputError
from gepc_geo.experiments.methods import METHODS, clip_level, frame_level, train_and_score
from gepc_geo.experiments.protocol import Protocol
from gepc_geo.experiments.results import Condition, Result
from gepc_geo.scoring.aggregation import smooth
from gepc_geo.scoring.metrics import auc
from gepc_geo.training.precision import decide
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.files import as_text, atomic_path, check_destination, read_npz, read_yaml
from gepc_geo.utils.machine import machine
from gepc_geo.utils.progress import Progress

#: Of what cells hold and methods compute. Whoever changes what any method scores under the same options
#: counts it up: cells of both kinds would otherwise be averaged in a study that is resumed.
VERSION = 6
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


class Study:
    """A protocol, the methods to compare, the seeds to train with, and a folder for the results.

    Args:
        folder: Gets ``config.yaml``, ``cells/KEY.npz`` (:class:`Outcome`), tables and plots. One with
            results of the same study is resumed: finished cells are not computed again.
        protocol: What is measured.
        data: Where the poses come from, for ``config.yaml``.
        methods: Names of :data:`~gepc_geo.experiments.methods.METHODS`.
        seeds: Of training.
    """

    def __init__(
        self,
        folder: str | Path,
        protocol: Protocol,
        data: dict[str, Any],
        methods: Sequence[str],
        seeds: Sequence[int],
    ) -> None:
        self.folder, self.protocol, self.data = Path(folder), protocol, data
        self.methods, self.seeds = list(methods), list(seeds)
        self.config = self.folder / "config.yaml"

    def start(self, command: str, device: str) -> None:
        """Settles ``precision`` and writes the configuration, or holds it against the one there.

        More methods, seeds and splits than before are allowed: they only add cells. As long as no
        cell is finished everything may change.

        Raises:
            InputError: A folder of something else, or of a study with other settings.
        """
        check_destination(self.config)
        target = pick_device(device)
        options = self.protocol.options
        began = None
        if self.config.exists():
            before = self.read_config()
            began = before if any(self.folder.glob("cells/[!.]*.npz")) else None
            if began is not None and options.precision == "auto":
                options = replace(options, precision=began["options"].get("precision"))
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder} is not empty, expected a new folder or a study's")
        self.protocol.options = replace(options, precision=decide(options.precision, target))
        settings = self._settings()
        if began is not None:
            _check_same(settings, began, self.config)
            settings["splits"] = began["splits"] | settings["splits"]
        self._write_config({**settings, "command": command})

    def run(self, device: str, jobs: int = 1, quiet: bool = False) -> None:
        """Computes the cells that are missing.

        Args:
            device: Where to compute.
            jobs: Processes; they share the cores.
            quiet: Show no progress.

        Raises:
            InputError: A damaged cell, before anything is computed; as :func:`run_cell`, for the
                first cell that fails, when all others are finished.
        """
        missing = []
        for cell in self.cells():
            if self.path(cell).exists():
                self._read(cell)
            else:
                missing.append(cell)
        total, failed = len(self.cells()), []
        with Progress(
            self.protocol.name, total, "cells", start=total - len(missing), quiet=quiet
        ) as bar:
            begin = None if quiet else lambda cell: bar.update(0, f"at {cell.key}")
            for cell, outcome in _outcomes(self.protocol, missing, device, jobs, begin):
                if isinstance(outcome, InputError):
                    failed.append(outcome)
                    continue
                # Written here and nowhere else: a worker that is stopped leaves nothing.
                with atomic_path(self.path(cell)) as temporary, temporary.open("wb") as stream:
                    np.savez_compressed(stream, **outcome._asdict())
                bar.update(1, f"{cell.key}: AUC {outcome.auc[0]:.3f}")
        if failed:
            others = len(failed) - 1
            more = f" (and {others} other cell{'s' * (others > 1)})" if others else ""
            raise InputError(f"{failed[0]}{more}")

    def cells(self) -> list[Cell]:
        """All cells, a seed after the other."""
        units = dict.fromkeys(METHODS[name].unit for name in self.methods)
        return [
            Cell(unit, condition, seed)
            for seed in self.seeds
            for condition in self.protocol.conditions()
            for unit in units
        ]

    def path(self, cell: Cell) -> Path:
        """The file of a cell."""
        return self.folder / "cells" / f"{cell.key}.npz"

    def results(self) -> list[Result]:
        """Every number of the study's methods, in the order of its cells.

        Raises:
            InputError: A cell that is missing or damaged.
        """
        results = []
        for cell in self.cells():
            outcome = self._read(cell)
            for position, row in enumerate(outcome.rows.tolist()):
                if row.split(":")[0] not in self.methods:
                    continue
                values = {"AUC": outcome.auc[position]}
                if len(outcome.auc_smoothed):
                    values["AUC smoothed"] = outcome.auc_smoothed[position]
                results += [
                    Result(row, cell.condition, cell.seed, metric, float(value))
                    for metric, value in values.items()
                ]
        return results

    def finish(self) -> dict[str, float]:
        """Adds to the configuration each unit's mean seconds a training, and the machines used.

        Returns:
            Those seconds, of fitting and scoring together.
        """
        taken: dict[str, list[float]] = {}
        machines: list[dict[str, str]] = []
        for cell in self.cells():
            outcome = self._read(cell)
            taken.setdefault(cell.unit, []).append(float(outcome.seconds.sum()))
            one = dict(outcome.machine.tolist())
            if one not in machines:
                machines.append(one)
        seconds = {unit: round(float(np.mean(each)), 2) for unit, each in taken.items()}
        found = {"seconds_a_training": seconds, "machines": machines}
        self._write_config(self.read_config() | found)
        return seconds

    def _read(self, cell: Cell) -> Outcome:
        path = self.path(cell)
        try:
            arrays = read_npz(path, "cell of a study")
        except InputError as error:
            raise InputError(
                f"{error} (delete it to compute it)" if path.exists() else f"{error}"
            ) from None
        if not _is_outcome(arrays, self.protocol.level):
            raise InputError(
                f"{path} is no cell of a study, expected one (delete it to compute it)"
            )
        if arrays["rows"][0] != cell.unit:
            raise InputError(
                f"{path} is a cell of {str(arrays['rows'][0])!r}, expected one of {cell.unit!r} "
                "(delete it to compute it)"
            )
        return Outcome(**arrays)

    def _settings(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "experiment": self.protocol.name,
            "data": self.data,
            "methods": self.methods,
            "seeds": self.seeds,
            "splits": {},
            **self.protocol.settings(),
            "options": self.protocol.options.written(),
        }

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            InputError: No such file, or not one of a study.
        """
        content = read_yaml(self.config, "study's configuration")
        if not all(isinstance(content.get(part), dict) for part in ("options", "splits")):
            raise InputError(
                f"{self.config} is not a study's configuration, expected another folder"
            )
        return content

    def _write_config(self, content: dict[str, Any]) -> None:
        with atomic_path(self.config) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


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


def _check_same(settings: dict[str, Any], began: dict[str, Any], path: Path) -> None:
    """Refuses settings under which finished cells would mean something else."""
    now = {k: v for k, v in settings.items() if k not in ("data", "methods", "seeds", "splits")}
    for name, value in (now | settings["options"]).items():
        before = {**began["options"], **began}.get(name)
        if name == "options" or value == before:
            continue
        if name == "version":
            raise InputError(
                f"{path} is of a study of version {before or 1}, expected {value}: methods have "
                "changed since, and the study has to begin anew in another folder"
            )
        if name == "checksum":
            raise InputError(
                f"the poses are not those with which the study of {path} began, expected these or "
                f"another folder (--out): their checksum is {value}, and was {before}"
            )
        raise InputError(
            f"{name} is {value!r}, expected {before!r} as in {path}, with which the study began"
        )
    for name, classes in settings["splits"].items():
        before = began["splits"].get(name, classes)
        if classes != before:
            raise InputError(
                f"split {name!r} is {', '.join(classes)}, expected {', '.join(before)} as in {path}, "
                "with which the study began"
            )


def _outcomes(
    protocol: Protocol,
    cells: list[Cell],
    device: str,
    jobs: int,
    begin: Callable[[Cell], None] | None,
) -> Iterator[tuple[Cell, Outcome | InputError]]:
    """Cells with what they gave, as they end: an outcome, or why there is none.

    Where there is a ``begin`` and one process, it is told of each cell, which then shows its progress.
    """
    if jobs == 1:
        for cell in cells:
            if begin is not None:
                begin(cell)
            yield cell, _tried(protocol, cell, device, quiet=begin is None)
        return
    others = set(multiprocessing.active_children())
    ended: SimpleQueue[Future[Outcome | InputError]] = SimpleQueue()
    with (
        _threads(max(1, torch.get_num_threads() // jobs)),
        ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(protocol, device),
        ) as pool,
    ):
        try:
            with _deaf():
                futures = {pool.submit(_work, cell): cell for cell in cells}
            for future in futures:
                future.add_done_callback(ended.put)
            # Not as_completed: interrupted, it may keep locks that the pool waits for at the end.
            for _ in futures:
                future = ended.get()
                yield futures[future], future.result()
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            # What they are at may take an hour more, and nobody waits for it.
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
            if isinstance(error, BrokenProcessPool):
                raise InputError(
                    "a worker process was ended from outside, expected memory for "
                    f"{jobs} of them (--jobs)"
                ) from None
            raise


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started meanwhile do not hear Ctrl-C, not even while they import what they need.

    This one hears it afterwards: what is blocked is not lost, and children inherit it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes started meanwhile compute with so many threads each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


_given: tuple[Protocol, str]


def _start_worker(protocol: Protocol, device: str) -> None:
    """What a worker keeps for all of its cells."""
    global _given
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _given = protocol, device


def _end_with_parent() -> None:
    """Ends this worker when the process that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(cell: Cell) -> Outcome | InputError:
    return _tried(_given[0], cell, _given[1])


def _tried(protocol: Protocol, cell: Cell, device: str, quiet: bool = True) -> Outcome | InputError:
    try:
        return run_cell(protocol, cell, device, quiet)
    except InputError as error:
        return error
