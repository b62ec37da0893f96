"""A study: a protocol, cell by cell; each cell is written to a file, so that a study can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gepc_geo.errors import InputError
from gepc_geo.experiments.cells import Cell, Outcome, read_cell, write_cell
from gepc_geo.experiments.methods import METHODS
from gepc_geo.experiments.pool import outcomes
from gepc_geo.experiments.protocol import Protocol
from gepc_geo.experiments.results import Result
from gepc_geo.training.precision import decide
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.files import atomic_path, check_destination, read_yaml
from gepc_geo.utils.progress import progress_bar

#: Version of what cells hold and of what methods compute. A change of any method's scores under the same
#: options takes the next number, or a resumed study would average cells of both kinds.
VERSION = 7


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
            InputError: A damaged cell, before anything is computed; as
                :func:`~gepc_geo.experiments.cells.run_cell`, for the
                first cell that fails, when all others are finished.
        """
        missing = []
        for cell in self.cells():
            if self.path(cell).exists():
                self._read(cell)
            else:
                missing.append(cell)
        total, failed = len(self.cells()), []
        with progress_bar(
            self.protocol.name, total, "cells", start=total - len(missing), quiet=quiet
        ) as bar:
            begin = None if quiet else lambda cell: bar.set_postfix_str(f"at {cell.key}")
            for cell, outcome in outcomes(self.protocol, missing, device, jobs, begin):
                if isinstance(outcome, InputError):
                    failed.append(outcome)
                    continue
                # Written here and nowhere else: a worker that is stopped leaves nothing.
                write_cell(outcome, self.path(cell))
                bar.set_postfix_str(f"{cell.key}: AUC {outcome.auc[0]:.3f}", refresh=False)
                bar.update(1)
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
        return read_cell(self.path(cell), cell, self.protocol.level)

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
