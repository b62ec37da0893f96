"""The folder of a training run: what lies where in it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
import yaml

from gepc_geo._version import __version__
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.precision import decide
from gepc_geo.utils import distributed
from gepc_geo.utils.files import atomic_path, check_destination, read_yaml


class Run:
    """A run's folder: ``config.yaml``, ``losses.csv``, ``checkpoint.pt`` and, at the end, ``model.pt``.

    Without a network there are neither losses nor checkpoint. A run that was adapted has ``model.pt`` and
    ``adapted.yaml``, which names the run it came from.

    Args:
        folder: The folder; made when the run starts.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = self.folder / "config.yaml"
        self.model = self.folder / "model.pt"
        self.checkpoint = self.folder / "checkpoint.pt"
        self._adapted = self.folder / "adapted.yaml"
        self._losses = self.folder / "losses.csv"
        self._events = self.folder / "tensorboard"
        # Whether a run began here with this object, and the folder with it: what may be taken back.
        self._began = self._made = False

    @classmethod
    def of(cls, path: str | Path) -> Run:
        """The run in a folder, or that of a ``model.pt``; a model of another name is all of its run."""
        path = Path(path)
        if not os.path.isfile(path):
            return cls(path)
        if path.name == "model.pt":
            return cls(path.parent)
        # Nothing lies below a file: no configuration, no checkpoint.
        run = cls(path)
        run.model = path
        return run

    def start(self, resume: bool) -> dict[str, Any] | None:
        """Checks that training can begin here; with ``resume``, the configuration it began with.

        Raises:
            InputError: Files of a run's names are here and ``resume`` is off, no run is and it is
                on, or nothing can be written here.
        """
        check_destination(self.config)
        if resume:
            if not self.config.exists():
                raise InputError(f"{self.config} does not exist, expected a run to resume")
            return self.read_config()
        names = (
            self.config,
            self.checkpoint,
            self.model,
            self._adapted,
            self._losses,
            self._events,
        )
        for path in names:
            if path.exists():
                raise InputError(
                    f"{self.folder} holds a run already, expected --resume or another folder"
                    if self.config.exists()
                    else f"{path} exists already, expected another folder for the run"
                )
        self._began, self._made = True, not self.folder.exists()
        return None

    def check_resumed(self, options: Options, data: dict[str, Any]) -> None:
        """Makes sure that options and data are those the run began with, as ``config.yaml`` has them.

        Args:
            options: All options.
            data: Entries of the configuration's ``data``.

        Raises:
            InputError: The first one that differs.
        """
        config = self.read_config()
        began = {**Options(**config["options"]).written(), **config["data"]}
        for name, value in {**options.written(), **data}.items():
            if value != began.get(name):
                raise InputError(
                    f"{name} is {value!r}, expected {began.get(name)!r} as in {self.config}, "
                    "with which the run began"
                )

    def settle(self, options: Options, device: torch.device) -> Options:
        """Options with what ``precision`` auto stands for: as the run began, or by the device.

        Raises:
            InputError: As :meth:`read_config`.
        """
        if options.precision != "auto":
            return options
        began = Options()
        if self.config.exists():
            began = Options(**self.read_config()["options"])
        return replace(options, precision=decide(began.precision, device))

    def write_config(self, options: Options, data: dict[str, Any]) -> None:
        """Saves the resolved configuration, which ``train --config`` takes as it is."""
        content = {"gepc_geo": __version__, "data": data, "options": options.written()}
        with atomic_path(self.config) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def forget(self) -> None:
        """Takes back a run that ended before its first checkpoint: nothing half-written stays.

        A run that did not begin with this object's :meth:`start` stays as it is.
        """
        if not self._began or self.checkpoint.exists() or self.model.exists():
            return
        for path in (self.config, self._losses):
            path.unlink(missing_ok=True)
        shutil.rmtree(self._events, ignore_errors=True)
        if self._made and self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration: ``options`` (by their names in Python) and ``data``.

        Raises:
            InputError: No such file, or not one of a run.
        """
        content = read_yaml(self.config, "run's configuration")
        for part in ("options", "data"):
            if not isinstance(content.get(part), dict):
                raise InputError(
                    f"{self.config} is not a run's configuration, expected {part} by name in it"
                )
        return content | {"options": Options.read(content["options"], str(self.config))}

    def train(
        self,
        tracks: PoseTracks,
        options: Options,
        *,
        resume: bool = False,
        device: str | torch.device = "auto",
        tensorboard: bool = False,
        quiet: bool = False,
    ) -> GEPC:
        """Trains a detector and saves it as ``model.pt``.

        Raises:
            InputError: As :meth:`GEPC.fit`; a run without any checkpoint is then taken back.
        """
        try:
            detector = GEPC(**options.to_dict()).fit(
                tracks,
                run=self.folder,
                resume=resume,
                device=device,
                tensorboard=tensorboard,
                quiet=quiet,
            )
        except InputError:
            self.forget()
            raise
        distributed.from_first(lambda: detector.save(self.model))
        return detector

    def write_adapted(self, detector: GEPC, run: Run, data: dict[str, Any]) -> None:
        """Saves a detector, and which run it was adapted from to what poses: both or nothing."""
        content = {"gepc_geo": __version__, "run": str(run.folder.resolve()), "data": data}
        with atomic_path(self._adapted) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
            detector.save(self.model)

    def trained(self) -> Run:
        """The run that was trained: this one, or the one that it was adapted from, step by step.

        Raises:
            InputError: A record of an adaptation that is none.
        """
        run, passed = self, {self.folder.resolve()}
        # Where nobody may look there is none, and nothing to tell.
        while os.path.isfile(run._adapted):
            origin = read_yaml(run._adapted, "record of an adaptation").get("run")
            if not isinstance(origin, str) or Path(origin).resolve() in passed:
                raise InputError(
                    f"{run._adapted} has run {origin!r}, expected the folder that it was adapted from"
                )
            run = Run(origin)
            passed.add(run.folder.resolve())
        return run

    def load(self, device: str | torch.device = "auto") -> GEPC:
        """The trained detector.

        Raises:
            InputError: No finished run here.
        """
        self.check()
        return GEPC.load(self.model, device=device)

    def check(self) -> None:
        """Makes sure that a finished run is here, before anything is read.

        Raises:
            InputError: There is none.
        """
        if not self.folder.exists():
            raise InputError(f"{self.folder} does not exist, expected the folder of a run")
        if not self.model.exists() and (self.checkpoint.exists() or self.config.exists()):
            raise InputError(f"{self.folder} is not finished, expected train --resume first")
        if not self.model.exists():
            raise InputError(
                f"{self.folder} holds no run (there is no {self.model.name}), expected the folder of one: RUN "
                "comes before DATA"
            )


def load_run(
    run: Path,
    frames: int | None,
    device: str | torch.device,
    tracks: PoseTracks | None = None,
) -> GEPC:
    """The run's detector, held against what the command line says about frames."""
    detector = Run.of(run).load(device)
    if frames is not None and frames != detector.frames:
        raise InputError(
            f"--frames is {frames}, expected none, as {run} scores windows of "
            f"{' and '.join(map(str, detector.lengths_))} frames, not whole clips"
            if detector.frames is None
            else f"--frames is {frames}, expected {detector.frames} as in {run}"
        )
    if tracks is not None:
        note = detector.fps_mismatch(tracks)
        if note and distributed.is_first():
            click.echo(f"warning: {note}", err=True)
    return detector
