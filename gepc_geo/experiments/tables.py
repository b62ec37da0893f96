"""Tables of results: means over splits and seeds, and paired comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gepc_geo.experiments.compare import Comparison, compare
from gepc_geo.experiments.methods import CHAIN, METHODS, OURS, PAPER
from gepc_geo.experiments.results import Result

#: A function from a result to the name of its row or column.
By = Callable[[Result], str]


class Spread(NamedTuple):
    """Mean and standard deviation of values.

    Attributes:
        mean: The mean.
        deviation: The standard deviation; NaN for a single value.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Mean and standard deviation of ``values``."""
        return cls(
            float(np.mean(values)),
            float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
        )

    def __str__(self) -> str:
        if np.isnan(self.deviation):
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ± {self.deviation:.3f}"


@dataclass
class Table:
    """A table of texts.

    Attributes:
        title: Title of the table.
        corner: Heading of the column of row names.
        columns: Headings of the other columns.
        rows: Cells of each row by name of the row.
    """

    title: str
    corner: str
    columns: list[str]
    rows: dict[str, list[str]]

    def lines(self, separator: str = "  ") -> list[str]:
        """Aligned lines of text; the first is the heading.

        Args:
            separator: Text between columns. (default: two spaces)
        """
        head = [self.corner, *self.columns]
        body = [[name, *cells] for name, cells in self.rows.items()]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        return [
            separator.join(
                f"{cell:{'<' if position == 0 else '>'}{width}}"
                for position, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in [head, *body]
        ]

    def markdown(self) -> str:
        """The table in Markdown, with its title."""
        head, *body = (f"| {line} |" for line in self.lines(" | "))
        rule = "|" + "|".join(["---", *("---:" for _ in self.columns)]) + "|"
        return "\n".join([f"## {self.title}", "", head, rule, *body])


def means(results: Sequence[Result], row: By, column: By) -> dict[str, dict[str, Spread]]:
    """Mean and standard deviation over splits and seeds by row and column.

    Args:
        results: The results.
        row: Row of a result.
        column: Column of a result.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for result in results:
        values.setdefault(row(result), {}).setdefault(column(result), []).append(result.value)
    return {
        name: {head: Spread.of(numbers) for head, numbers in cells.items()}
        for name, cells in values.items()
    }


def mean_table(title: str, corner: str, results: Sequence[Result], row: By, column: By) -> Table:
    """:func:`means` as a table."""
    spreads = means(results, row, column)
    heads = list(dict.fromkeys(column(result) for result in results))
    return Table(
        title,
        corner,
        heads,
        {
            name: [str(cells[head]) if head in cells else "-" for head in heads]
            for name, cells in spreads.items()
        },
    )


def comparison(results: Sequence[Result], row: By, ours: str, other: str) -> Comparison:
    """Compares two rows, paired over splits and directions by means over seeds.

    If there is only one split, pairs are over seeds.
    """
    sides = []
    by_seed = len({result.condition.split for result in results}) == 1
    for name in (ours, other):
        values: dict[object, list[float]] = {}
        for result in results:
            if row(result) == name:
                condition, seed = result.condition, result.seed if by_seed else None
                key = (condition.split, condition.direction, result.metric, seed)
                values.setdefault(key, []).append(result.value)
        sides.append(values)
    first, second = sides
    unit = "seed" if by_seed else "split"
    if len({result.condition.direction for result in results}) > 1:
        unit = "pair"
    return compare(
        [float(np.mean(first[key])) for key in first],
        [float(np.mean(second[key])) for key in first],
        unit,
    )


def best_baseline(results: Sequence[Result]) -> str | None:
    """The unsupervised baseline with the highest mean, or ``None``."""
    values: dict[str, list[float]] = {}
    for result in results:
        name = result.row
        if not result.mode and name not in (OURS, CHAIN, PAPER) and not METHODS[name].supervised:
            values.setdefault(name, []).append(result.value)
    return max(values, key=lambda name: float(np.mean(values[name])), default=None)


def comparison_lines(results: Sequence[Result], column: By) -> list[str]:
    """A sentence per column that compares our detector with the best unsupervised baseline."""
    lines = []
    for head in dict.fromkeys(map(column, results)):
        part = [result for result in results if column(result) == head]
        baseline = best_baseline(part)
        if baseline is not None and any(result.row == OURS for result in part):
            difference = comparison(part, lambda result: result.row, OURS, baseline)
            lines.append(
                f"{head}: {OURS} minus {baseline}, the best unsupervised baseline: {difference}"
            )
    return lines
