"""``gepc-geo bench``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.bench.suites import SUITES, lines, write
from gepc_geo.cli.data import device_option
from gepc_geo.errors import InputError
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.files import check_destination
from gepc_geo.utils.machine import machine


@click.command(short_help="Measure speed beside what each part replaces.")
@click.option(
    "--suite",
    type=click.Choice([*SUITES, "all"]),
    default="all",
    show_default=True,
    help="What to measure.",
)
@device_option
@click.option("--quick", is_flag=True, help="Smaller sizes: minutes on two CPU cores.")
@click.option("--out", type=click.Path(path_type=Path), help="Results to write (.json).")
def bench(suite: str, device: str, quick: bool, out: Path | None) -> None:
    """Measure speed side by side with what each part replaces; numbers are medians after a warm-up.

    Example:

        gepc-geo bench --suite mixture --quick
    """
    if out is not None:
        if out.suffix != ".json":
            raise InputError(f"{out} has suffix {out.suffix!r}, expected .json")
        check_destination(out)
    target = pick_device(device)
    for name, value in machine(target).items():
        click.echo(f"{name:16s}{value}")
    rows = []
    for name in SUITES if suite == "all" else (suite,):
        part = SUITES[name](target, quick)
        for line in lines(part):
            click.echo(line)
        rows += part
    if out is not None:
        command = f"gepc-geo bench --suite {suite} --device {device}" + " --quick" * quick
        write(rows, target, command, out)
        click.echo(f"\nresults: {out}")
