"""``gepc-geo render``."""

from __future__ import annotations

from pathlib import Path

import click

from gepc_geo.cli.data import InputPath, data_options
from gepc_geo.cli.footage import footage_options
from gepc_geo.errors import InputError


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
    "--from",
    "start",
    metavar="MOMENT",
    help="First moment: seconds (12.5), minutes and seconds (1:16.9) or a frame (300f).  "
    "[default: the start of the clip]",
)
@click.option(
    "--to",
    "end",
    metavar="MOMENT",
    help="Moment to stop before, as in --from.  [default: the end of the clip]",
)
@click.option(
    "--run",
    type=InputPath(),
    help="Run whose alarm threshold is drawn; without a chosen one, its person-frame threshold.",
)
@click.option(
    "--only-alarms",
    is_flag=True,
    help="Show only the alarms, with two seconds before and after each (needs --run).",
)
@footage_options
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
    start: str | None,
    end: str | None,
    run: Path | None,
    only_alarms: bool,
    video: Path | None,
    frames_dir: Path | None,
    blur_faces: bool,
) -> None:
    """Draw a video of one clip of DATA: people with their scores, redder for higher ones.

    With scores of windows, each person is coloured by their own scores. With scores of frames, only
    the most abnormal person of each frame is coloured.

    For example:

        gepc-geo render poses/test --scores windows.csv --video test.mp4 --out clip.mp4
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.footage import read_footage
    from gepc_geo.cli.reading import read_data
    from gepc_geo.report.table import read_scores
    from gepc_geo.report.times import check_moment
    from gepc_geo.report.video import render as write_film

    for text, name in ((start, "--from"), (end, "--to")):
        if text is not None:
            check_moment(text, name)
    if only_alarms and run is None:
        raise InputError("--run must be given for --only-alarms, got none")
    footage = read_footage(video, frames_dir, blur_faces)
    table = read_scores(scores)
    tracks = read_data(data, format_, skeleton, split, fps, image_size=image_size)
    tracks = select_classes(tracks, normal, data)
    shown = write_film(
        tracks,
        table,
        out,
        clip=clip,
        footage=footage,
        start=start,
        end=end,
        threshold=None if run is None else _threshold(run),
        only_alarms=only_alarms,
        blur_faces=blur_faces,
        quiet=False,
    )
    click.echo(f"clip {shown!r} in {out}")


def _threshold(run: Path) -> float:
    """The alarm threshold of a run."""
    from gepc_geo.cli.run import load_run
    from gepc_geo.evaluation.alarms import alarm_threshold

    detector = load_run(run, None, "cpu")
    if detector.frames is not None:
        raise InputError(
            f"{run} must be a run that scores frames, which have an alarm threshold, got one that "
            "scores whole clips"
        )
    return alarm_threshold(detector)[1]
