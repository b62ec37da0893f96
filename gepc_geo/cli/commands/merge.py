"""``gepc-geo merge``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.data import InputPath
from gepc_geo.errors import InputError


@click.command()
@click.argument("parts", metavar="PART...", type=InputPath(), nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Table to write (.csv or .npz)."
)
def merge(parts: tuple[Path, ...], out: Path) -> None:
    """Join all PARTs of a table, in any order, to the table that score writes without --shard.

    All parts must have the same run, data and options, and each shard must be given once.

    For example:

        gepc-geo merge part_1.npz part_2.npz --out scores.csv
    """
    from gepc_geo.evaluation.sharded import join_parts
    from gepc_geo.evaluation.tables import write_table
    from gepc_geo.utils.files import check_destination

    if out.suffix not in (".csv", ".npz"):
        raise InputError(f"{out} must have suffix .csv or .npz, got {out.suffix!r}")
    check_destination(out)
    columns = join_parts(parts)
    write_table(columns, out)
    click.echo(f"{len(columns['clip']):,} rows of {len(parts)} parts in {out}")
