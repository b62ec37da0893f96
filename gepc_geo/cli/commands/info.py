"""``gepc-geo info``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.data import data_options
from gepc_geo.errors import InputError


@click.command()
@data_options
@click.option(
    "--picture", type=click.Path(path_type=Path), help="PNG file for a picture of one pose of DATA."
)
def info(
    data: Path, format_: str, normal: str | None, picture: Path | None, **reading: Any
) -> None:
    """Describe DATA: poses, or a run (its folder or model.pt).

    --normal selects poses of those classes. For poses, likely faults are listed, too. For a run,
    the thresholds have the interval in which they are known.

    For example:

        gepc-geo info poses/train
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.jobs.info import show_files, show_model, show_poses
    from gepc_geo.cli.reading import read_whole
    from gepc_geo.cli.run import Run
    from gepc_geo.detector.gepc import GEPC
    from gepc_geo.report.picture import draw_pose
    from gepc_geo.utils.files import check_destination

    is_run = Run(data).config.exists() or Run(data).model.exists()
    if picture is not None:
        if data.suffix == ".pt" or is_run:
            raise InputError(
                f"--picture must be given with poses only, got {picture} with run {data}"
            )
        if picture.suffix.lower() != ".png":
            raise InputError(f"{picture} must have suffix .png, got {picture.suffix!r}")
        check_destination(picture)
    if data.suffix == ".pt":
        show_model(GEPC.load(data, device="cpu"))
    elif is_run:
        show_model(Run(data).load(device="cpu"))
        if (trained := Run(data).trained()).folder != data:
            click.echo(f"trained in      {trained.folder}")
    else:
        files = read_whole(data, format_, **reading)
        tracks = select_classes(files.tracks, normal, data)
        show_files(files)
        show_poses(tracks)
        if picture is not None:
            draw_pose(tracks, picture)
            click.echo(f"picture         {picture}")
