"""Draws rows of the suite model: throughput over batch size, and the roofline of the machine.

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
    """Rows of the suite model in a results file."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        model = [row for row in rows if row["suite"] == "model" and "rate" in row]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"could not read results of gepc-geo bench from {path}: {error}") from None
    if not model:
        raise InputError(f"{path} must have rows of the suite model of gepc-geo bench, got none")
    return model


@click.command(cls=Command)
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(results: Path, out: Path) -> None:
    """Draw the suite model of RESULTS (.json) to OUT (.png)."""
    check_destination(out)
    plot_throughput(model_rows(results), out)
    click.echo(f"plot: {out}")


if __name__ == "__main__":
    main()
