"""The checkpoint of a training: what it holds beside the state, and who may go on from it."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.training import checkpoint
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows

#: Kind and version of a training checkpoint.
KIND, VERSION = "gepc_geo training checkpoint", 7
# Steps between two looks of several ranks at the first one's clock.
_ASK_STEPS = 10


class TrainingCheckpoint:
    """``checkpoint.pt`` in the folder of a training, with its options and which data it is of.

    Args:
        folder: The folder; ``None`` writes nothing.
        options: The training's.
        windows: Those trained on.
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
        """Whether there is one to go on from."""
        return self.path is not None and self.path.exists()

    def tidy(self) -> None:
        """Removes what a kill in the middle of writing left behind."""
        if self.path is not None:
            for stale in self.path.parent.glob(f".{self.path.name}.*"):
                stale.unlink()

    def due(self, step: int) -> bool:
        """Whether it is time to write; of several ranks the first tells the others, now and then."""
        often = distributed.world() == 1 or self._seconds == 0
        if not often and step % _ASK_STEPS:
            return False
        return distributed.from_first(lambda: time.monotonic() - self._written >= self._seconds)

    def write(self, state: dict[str, Any]) -> None:
        """Writes it anew, whole or not at all: the first rank does."""
        self._written = time.monotonic()
        distributed.from_first(lambda: self._write(state))

    def _write(self, state: dict[str, Any]) -> None:
        if self.path is not None:
            content = {"options": self._options, "data": self._data, **state}
            checkpoint.save(content, self.path, kind=KIND, version=VERSION)

    def read(self) -> dict[str, Any] | None:
        """The state, where there is one.

        Raises:
            InputError: A file that cannot be read, of another version, or of other data or options.
        """
        if self.path is None or not self.exists:
            return None
        state = checkpoint.load(self.path, kind=KIND, version=VERSION)
        mine, theirs = self._data, state["data"]
        if theirs != mine:
            raise InputError(
                f"{self.path} was written for {theirs['windows']} training windows with checksum "
                f"{theirs['checksum']:08x}, expected the {mine['windows']} windows with checksum "
                f"{mine['checksum']:08x} of this data (other data takes another folder)"
            )
        for name, value in self._options.items():
            if state["options"].get(name) != value:
                raise InputError(
                    f"{self.path} was written with {name} {state['options'].get(name)!r}, "
                    f"expected {value!r}"
                )
        return state
