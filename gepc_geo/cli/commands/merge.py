"""``gepc-geo merge``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.errors import InputError


@click.command()
@click.argument(
    "parts", metavar="PART...", type=click.Path(path_type=Path), nargs=-1, required=True
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Table to write (.csv or .npz)."
)
def merge(parts: tuple[Path, ...], out: Path) -> None:
    """Join all PARTs of a table, in any order, to the file that score without --shard writes.

    Parts must be of one run, the same data and the same options, each shard once.

    Example:

        gepc-geo merge part_1.npz part_2.npz --out scores.csv
    """
    from gepc_geo.evaluation.sharded import join_parts
    from gepc_geo.evaluation.tables import write_table
    from gepc_geo.utils.files import check_destination

    if out.suffix not in (".csv", ".npz"):
        raise InputError(f"{out} has suffix {out.suffix!r}, expected .csv or .npz")
    check_destination(out)
    columns = join_parts(parts)
    write_table(columns, out)
    click.echo(f"{len(columns['clip']):,} rows of {len(parts)} parts in {out}")
