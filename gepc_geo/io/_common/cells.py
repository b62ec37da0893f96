"""Text tables with commas, semicolons or tabs, and decimal points or commas."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import MAX_VALUE

#: The largest number of columns of a table of poses.
MAX_COLUMNS = 10_000
_SEPARATORS = (",", ";", "\t")
# A spreadsheet's line that names the separator.
_NOTE = re.compile(r"\s*sep=(.)[ \t]*\n")
# Texts for a missing value.
_MISSING = frozenset(("", "nan", "na", "n/a", "#n/a", "null", "none", "-"))


def first_cells(text: str) -> tuple[str, list[str]]:
    """The separator of a table, and the cells of its first line (one without a separator).

    The first two lines determine the separator: an equal number of cells, and most of them.
    """
    lines = _without_note(text).split("\n", 3)
    lines = [line for line in lines if line.strip()][:2]
    found: dict[str, list[list[str]]] = {}
    for separator in _SEPARATORS:
        try:
            found[separator] = [next(csv.reader([line], delimiter=separator)) for line in lines]
        except csv.Error:
            continue

    def fits(separator: str) -> tuple[bool, bool, int]:
        counts = [len(cells) for cells in found[separator]]
        return max(counts, default=1) > 1, len(set(counts)) == 1, max(counts[:1], default=1)

    best = max(found, key=fits, default=_SEPARATORS[0])
    return best, [cell.strip() for cell in next(iter(found.get(best, [])), [])]


def read_rows(text: str, path: Path, kind: str) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """The separator, and the line number and cells of each row that is not empty.

    Args:
        text: The table.
        path: The file, for errors.
        kind: The kind of file, for errors.

    Raises:
        InputError: Invalid CSV, too many columns, or (during iteration) rows of different numbers
            of cells.
    """
    separator, cells = first_cells(text)
    if len(cells) > MAX_COLUMNS:
        raise InputError(f"{path} must have at most {MAX_COLUMNS} columns, got {len(cells)}")
    return separator, _rows(text, separator, path, kind)


def is_nothing(cell: str) -> bool:
    """Whether a cell is empty, ``NaN``, ``null`` or another text for a missing value."""
    return cell.lower() in _MISSING


class Numbers:
    """Numbers of a table, row by row.

    Args:
        names: The columns' names, for errors.
        separator: The separator of cells; a comma excludes decimal commas.
        path: The file, for errors.

    Attributes:
        lines: The line of each row.
    """

    def __init__(self, names: Sequence[str], separator: str, path: Path) -> None:
        self._names, self._path = names, path
        self._commas_count = separator != ","
        self._values = array("d")
        self.lines = array("q")
        # Lines of the first decimal comma and the first decimal point; 0 without any.
        self._comma = self._point = 0

    def add(self, line: int, cells: Sequence[str]) -> None:
        """Adds the cells of one row.

        Raises:
            InputError: A cell that is neither a number nor empty, or both decimal signs in a table.
        """
        try:
            self._values.extend(map(float, cells))
        except ValueError:
            # The failed extend() may have added some numbers of the row.
            del self._values[len(self.lines) * len(self._names) :]
            for name, cell in zip(self._names, cells, strict=True):
                self._values.append(self._number(cell, name, line))
        self.lines.append(line)
        if self._commas_count:
            if not self._point and any("." in cell for cell in cells):
                self._point = line
            if self._comma and self._point:
                raise InputError(
                    f"{self._path} must have one decimal sign, got a comma in row {self._comma} "
                    f"and a point in row {self._point}"
                )

    def array(self) -> np.ndarray:
        """All rows, :math:`[N, K]` float64; NaN for empty cells.

        Raises:
            InputError: A number that is infinite or over 1e9.
        """
        values = np.array(self._values, dtype=np.float64).reshape(len(self.lines), len(self._names))
        wrong = np.abs(values) > MAX_VALUE
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            raise InputError(
                f"{self._path}: {self._names[column]!r:.60} in row {self.lines[row]} must be from "
                f"-{MAX_VALUE:g} to {MAX_VALUE:g}, got {values[row, column]:g}"
            )
        return values

    def _number(self, cell: str, name: str, line: int) -> float:
        if is_nothing(cell):
            return np.nan
        text = cell
        if self._commas_count and "," in cell:
            self._comma = self._comma or line
            text = cell.replace(",", ".")
        try:
            return float(text)
        except ValueError:
            raise InputError(
                f"{self._path}: {name!r:.60} in row {line} must be a number, got {cell!r:.40}"
            ) from None


# -- inner -----------------------------------------------------------------------------------------


def _without_note(text: str) -> str:
    """The text after a spreadsheet's line that names the separator."""
    note = _NOTE.match(text)
    return text[note.end() - 1 :] if note else text


def _rows(text: str, separator: str, path: Path, kind: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(
        io.StringIO(_without_note(text), newline=""), delimiter=separator, strict=True
    )
    width = 0
    empty: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                # Empty lines are skipped. Rows of empty cells may be frames, unless no row follows.
                if len(cells) > 1 and width:
                    empty.append((reader.line_num, [""] * width))
                continue
            yield from empty
            empty.clear()
            width = width or len(cells)
            if len(cells) > width and not any(cells[width:]):
                del cells[width:]
            if len(cells) != width:
                raise InputError(
                    f"{path} must have {width} values in row {reader.line_num}, got {len(cells)}"
                )
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path} must be {kind}, got invalid CSV: {error}") from None
