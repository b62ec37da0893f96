"""``gepc-geo render``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.data import data_options


@click.command()
@data_options
@click.option(
    "--scores",
    type=click.Path(path_type=Path),
    required=True,
    help="Table of gepc-geo score, of level window, person, frame or clip (.csv or .npz).",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Film to write (.mp4 or .gif)."
)
@click.option("--clip", help="Which clip.  [default: the one with the highest score]")
@click.option(
    "--frames-dir",
    type=click.Path(path_type=Path),
    help="Pictures to draw over, one a frame in the order of their names.  [default: blank]",
)
def render(
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    scores: Path,
    out: Path,
    clip: str | None,
    frames_dir: Path | None,
) -> None:
    """Film one clip of DATA: skeletons over blank or given frames, the redder the higher the score.

    With scores of windows everybody has a colour of their own; with those of frames the person who
    decided each.

    Example:

        gepc-geo render poses/test --scores scores.csv --out clip.mp4
    """
    from gepc_geo.cli.classes import of_classes
    from gepc_geo.cli.reading import read_data
    from gepc_geo.report import video

    tracks = read_data(data, format_, skeleton, split, fps, image_size=image_size)
    tracks = of_classes(tracks, normal, data)
    shown = video.render(
        tracks, video.read_scores(scores), out, clip=clip, frames_dir=frames_dir, quiet=False
    )
    click.echo(f"clip {shown!r} in {out}")
