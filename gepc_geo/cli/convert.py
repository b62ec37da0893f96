"""``gepc-geo convert``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.data import class_names, data_options, read_data
from gepc_geo.files import check_destination


@click.command(short_help="Convert poses to the native format.")
@data_options
@click.option("--labels", type=click.Path(path_type=Path), help="Folder of frame masks (.npy).")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Native pose file (.npz)."
)
def convert(
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    labels: Path | None,
    out: Path,
) -> None:
    """Convert the poses in DATA to the native format; --normal keeps those classes only.

    Example:

        gepc-geo convert poses/test --labels poses/masks --out test.npz
    """
    check_destination(out)
    tracks = read_data(data, format_, skeleton, split, fps, labels)
    names = class_names(normal)
    if names is not None:
        tracks = tracks.select(labels=names)
    tracks.save(out)
    click.echo(f"{tracks!r}")
    click.echo(f"poses: {out}")
