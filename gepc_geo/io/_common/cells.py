"""Tables as text: cells between commas, semicolons or tabs; numbers with decimal points or commas."""

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

#: More are no table of poses.
MAX_COLUMNS = 10_000
_SEPARATORS = (",", ";", "\t")
# A spreadsheet's note of the separator, as the first line.
_NOTE = re.compile(r"\s*sep=(.)[ \t]*\n")
# What tools write where there is no value.
_NOTHING = frozenset(("", "nan", "na", "n/a", "#n/a", "null", "none", "-"))


def first_cells(text: str) -> tuple[str, list[str]]:
    """The separator of a table, and the cells of its first line; one cell where there is no separator.

    The separator is the one with which the first two lines have as many cells, and most of them.
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

    All rows have as many cells as the first.

    Raises:
        InputError: No table, too many columns, rows of another number of cells (while they are read);
            ``kind`` says what was expected.
    """
    separator, cells = first_cells(text)
    if len(cells) > MAX_COLUMNS:
        raise InputError(f"{path} has {len(cells)} columns, expected at most {MAX_COLUMNS}")
    return separator, _rows(text, separator, path, kind)


def is_nothing(cell: str) -> bool:
    """Whether a cell has no value: it is empty, ``NaN``, ``null`` or the like."""
    return cell.lower() in _NOTHING


class Numbers:
    """Numbers of a table, row by row.

    Args:
        names: The columns' names, for errors.
        separator: What separates cells: behind a comma, commas are no decimal signs.
        path: The file, for errors.

    Attributes:
        lines: The line of each row.
    """

    def __init__(self, names: Sequence[str], separator: str, path: Path) -> None:
        self._names, self._path = names, path
        self._commas_count = separator != ","
        self._values = array("d")
        self.lines = array("q")
        # The first row with a decimal comma, and with a decimal point.
        self._comma = self._point = 0

    def add(self, line: int, cells: Sequence[str]) -> None:
        """Takes the cells of one row.

        Raises:
            InputError: A cell that is neither a number nor empty; decimal commas beside decimal points.
        """
        try:
            self._values.extend(map(float, cells))
        except ValueError:
            # Some of the row's numbers may have been taken already.
            del self._values[len(self.lines) * len(self._names) :]
            for name, cell in zip(self._names, cells, strict=True):
                self._values.append(self._number(cell, name, line))
        self.lines.append(line)
        if self._commas_count:
            if not self._point and any("." in cell for cell in cells):
                self._point = line
            if self._comma and self._point:
                raise InputError(
                    f"{self._path} has numbers with a decimal comma in row {self._comma} and with a "
                    f"decimal point in row {self._point}, expected one sign for all"
                )

    def array(self) -> np.ndarray:
        """All rows, :math:`[N, K]` float64; NaN where cells are empty.

        Raises:
            InputError: An infinite number or one over 1e9.
        """
        values = np.array(self._values, dtype=np.float64).reshape(len(self.lines), len(self._names))
        wrong = np.abs(values) > MAX_VALUE
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            raise InputError(
                f"{self._path} has {values[row, column]:g} as {self._names[column]!r:.60} in row "
                f"{self.lines[row]}, expected -{MAX_VALUE:g} to {MAX_VALUE:g}"
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
                f"{self._path} has {cell!r:.40} as {name!r:.60} in row {line}, expected a number"
            ) from None


# -- inner -----------------------------------------------------------------------------------------


def _without_note(text: str) -> str:
    """The text behind a spreadsheet's note of the separator."""
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
                # Empty lines are nothing; rows of empty cells may be frames, but not behind the last one.
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
                    f"{path} has {len(cells)} values in row {reader.line_num}, expected {width}"
                )
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path} is not valid CSV, expected {kind}: {error}") from None
