"""The folder of a training run: what lies where in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml

from gepc_geo._version import __version__
from gepc_geo.detector import GEPC
from gepc_geo.errors import InputError
from gepc_geo.files import atomic_path
from gepc_geo.options import Options
from gepc_geo.tracks import PoseTracks


class Run:
    """A run's folder: ``config.yaml``, ``losses.csv``, ``checkpoint.pt`` and, at the end, ``model.pt``.

    Args:
        folder: The folder; made when the run starts.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = self.folder / "config.yaml"
        self.model = self.folder / "model.pt"
        self.checkpoint = self.folder / "checkpoint.pt"

    def start(self, resume: bool) -> dict[str, Any] | None:
        """Checks that training can begin here; with ``resume``, the options it began with.

        Raises:
            InputError: A run is here and ``resume`` is off, or none is and it is on.
        """
        if not resume:
            if self.model.exists() or self.checkpoint.exists():
                raise InputError(
                    f"{self.folder} holds a run already, expected --resume or another folder"
                )
            return None
        if not self.config.exists():
            raise InputError(f"{self.config} does not exist, expected a run to resume")
        return self.read_config()["options"]

    def write_config(self, options: Options, data: dict[str, Any]) -> None:
        """Saves the resolved configuration, which ``train --config`` takes as it is."""
        content = {"gepc_geo": __version__, "data": data, "options": options.to_dict()}
        with atomic_path(self.config) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def forget(self) -> None:
        """Takes back a run that ended before its first checkpoint: nothing half-written stays."""
        if self.checkpoint.exists() or self.model.exists():
            return
        for path in (self.config, self.folder / "losses.csv"):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration: ``options`` and ``data``.

        Raises:
            InputError: No such file, or not one of a run.
        """
        try:
            content = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.config} cannot be read, expected a run's: {reason}") from None
        if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
            raise InputError(
                f"{self.config} is not a run's configuration, expected options and data"
            )
        Options.read(content.get("options", {}), str(self.config))
        return content

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
        detector.save(self.model)
        return detector

    def load(self, device: str | torch.device = "auto") -> GEPC:
        """The trained detector.

        Raises:
            InputError: No finished run here.
        """
        if not self.folder.exists():
            raise InputError(f"{self.folder} does not exist, expected the folder of a run")
        if not self.model.exists() and self.checkpoint.exists():
            raise InputError(f"{self.folder} is not finished, expected train --resume first")
        return GEPC.load(self.model, device=device)
