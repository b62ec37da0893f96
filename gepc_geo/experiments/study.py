"""A study: a protocol whose cells are written to files, so that it can be resumed."""

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
from gepc_geo.options.reading import read_options
from gepc_geo.training.precision import decide
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.files import atomic_path, check_destination, read_yaml
from gepc_geo.utils.progress import progress_bar

#: Version of the cells' scores. A change of any method's scores under the same options takes the
#: next number; otherwise a resumed study would average cells of both kinds.
VERSION = 7


class Study:
    """A protocol, the methods to compare, the seeds to train with, and a folder for the results.

    Args:
        folder: Folder of ``config.yaml``, ``cells/KEY.npz`` (:class:`Outcome`), tables and plots. A
            folder with results of the same study is resumed: finished cells are not computed again.
        protocol: The experiment.
        data: Where the poses come from, for ``config.yaml``.
        methods: Names in :data:`~gepc_geo.experiments.methods.METHODS`.
        seeds: Seeds of training.
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
        """Resolves ``precision``, checks the settings of a study to resume, and writes them.

        Further methods, seeds and splits are allowed, as they only add cells. All settings may
        change until a cell is finished.

        Args:
            command: The command line, for ``config.yaml``.
            device: Where to compute.

        Raises:
            InputError: The folder has other files, or a study with other settings.
        """
        check_destination(self.config)
        target = pick_device(device)
        options = self.protocol.options
        saved = None
        if self.config.exists():
            content = self.read_config()
            saved = content if any(self.folder.glob("cells/[!.]*.npz")) else None
            if saved is not None and options.precision == "auto":
                options = replace(options, precision=saved["options"].get("precision"))
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder} must be a new folder or a study's, got other files")
        self.protocol.options = replace(options, precision=decide(options.precision, target))
        settings = self._settings()
        if saved is not None:
            _check_same(settings, saved, self.config)
            settings["splits"] = saved["splits"] | settings["splits"]
        self._write_config({**settings, "command": command})

    def run(self, device: str, jobs: int = 1, quiet: bool = False) -> None:
        """Computes the missing cells.

        Args:
            device: Where to compute.
            jobs: Number of processes; they share the cores. (default: :obj:`1`)
            quiet: Show no progress. (default: :obj:`False`)

        Raises:
            InputError: A finished cell is damaged; this is checked first. Or cells failed (see
                :func:`~gepc_geo.experiments.cells.run_cell`); the error of the first one is raised
                after all other cells are finished.
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
                # Only this process writes cells, so that a stopped worker leaves no files.
                write_cell(outcome, self.path(cell))
                bar.set_postfix_str(f"{cell.key}: AUC {outcome.auc[0]:.3f}", refresh=False)
                bar.update(1)
        if failed:
            others = len(failed) - 1
            more = f" (and {others} other cell{'s' * (others > 1)})" if others else ""
            raise InputError(f"{failed[0]}{more}")

    def cells(self) -> list[Cell]:
        """All cells, seed by seed."""
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
        """All results of the study's methods, in the order of the cells.

        Raises:
            InputError: A cell is missing or damaged.
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
        """Adds mean seconds of trainings, and the machines, to the configuration.

        Returns:
            Mean seconds of fitting and scoring by name of the trained method.

        Raises:
            InputError: A cell is missing or damaged.
        """
        times: dict[str, list[float]] = {}
        machines: list[dict[str, str]] = []
        for cell in self.cells():
            outcome = self._read(cell)
            times.setdefault(cell.unit, []).append(float(outcome.seconds.sum()))
            machine = dict(outcome.machine.tolist())
            if machine not in machines:
                machines.append(machine)
        seconds = {unit: round(float(np.mean(values)), 2) for unit, values in times.items()}
        measured = {"seconds_a_training": seconds, "machines": machines}
        self._write_config(self.read_config() | measured)
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
            InputError: The file is missing, or is not a study's configuration.
        """
        content = read_yaml(self.config, "study's configuration")
        missing = [p for p in ("options", "splits") if not isinstance(content.get(p), dict)]
        if missing:
            raise InputError(
                f"{self.config} must be a study's configuration with options and splits by name, "
                f"got no {' and no '.join(missing)} by name"
            )
        return content

    def _write_config(self, content: dict[str, Any]) -> None:
        with atomic_path(self.config) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _check_same(settings: dict[str, Any], saved: dict[str, Any], path: Path) -> None:
    """Refuses settings that differ from those of the finished cells."""
    if saved.get("version") != settings["version"]:
        raise InputError(
            f"{path} must be of a study of version {settings['version']}, got version "
            f"{saved.get('version') or 1}: scores of methods changed, use another folder (--out)"
        )
    # Former options with another value than the one in effect are refused here.
    read_options(saved["options"], str(path))
    current = {k: v for k, v in settings.items() if k not in ("data", "methods", "seeds", "splits")}
    for name, value in (current | settings["options"]).items():
        before = {**saved["options"], **saved}.get(name)
        if name == "options" or value == before:
            continue
        if name == "checksum":
            raise InputError(
                f"the poses must have checksum {before} as in {path}, got {value}: use the same "
                "poses or another folder (--out)"
            )
        raise InputError(f"{name} must be {before!r} as in {path}, got {value!r}")
    for name, classes in settings["splits"].items():
        before = saved["splits"].get(name, classes)
        if classes != before:
            raise InputError(
                f"split {name!r} must be {', '.join(before)} as in {path}, got {', '.join(classes)}"
            )
