"""``gepc-geo report``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.commands.score import score_options
from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import data_options, device_option
from gepc_geo.errors import InputError


@click.command(cls=Computing)
@click.argument("run", type=click.Path(path_type=Path))
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Page to write (.html)."
)
@click.option("--labels", type=click.Path(path_type=Path), help="Folder of frame masks (.npy).")
@click.option(
    "--train",
    type=click.Path(path_type=Path),
    help="Normal poses to show beside what is abnormal (of data with splits, those of split train)."
    "  [default: what the run was trained on, where it still is]",
)
@score_options
@device_option
def report(
    run: Path,
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    out: Path,
    labels: Path | None,
    train: Path | None,
    mode: str | None,
    protocol: str,
    smooth: float,
    people_correction: bool,
    padded: bool | None,
    frames: int | None,
    device: str,
) -> None:
    """Write one HTML file that shows what the detector of RUN finds in DATA, and why.

    It needs no network: timelines, the people of every peak as moving skeletons beside similar normal
    movements, the action words, and, with labels, how good the scores are.

    Example:

        gepc-geo report runs/mine poses/test --labels poses/masks --out report.html
    """
    from gepc_geo.cli.classes import known_classes
    from gepc_geo.cli.reading import read_data
    from gepc_geo.cli.report import training_poses
    from gepc_geo.cli.run import Run, load_run
    from gepc_geo.evaluation.tables import ScoreOptions
    from gepc_geo.report import gather, plotting_script, write_page
    from gepc_geo.utils.files import check_destination

    if out.suffix not in (".html", ".htm"):
        raise InputError(f"{out} has suffix {out.suffix!r}, expected .html")
    if labels is not None and normal is not None:
        raise InputError(
            f"--labels is {labels} (for frames) and --normal {normal} (for whole clips), "
            "expected one of them"
        )
    check_destination(out)
    plotting_script()
    Run.of(run).check()
    tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
    names = known_classes(tracks, normal, data)
    detector = load_run(run, frames, device, tracks)
    training, why = training_poses(Run.of(run), train, skeleton, image_size, detector)
    if why:
        click.echo(f"note: {why}", err=True)
    folder = Run.of(run).folder
    content = gather(
        detector,
        tracks,
        train=training,
        normal=names,
        options=ScoreOptions(mode, protocol, smooth, people_correction, padded),
        about={"run": folder.name or str(folder), "data": data.name or str(data), "train": why},
        quiet=False,
    )
    write_page(content, out)
    size = out.stat().st_size / 1e6
    click.echo(
        f"{len(content['clips'])} clips, {len(content['scenes'])} peaks in {out} ({size:.1f} MB)"
    )
