"""``gepc-geo convert``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from gepc_geo.cli.choices import FORMATS, WRITABLE
from gepc_geo.cli.data import InputPath, data_options
from gepc_geo.errors import InputError

# Lines of frames for gepc-geo watch.
_STREAM = "jsonl"
# Suffixes of the formats that are one file.
_SUFFIXES = {"native": ".npz", "pyskl": ".pkl", "csv": ".csv", _STREAM: ".jsonl"}


@click.command(epilog=f"Formats to read (--format): {', '.join(FORMATS)}.")
@data_options
@click.option("--labels", type=InputPath(), help="Folder of frame masks (.npy).")
@click.option(
    "--to",
    type=click.Choice((*WRITABLE, _STREAM)),
    default="native",
    show_default=True,
    help="Format to write; jsonl: lines of frames for gepc-geo watch.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write (native: .npz, pyskl: .pkl, csv: .csv, jsonl: .jsonl, or - for standard "
    "output); for other formats a folder.",
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

    The alerts of a file:

        gepc-geo convert poses/test --to jsonl --out - | gepc-geo watch runs/mine
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.reading import read_data
    from gepc_geo.io import IN_ONE_FILE, file_names, write
    from gepc_geo.io.stream import frame_lines, write_lines
    from gepc_geo.utils.files import check_destination

    printed, in_one_file = to == _STREAM and str(out) == "-", to in (*IN_ONE_FILE, _STREAM)
    if in_one_file and not printed:
        if out.suffix.lower() != _SUFFIXES[to]:
            raise InputError(
                f"{out} must have suffix {_SUFFIXES[to]} with --to {to}, got {out.suffix!r}"
            )
        check_destination(out)
    elif not in_one_file and out.exists() and not out.is_dir():
        raise InputError(f"{out} must be a folder with --to {to}, got a file")
    tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
    tracks = select_classes(tracks, normal, data)
    if printed:
        for line in frame_lines(tracks):
            click.echo(line)
    elif to == _STREAM:
        written = write_lines(tracks, out)
    else:
        written = write(tracks, out, to)
    rates = np.unique(tracks.fps[~np.isnan(tracks.fps)])
    needed = {"csv": "read this one with", _STREAM: "give gepc-geo watch"}
    if to in needed and len(rates):
        click.echo(
            f"note: {to} files have no frame rate: {needed[to]} --fps {rates[0]:g}", err=True
        )
    if to != "native" and tracks.frame_labels is not None:
        click.echo(f"note: {to} files have no frame labels, which are lost", err=True)
    if not in_one_file:
        for clip, name in zip(tracks.clip_names, file_names(tracks.clip_names), strict=True):
            if name != clip:
                click.echo(f"note: clip {clip!r} is called {name!r} in the files", err=True)
    if not printed:
        click.echo(f"{tracks!r}")
        click.echo(f"poses: {out}" + ("" if in_one_file else f" ({len(written)} {to} files)"))
