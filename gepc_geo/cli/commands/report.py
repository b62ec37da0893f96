"""``gepc-geo report``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.commands.score import score_options
from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import (
    InputPath,
    check_one_kind_of_labels,
    data_options,
    device_option,
    run_argument,
)
from gepc_geo.cli.footage import footage_options
from gepc_geo.errors import InputError


@click.command(cls=Computing)
@run_argument
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Page to write (.html)."
)
@click.option("--labels", type=InputPath(), help="Folder of frame masks (.npy).")
@click.option(
    "--train",
    type=InputPath(),
    help="Normal poses for comparison (of split train, if there is one).  [default: the training "
    "poses, if they still exist]",
)
@footage_options
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
    video: Path | None,
    frames_dir: Path | None,
    blur_faces: bool,
    mode: str | None,
    protocol: str,
    smooth: float,
    people_correction: bool,
    faults: bool,
    padded: bool | None,
    frames: int | None,
    device: str,
) -> None:
    """Write one HTML file that explains the scores of DATA by the detector of RUN.

    The page works offline. It shows timelines, the people at each peak as moving skeletons next to
    similar normal movements, the clusters and, with labels, metrics. Only with --video or
    --frames-dir it has pictures of people.

    For example:

        gepc-geo report runs/mine poses/test --labels poses/masks --out report.html
    """
    from gepc_geo.cli.classes import checked_classes
    from gepc_geo.cli.footage import read_footage, with_rates
    from gepc_geo.cli.jobs.report import training_poses
    from gepc_geo.cli.reading import read_data, warn_of_faults
    from gepc_geo.cli.run import Run, load_run
    from gepc_geo.evaluation.score_options import ScoreOptions
    from gepc_geo.report import gather, plotting_script, write_page
    from gepc_geo.utils.files import check_destination

    if out.suffix not in (".html", ".htm"):
        raise InputError(f"{out} must have suffix .html, got {out.suffix!r}")
    check_one_kind_of_labels(labels, normal)
    check_destination(out)
    plotting_script()
    footage = read_footage(video, frames_dir, blur_faces)
    Run.of(run).check()
    tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
    warn_of_faults(tracks, data)
    tracks = with_rates(tracks, footage)
    names = checked_classes(tracks, normal, data)
    detector = load_run(run, frames, device, tracks)
    training, reason = training_poses(Run.of(run), train, skeleton, image_size, detector)
    if reason:
        click.echo(f"note: {reason}", err=True)
    folder = Run.of(run).folder
    content = gather(
        detector,
        tracks,
        train=training,
        normal=names,
        options=ScoreOptions(mode, protocol, smooth, people_correction, padded, faults),
        about={"run": folder.name or str(folder), "data": data.name or str(data), "train": reason},
        footage=footage,
        blur_faces=blur_faces,
        quiet=False,
    )
    write_page(content, out)
    size = out.stat().st_size / 1e6
    click.echo(
        f"{len(content['clips'])} clips, {len(content['scenes'])} peaks in {out} ({size:.1f} MB)"
    )
    for sentence in content["states"]["help"]:
        click.echo(f"note: {sentence}", err=True)
