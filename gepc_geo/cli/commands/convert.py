"""``gepc-geo convert``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from gepc_geo.cli.choices import WRITABLE
from gepc_geo.cli.data import data_options
from gepc_geo.errors import InputError

# Of the formats that are one file.
_ENDINGS = {"native": ".npz", "pyskl": ".pkl", "csv": ".csv"}


@click.command()
@data_options
@click.option("--labels", type=click.Path(path_type=Path), help="Folder of frame masks (.npy).")
@click.option(
    "--to",
    type=click.Choice(WRITABLE),
    default="native",
    show_default=True,
    help="Format to write.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write (native: .npz, pyskl: .pkl); of other formats the folder of the files.",
)
def convert(
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    labels: Path | None,
    to: str,
    out: Path,
) -> None:
    """Convert the poses in DATA to the native format, or to another; --normal keeps those classes only.

    Example:

        gepc-geo convert poses/test --labels poses/masks --out test.npz
    """
    from gepc_geo.cli.classes import of_classes
    from gepc_geo.cli.reading import read_data
    from gepc_geo.io import IN_ONE_FILE, write
    from gepc_geo.io._common.file_names import file_names
    from gepc_geo.utils.files import check_destination

    if to in IN_ONE_FILE:
        if out.suffix.lower() != _ENDINGS[to]:
            raise InputError(
                f"{out} has suffix {out.suffix!r}, expected {_ENDINGS[to]} with --to {to}"
            )
        check_destination(out)
    elif out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, expected the folder to write {to} files into")
    tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
    tracks = of_classes(tracks, normal, data)
    written = write(tracks, out, to)
    rates = np.unique(tracks.fps[~np.isnan(tracks.fps)])
    if to == "csv" and len(rates):
        click.echo(
            f"note: tables have no frame rate: give --fps {rates[0]:g} when this one is read",
            err=True,
        )
    if to != "native" and tracks.frame_labels is not None:
        click.echo(f"note: {to} files have no frame labels, which are lost", err=True)
    if to not in IN_ONE_FILE:
        for clip, name in zip(tracks.clip_names, file_names(tracks.clip_names), strict=True):
            if name != clip:
                click.echo(f"note: clip {clip!r} is called {name!r} in the files", err=True)
    click.echo(f"{tracks!r}")
    click.echo(f"poses: {out}" + ("" if to in IN_ONE_FILE else f" ({len(written)} {to} files)"))
