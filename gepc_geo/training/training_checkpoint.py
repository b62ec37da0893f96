"""The checkpoint of a training run."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.options.reading import read_options
from gepc_geo.utils import distributed, state_file
from gepc_geo.windows.dataset import PoseWindows

#: Kind and version of a training checkpoint.
KIND, VERSION = "gepc_geo training checkpoint", 8
# With several ranks: steps between two messages about the clock of the first rank.
_ASK_STEPS = 10


class TrainingCheckpoint:
    """``checkpoint.pt`` in the folder of a training run; it stores the options and a data checksum.

    Args:
        folder: The folder; ``None``: nothing is written.
        options: Options of the run.
        windows: The training windows.

    Attributes:
        path: The file; ``None`` without a folder.
    """

    def __init__(self, folder: Path | None, options: Options, windows: PoseWindows) -> None:
        self.path = None if folder is None else folder / "checkpoint.pt"
        self._options, self._windows = options.written(), windows
        self._seconds, self._written = options.checkpoint_seconds, time.monotonic()

    @functools.cached_property
    def _data(self) -> dict[str, int]:
        return self._windows.fingerprint()

    @property
    def exists(self) -> bool:
        """Whether the file exists."""
        return self.path is not None and self.path.exists()

    def tidy(self) -> None:
        """Removes temporary files of a process that was killed while it wrote."""
        if self.path is not None:
            for temporary in self.path.parent.glob(f".{self.path.name}.*"):
                temporary.unlink()

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after a step, by the clock of the first rank."""
        every_step = distributed.world() == 1 or self._seconds == 0
        if not every_step and step % _ASK_STEPS:
            return False
        return distributed.from_first(lambda: time.monotonic() - self._written >= self._seconds)

    def write(self, state: dict[str, Any]) -> None:
        """Writes the file on the first rank, completely or not at all.

        Raises:
            InputError: The file cannot be written.
        """
        self._written = time.monotonic()
        distributed.from_first(lambda: self._write(state))

    def _write(self, state: dict[str, Any]) -> None:
        if self.path is not None:
            content = {"options": self._options, "data": self._data, **state}
            state_file.save(content, self.path, kind=KIND, version=VERSION)

    def read(self) -> dict[str, Any] | None:
        """Reads the state; ``None`` if there is no file.

        Raises:
            InputError: The file is damaged, or has another version, other data or other or former
                options.
        """
        if self.path is None or not self.exists:
            return None
        state = state_file.load(self.path, kind=KIND, version=VERSION)
        own, stored = self._data, state["data"]
        if stored != own:
            raise InputError(
                f"{self.path} must be of the {own['windows']} training windows with checksum "
                f"{own['checksum']:08x}, got {stored['windows']} windows with checksum "
                f"{stored['checksum']:08x}: train on other data in another folder"
            )
        # Former options with another value than the one in effect are refused here.
        read_options(state["options"], str(self.path))
        for name, value in self._options.items():
            if state["options"].get(name) != value:
                raise InputError(
                    f"{self.path} must have {name} {value!r}, got {state['options'].get(name)!r}"
                )
        return state

    def load_weights(self, state: dict[str, Any], modules: Mapping[str, nn.Module]) -> None:
        """Loads the weights of modules from a state that was read.

        Args:
            state: The state.
            modules: The modules, by their names in it.

        Raises:
            InputError: The state is of another model.
        """
        try:
            for name, module in modules.items():
                module.load_state_dict(state[name])
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(
                f"{self.path} must be of the model of these options, got another one: {reason}"
            ) from None
