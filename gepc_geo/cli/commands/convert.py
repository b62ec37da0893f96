"""``gepc-geo convert``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from gepc_geo.cli.choices import FORMATS, WRITABLE
from gepc_geo.cli.data import InputPath, data_options
from gepc_geo.errors import InputError

# Suffixes of the formats that are one file.
_SUFFIXES = {"native": ".npz", "pyskl": ".pkl", "csv": ".csv"}


@click.command(epilog=f"Formats to read (--format): {', '.join(FORMATS)}.")
@data_options
@click.option("--labels", type=InputPath(), help="Folder of frame masks (.npy).")
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
    help="File to write (native: .npz, pyskl: .pkl, csv: .csv); for other formats a folder.",
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
    """Convert the poses in DATA to another format; with --normal only clips of those classes.

    For example:

        gepc-geo convert poses/test --labels poses/masks --out test.npz
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.reading import read_data
    from gepc_geo.io import IN_ONE_FILE, file_names, write
    from gepc_geo.utils.files import check_destination

    if to in IN_ONE_FILE:
        if out.suffix.lower() != _SUFFIXES[to]:
            raise InputError(
                f"{out} must have suffix {_SUFFIXES[to]} with --to {to}, got {out.suffix!r}"
            )
        check_destination(out)
    elif out.exists() and not out.is_dir():
        raise InputError(f"{out} must be a folder with --to {to}, got a file")
    tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
    tracks = select_classes(tracks, normal, data)
    written = write(tracks, out, to)
    rates = np.unique(tracks.fps[~np.isnan(tracks.fps)])
    if to == "csv" and len(rates):
        click.echo(
            f"note: csv files have no frame rate: read this one with --fps {rates[0]:g}",
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
