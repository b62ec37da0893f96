"""``gepc-geo render``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.data import InputPath, data_options


@click.command()
@data_options
@click.option(
    "--scores",
    type=InputPath(),
    required=True,
    help="Table of gepc-geo score of level window, person, frame or clip (.csv or .npz).",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Video to write (.mp4 or .gif)."
)
@click.option("--clip", help="Clip to draw.  [default: the clip with the highest score]")
@click.option(
    "--frames-dir",
    type=InputPath(),
    help="Folder of background images, one per frame, sorted by name.  [default: blank]",
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
    """Draw a video of one clip of DATA: skeletons, redder for higher scores.

    With scores of windows, each person is coloured by their own scores. With scores of frames, only
    the most abnormal person of each frame is coloured.

    For example:

        gepc-geo render poses/test --scores scores.csv --out clip.mp4
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.reading import read_data
    from gepc_geo.report import video

    tracks = read_data(data, format_, skeleton, split, fps, image_size=image_size)
    tracks = select_classes(tracks, normal, data)
    shown = video.render(
        tracks, video.read_scores(scores), out, clip=clip, frames_dir=frames_dir, quiet=False
    )
    click.echo(f"clip {shown!r} in {out}")
