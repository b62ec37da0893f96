"""Draws the model suite: throughput against batch size, and what the machine's roofline allows.

gepc-geo bench --suite model --out results.json
python benchmarks/plot.py results.json model.png
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.refusal import Command
from gepc_geo.errors import InputError
from gepc_geo.report import plot_throughput
from gepc_geo.utils.files import check_destination


def model_rows(path: Path) -> list[dict[str, Any]]:
    """The model suite's rows of a results file."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        found = [row for row in rows if row["suite"] == "model" and "rate" in row]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read, expected results of gepc-geo bench: {error}"
        ) from None
    if not found:
        raise InputError(f"{path} has no rows of the model suite, expected gepc-geo bench's")
    return found


@click.command(cls=Command)
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(results: Path, out: Path) -> None:
    """Draw the model suite of RESULTS (.json) to OUT (.png)."""
    check_destination(out)
    plot_throughput(model_rows(results), out)
    click.echo(f"plot: {out}")


if __name__ == "__main__":
    main()
