"""Results as tables: means over splits and seeds, every split, paired comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gepc_geo.experiments.compare import Comparison, compare
from gepc_geo.experiments.methods import CHAIN, METHODS, OURS, PAPER
from gepc_geo.experiments.results import Result

#: What a table is grouped by.
By = Callable[[Result], str]


class Spread(NamedTuple):
    """Mean and standard deviation of some values; of a single one the deviation is NaN."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Those of ``values``."""
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
    """Cells by row and column.

    Attributes:
        title: What the cells are.
        corner: What the rows are.
        columns: Names of the columns.
        rows: The cells of each row by its name.
    """

    title: str
    corner: str
    columns: list[str]
    rows: dict[str, list[str]]

    def lines(self, separator: str = "  ") -> list[str]:
        """Aligned lines of text, the head first."""
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
        """The table in Markdown, under its title."""
        head, *body = (f"| {line} |" for line in self.lines(" | "))
        rule = "|" + "|".join(["---", *("---:" for _ in self.columns)]) + "|"
        return "\n".join([f"## {self.title}", "", head, rule, *body])


def means(results: Sequence[Result], row: By, column: By) -> dict[str, dict[str, Spread]]:
    """Mean and deviation over splits and seeds by row and column, in their first order."""
    values: dict[str, dict[str, list[float]]] = {}
    for result in results:
        values.setdefault(row(result), {}).setdefault(column(result), []).append(result.value)
    return {
        name: {head: Spread.of(some) for head, some in cells.items()}
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
    """Two rows compared over the splits (and directions), means over the seeds; over the seeds where
    there is but one split."""
    sides = []
    by_seed = len({result.condition.split for result in results}) == 1
    for name in (ours, other):
        values: dict[object, list[float]] = {}
        for result in results:
            if row(result) == name:
                one = result.condition
                key = (one.split, one.direction, result.metric, result.seed if by_seed else None)
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


def best_competitor(results: Sequence[Result]) -> str | None:
    """The unsupervised competitor with the highest mean; ``None`` where there is none."""
    values: dict[str, list[float]] = {}
    for result in results:
        name = result.row
        if not result.mode and name not in (OURS, CHAIN, PAPER) and not METHODS[name].supervised:
            values.setdefault(name, []).append(result.value)
    return max(values, key=lambda name: float(np.mean(values[name])), default=None)


def comparison_lines(results: Sequence[Result], column: By) -> list[str]:
    """For each column a sentence on our detector and the best unsupervised competitor."""
    lines = []
    for head in dict.fromkeys(map(column, results)):
        part = [result for result in results if column(result) == head]
        rival = best_competitor(part)
        if rival is not None and any(result.row == OURS for result in part):
            found = comparison(part, lambda one: one.row, OURS, rival)
            lines.append(f"{head}: {OURS} minus {rival}, the best unsupervised competitor: {found}")
    return lines
