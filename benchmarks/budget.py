"""Validation AUC over the training budget.

The data are validation halves (benchmarks/validation_halves.py); test halves are not used. Each
budget is a study, the same as `gepc-geo experiment coarse --budget N`, and can be resumed.

    python benchmarks/budget.py --data runs/validation/penn_action.npz --splits swings,gym \
        --out runs/budget
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from gepc_geo.cli.refusal import Command
from gepc_geo.cli.settings import resolve
from gepc_geo.errors import InputError
from gepc_geo.experiments import (
    DIRECTIONS,
    Coarse,
    Study,
    choose_methods,
    choose_splits,
    write_summary,
)
from gepc_geo.experiments.methods import CHAIN, PAPER
from gepc_geo.experiments.protocol import CLIPS
from gepc_geo.experiments.results import Result
from gepc_geo.experiments.tables import means
from gepc_geo.io import read
from gepc_geo.report import plot_lines


def _budgets(text: str) -> list[int]:
    try:
        budgets = sorted({int(part) for part in text.split(",")})
    except ValueError:
        budgets = []
    if not budgets or budgets[0] < 1:
        raise InputError(
            f"--budgets must be whole numbers from 1, separated by commas, got {text!r}"
        )
    return budgets


def _line(result: Result) -> str:
    """Name of a line, without the name of the detector."""
    return result.row.removeprefix(f"{CHAIN}:")


@click.command(cls=Command)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Clips (.npz).")
@click.option("--splits", default="packaged", show_default=True, help="As in experiment coarse.")
@click.option(
    "--budgets",
    default="1500,3000,6000,12000,24000",
    show_default=True,
    help="Window passes of each training.",
)
@click.option(
    "--methods",
    default="gepc",
    show_default=True,
    help="As in experiment coarse; methods with training.",
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML file of options.")
@click.option("--device", default="auto", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of results.")
def main(
    data: Path,
    splits: str,
    budgets: str,
    methods: str,
    config: Path | None,
    device: str,
    out: Path,
) -> None:
    """Train with each budget, print and draw the mean AUC of each scoring mode or method."""
    passes, tracks = _budgets(budgets), read(data)
    lines: dict[str, list[float]] = {}
    for budget in passes:
        options = resolve({"budget": budget}, config, "default", base=CLIPS)
        protocol = Coarse(tracks, choose_splits(splits, data.stem), list(DIRECTIONS), options)
        names = choose_methods(methods, protocol.level, protocol.dims)
        study = Study(out / f"budget_{budget}", protocol, {"path": str(data)}, names, [0])
        study.start(shlex.join(["python", *sys.argv]), device)
        study.run(device)
        write_summary(study)
        # The score of a detector is that of one of its modes and would be drawn twice.
        results = [
            result for result in study.results() if result.mode or result.row not in (CHAIN, PAPER)
        ]
        for name, columns in means(results, _line, lambda result: result.metric).items():
            lines.setdefault(name, []).append(columns["AUC"].mean)
        text = "  ".join(f"{name} {aucs[-1]:.3f}" for name, aucs in lines.items())
        click.echo(f"{budget:7d} passes  {text}")
    plot_lines(passes, lines, out / "budget.png", xlabel="window passes", ylabel="validation AUC")
    click.echo(f"plot: {out / 'budget.png'}")


if __name__ == "__main__":
    main()
