"""The log of losses, as CSV and for TensorBoard."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.utils.files import atomic_path, write_error

COLUMNS = (
    "stage",
    "step",
    "passes",
    "loss",
    "reconstruction",
    "clustering",
    "lr",
    "label_change",
    "held_out",
    "share",
    "seconds",
)


class Journal:
    """Appends rows of :data:`COLUMNS` to ``losses.csv``.

    Args:
        folder: Folder of the files; ``None``: rows stay in memory.
        passes: Keep old rows up to this many window passes; a resumed run repeats the later ones.
            (default: ``None``, no old rows)
        tensorboard: Also write TensorBoard events to ``folder/tensorboard``. (default: ``False``)

    Attributes:
        rows: All rows, as dicts by column.
        path: ``losses.csv``; ``None`` without a folder.

    Raises:
        InputError: A file cannot be written, or ``tensorboard`` is set and not installed.
    """

    def __init__(
        self, folder: Path | None, *, passes: int | None = None, tensorboard: bool = False
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        self.path = None if folder is None else folder / "losses.csv"
        self._writer: Any = None
        if self.path is not None:
            if passes is not None and self.path.exists():
                with self.path.open(newline="", encoding="utf-8") as stream:
                    rows = [row for row in csv.DictReader(stream) if None not in row.values()]
                # A resumed run repeats the E step of this moment, and logs its row again.
                self.rows = [
                    row
                    for row in rows
                    if int(row["passes"]) < passes + (not row.get("label_change"))
                ]
            with (
                atomic_path(self.path) as temporary,
                temporary.open("w", newline="", encoding="utf-8") as stream,
            ):
                writer = csv.DictWriter(stream, COLUMNS)
                writer.writeheader()
                writer.writerows(self.rows)
        if tensorboard and folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise InputError(
                    "tensorboard must be installed for --tensorboard (pip install tensorboard)"
                ) from None
            self._events = folder / "tensorboard"
            with _as_write_error(self._events):
                self._writer = SummaryWriter(str(self._events), purge_step=passes)

    def add(self, **row: Any) -> None:
        """Writes a row, completely or not at all.

        Args:
            **row: Values by column; the others stay empty.

        Raises:
            InputError: The row cannot be written.
        """
        full = {name: row.get(name, "") for name in COLUMNS}
        self.rows.append(full)
        if self.path is not None:
            _append(self.path, full)
        if self._writer is not None:
            with _as_write_error(self._events):
                for name, value in row.items():
                    if name not in ("stage", "step", "passes") and value != "":
                        tag = f"{row['stage']}/{name}"
                        self._writer.add_scalar(tag, float(value), row["passes"])

    def close(self) -> None:
        """Flushes TensorBoard's events.

        Raises:
            InputError: The events cannot be written.
        """
        if self._writer is not None:
            with _as_write_error(self._events):
                self._writer.close()


def _append(path: Path, row: dict[str, Any]) -> None:
    before = path.stat().st_size
    with _as_write_error(path):
        try:
            with path.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, COLUMNS).writerow(row)
        except OSError:
            # A full disk may have taken a part of the row.
            os.truncate(path, before)
            raise


@contextmanager
def _as_write_error(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into an InputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from None
