"""The log of losses: one CSV row an interval, and TensorBoard where it is wanted."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.files import atomic_path

COLUMNS = (
    "stage",
    "step",
    "passes",
    "loss",
    "reconstruction",
    "clustering",
    "lr",
    "label_change",
    "seconds",
)


class Journal:
    """Appends rows of :data:`COLUMNS` to ``losses.csv``.

    Args:
        folder: Where the files go; ``None`` keeps the rows in memory only.
        passes: Keep only rows up to this many window passes (a resumed run repeats the later ones).
        tensorboard: Also write TensorBoard events to ``folder/tensorboard``.

    Raises:
        InputError: TensorBoard is asked for and not installed.
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
                # The E step at that very moment is repeated too, and logs its row again.
                self.rows = [
                    row
                    for row in rows
                    if int(row["passes"]) < passes + (not row.get("label_change"))
                ]
            with atomic_path(self.path) as temporary, temporary.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, COLUMNS)
                writer.writeheader()
                writer.writerows(self.rows)
        if tensorboard and folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise InputError(
                    "tensorboard is not installed, expected it for --tensorboard "
                    "(pip install tensorboard)"
                ) from None
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=passes)

    def add(self, **row: Any) -> None:
        """Writes a row; columns that are not given stay empty."""
        full = {name: row.get(name, "") for name in COLUMNS}
        self.rows.append(full)
        if self.path is not None:
            with self.path.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, COLUMNS).writerow(full)
        if self._writer is not None:
            for name, value in row.items():
                if name not in ("stage", "step", "passes") and value != "":
                    self._writer.add_scalar(f"{row['stage']}/{name}", float(value), row["passes"])

    def close(self) -> None:
        """Flushes TensorBoard's events."""
        if self._writer is not None:
            self._writer.close()
