"""``gepc-geo bench``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.choices import SUITES
from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import device_option
from gepc_geo.errors import InputError


@click.command(cls=Computing)
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
    """Measure the speed of each part and of its alternatives: medians after a warm-up.

    For example:

        gepc-geo bench --suite mixture --quick
    """
    from gepc_geo.bench import suites
    from gepc_geo.utils.device import pick_device
    from gepc_geo.utils.files import check_destination
    from gepc_geo.utils.machine import machine

    if out is not None:
        if out.suffix != ".json":
            raise InputError(f"{out} must have suffix .json, got {out.suffix!r}")
        check_destination(out)
    target = pick_device(device)
    for name, value in machine(target).items():
        click.echo(f"{name:16s}{value}")
    rows = []
    for name in SUITES if suite == "all" else (suite,):
        part = suites.SUITES[name](target, quick)
        for line in suites.lines(part):
            click.echo(line)
        rows += part
    if out is not None:
        command = f"gepc-geo bench --suite {suite} --device {device}" + " --quick" * quick
        suites.write(rows, target, command, out)
        click.echo(f"\nresults: {out}")
