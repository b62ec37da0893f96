"""The folder of a training run and the files in it."""

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
from gepc_geo.cli.data import RUN_MUST_BE
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.options.reading import read_options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.precision import decide
from gepc_geo.utils import distributed
from gepc_geo.utils.files import atomic_path, check_destination, read_yaml


class Run:
    """The folder of a run.

    A training run has ``config.yaml`` and, when it is finished, ``model.pt``; with a network also
    ``losses.csv`` and ``checkpoint.pt``. An adapted run has ``model.pt`` and ``adapted.yaml``,
    which names the run that was adapted.

    Args:
        folder: The folder; training creates it.

    Attributes:
        folder: The folder.
        config: Path of ``config.yaml``.
        model: Path of ``model.pt``.
        checkpoint: Path of ``checkpoint.pt``.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = self.folder / "config.yaml"
        self.model = self.folder / "model.pt"
        self.checkpoint = self.folder / "checkpoint.pt"
        self._adapted = self.folder / "adapted.yaml"
        self._losses = self.folder / "losses.csv"
        self._events = self.folder / "tensorboard"
        # Whether this object started the run, and created the folder: forget() removes only these.
        self._started = self._created = False

    @classmethod
    def of(cls, path: str | Path) -> Run:
        """The run of a folder, of the ``model.pt`` in it, or of a single model file."""
        path = Path(path)
        if not os.path.isfile(path):
            return cls(path)
        if path.name == "model.pt":
            return cls(path.parent)
        # A model file of another name has neither configuration nor checkpoint.
        run = cls(path)
        run.model = path
        return run

    def start(self, resume: bool) -> dict[str, Any] | None:
        """Checks that training can start or resume here.

        Args:
            resume: Whether to resume a run.

        Returns:
            The configuration of the run to resume, or ``None`` for a new run.

        Raises:
            InputError: There is no run to resume; a new run would overwrite files; the folder is
                not writable.
        """
        check_destination(self.config)
        if resume:
            if not self.config.exists():
                raise InputError(f"{self.config} does not exist: there is no run to resume")
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
                    f"{self.folder} must be a new folder, or --resume given, got an existing run"
                    if self.config.exists()
                    else f"{self.folder} must be a new folder, got one with {path.name}"
                )
        self._started, self._created = True, not self.folder.exists()
        return None

    def check_resumed(self, options: Options, data: dict[str, Any]) -> None:
        """Checks that options and data are those in the run's ``config.yaml``.

        Args:
            options: All options.
            data: Entries of the configuration's ``data``.

        Raises:
            InputError: For the first value that differs.
        """
        config = self.read_config()
        saved = {**Options(**config["options"]).written(), **config["data"]}
        for name, value in {**options.written(), **data}.items():
            if value != saved.get(name):
                raise InputError(
                    f"{name} must be {saved.get(name)!r} as in {self.config}, got {value!r}"
                )

    def is_finished(self, tracks: PoseTracks) -> bool:
        """Whether the run has its detector, which training would replace.

        Args:
            tracks: The poses to train on.

        Raises:
            InputError: The detector is of other poses, or damaged.
        """
        if not self.model.exists():
            return False
        # Compares the poses, not only their path.
        if not self.load("cpu").was_trained_on(tracks):
            raise InputError(
                f"{self.model} must be of the poses to train on, got a model of other poses: train "
                "on other data in another folder"
            )
        return True

    def settle(self, options: Options, device: torch.device) -> Options:
        """Resolves ``precision`` auto: to the run's precision, or for a new run by the device.

        Args:
            options: All options.
            device: The device of the training.

        Raises:
            InputError: As :meth:`read_config`.
        """
        if options.precision != "auto":
            return options
        saved = Options()
        if self.config.exists():
            saved = Options(**self.read_config()["options"])
        return replace(options, precision=decide(saved.precision, device))

    def write_config(self, options: Options, data: dict[str, Any]) -> None:
        """Writes the resolved configuration, which ``train --config`` accepts.

        Args:
            options: All options.
            data: Where the poses come from, by name.

        Raises:
            InputError: The file cannot be written.
        """
        content = {"gepc_geo": __version__, "data": data, "options": options.written()}
        with atomic_path(self.config) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def forget(self) -> None:
        """Removes the files of a run that failed before its first checkpoint.

        A run that this object did not :meth:`start` stays unchanged.
        """
        if not self._started or self.checkpoint.exists() or self.model.exists():
            return
        for path in (self.config, self._losses):
            path.unlink(missing_ok=True)
        shutil.rmtree(self._events, ignore_errors=True)
        if self._created and self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration: ``options`` (by their names in Python) and ``data``.

        Raises:
            InputError: The file is missing, or is not a run's configuration.
        """
        content = read_yaml(self.config, "run's configuration")
        for part in ("options", "data"):
            if not isinstance(content.get(part), dict):
                raise InputError(
                    f"{self.config} must be a run's configuration with {part} by name, "
                    f"got {content.get(part)!r:.80}"
                )
        return content | {"options": read_options(content["options"], str(self.config))}

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

        Args:
            tracks: Normal poses.
            options: All options.
            resume: Resume from the last checkpoint. (default: :obj:`False`)
            device: Where to compute. (default: :obj:`"auto"`)
            tensorboard: Write TensorBoard events into the run. (default: :obj:`False`)
            quiet: Show no progress. (default: :obj:`False`)

        Raises:
            InputError: As :meth:`GEPC.fit`; :meth:`forget` then removes a run without checkpoint.
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
        """Saves an adapted detector and the record of its adaptation, both or neither.

        Args:
            detector: The adapted detector.
            run: The run that was adapted.
            data: The poses that it was adapted to, by name.

        Raises:
            InputError: A file cannot be written.
        """
        content = {"gepc_geo": __version__, "run": str(run.folder.resolve()), "data": data}
        with atomic_path(self._adapted) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
            detector.save(self.model)

    def trained(self) -> Run:
        """The run that was trained: this one, or the run from which it was adapted.

        Raises:
            InputError: A record of an adaptation does not name a run.
        """
        run, visited = self, {self.folder.resolve()}
        # isfile is False in a folder that is not readable.
        while os.path.isfile(run._adapted):
            origin = read_yaml(run._adapted, "record of an adaptation").get("run")
            if not isinstance(origin, str) or Path(origin).resolve() in visited:
                raise InputError(
                    f"run of {run._adapted} must be the folder of the adapted run, got {origin!r}"
                )
            run = Run(origin)
            visited.add(run.folder.resolve())
        return run

    def load(self, device: str | torch.device = "auto") -> GEPC:
        """The trained detector.

        Args:
            device: Where to compute. (default: :obj:`"auto"`)

        Raises:
            InputError: The run is missing, not finished or damaged.
        """
        self.check()
        return GEPC.load(self.model, device=device)

    def check(self) -> None:
        """Checks that the run is finished, without reading the model.

        Raises:
            InputError: The run is missing or not finished.
        """
        if not self.folder.exists():
            raise InputError(f"{self.folder} does not exist: {RUN_MUST_BE}")
        if not self.model.exists() and (self.checkpoint.exists() or self.config.exists()):
            raise InputError(
                f"{self.folder} must be a finished run (train --resume), got an unfinished one"
            )
        if not self.model.exists():
            raise InputError(
                f"{self.folder} must be the folder of a run (RUN comes before DATA), got no "
                f"{self.model.name} in it"
            )


def load_run(
    run: Path,
    frames: int | None,
    device: str | torch.device,
    tracks: PoseTracks | None = None,
) -> GEPC:
    """Loads a run's detector; prints a warning if the frame rate of ``tracks`` differs.

    Args:
        run: Folder of the run, or its ``model.pt``.
        frames: Value of ``--frames``.
        device: Where to compute.
        tracks: The poses to score. (default: :obj:`None`)

    Raises:
        InputError: The run cannot be loaded, or has another number of frames.
    """
    detector = Run.of(run).load(device)
    if frames is not None and frames != detector.frames:
        raise InputError(
            f"--frames must not be given for {run}, which scores windows of "
            f"{' and '.join(map(str, detector.lengths_))} frames and not whole clips, got {frames}"
            if detector.frames is None
            else f"--frames must be {detector.frames} as in {run}, got {frames}"
        )
    if tracks is not None:
        note = detector.fps_mismatch(tracks)
        if note and distributed.is_first():
            click.echo(f"warning: {note}", err=True)
    return detector
