"""``gepc-geo score``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.choices import LEVELS, PROTOCOLS
from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import InputPath, data_options, device_option, run_argument
from gepc_geo.errors import InputError
from gepc_geo.options import MODES


def score_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the flags for scores of frames and clips."""
    for decorate in (
        click.option("--frames", type=int, help="Frames of a clip-level run, as in training."),
        click.option(
            "--padded/--no-padded",
            default=None,
            help="Score tracks shorter than any window.  [default: for frames no, else yes]",
        ),
        click.option(
            "--judge-faults",
            "faults",
            is_flag=True,
            help="Judge windows with tracking faults like all others.",
        ),
        click.option(
            "--people-correction", is_flag=True, help="Account for the number of people in a frame."
        ),
        click.option(
            "--smooth",
            type=float,
            default=0.0,
            show_default=True,
            metavar="SIGMA",
            help="Smooth each clip's frame scores by a Gaussian of SIGMA frames.",
        ),
        click.option(
            "--protocol",
            type=click.Choice(PROTOCOLS),
            default="corrected",
            show_default=True,
            help="Frame aggregation; reference: the public implementation's (most normal person).",
        ),
        click.option(
            "--mode", type=click.Choice(MODES), help="Scoring mode.  [default: the run's]"
        ),
    ):
        command = decorate(command)
    return command


@click.command(cls=Computing)
@run_argument
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Table to write (.csv or .npz)."
)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default=None,
    help="Kind of rows.  [default: frame; for clip-level runs clip]",
)
@click.option("--labels", type=InputPath(), help="Folder of frame masks (.npy).")
@click.option(
    "--shard",
    metavar="I/N",
    help="Score only shard I of N: whole clips, about as many person-frames in each shard. --out "
    "is an .npz file for gepc-geo merge, which smooths.",
)
@score_options
@device_option
def score(
    run: Path,
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    out: Path,
    level: str | None,
    labels: Path | None,
    shard: str | None,
    mode: str | None,
    protocol: str,
    smooth: float,
    people_correction: bool,
    faults: bool,
    padded: bool | None,
    frames: int | None,
    device: str,
) -> None:
    """Score the poses in DATA with the detector of RUN; higher is more abnormal.

    RUN is the folder of a run, or the model.pt in it.

    Known labels (frame masks, or --normal for clips) become a column.

    For example:

        gepc-geo score runs/mine poses/test --out scores.csv

    Several processes share the clips:

        torchrun --nproc-per-node 4 -m gepc_geo score runs/mine poses/test --out scores.csv
    """
    from gepc_geo.cli.classes import checked_classes
    from gepc_geo.cli.jobs.thresholds import describe_above
    from gepc_geo.cli.ranks import ranks
    from gepc_geo.cli.reading import read_data, warn_of_faults
    from gepc_geo.cli.run import Run, load_run
    from gepc_geo.evaluation.evaluator import clip_labels
    from gepc_geo.evaluation.score_options import ScoreOptions
    from gepc_geo.evaluation.sharded import origin, score_all, score_shard, write_part
    from gepc_geo.evaluation.states import count_states, describe_states
    from gepc_geo.evaluation.tables import write_table
    from gepc_geo.poses.sharding import Shard
    from gepc_geo.utils import distributed
    from gepc_geo.utils.files import check_destination

    with ranks():
        with distributed.raise_on_all_ranks():
            part = None if shard is None else Shard.parse(shard)
            if part is not None and out.suffix != ".npz":
                raise InputError(
                    f"{out} must have suffix .npz with --shard {part}, got {out.suffix!r}"
                )
            if out.suffix not in (".csv", ".npz"):
                raise InputError(f"{out} must have suffix .csv or .npz, got {out.suffix!r}")
            if distributed.is_first():
                check_destination(out)
            Run.of(run).check()
            tracks = read_data(data, format_, skeleton, split, fps, labels, image_size)
            warn_of_faults(tracks, data)
        target = distributed.own_device(device)
        with distributed.raise_on_all_ranks():
            detector = load_run(run, frames, target, tracks)
            level = level or ("frame" if detector.frames is None else "clip")
            for flag, value, own in (("--labels", labels, "frame"), ("--normal", normal, "clip")):
                if value is not None and level != own:
                    raise InputError(
                        f"{flag} must be given with --level {own} only, got {value} with "
                        f"--level {level}"
                    )
            label_column = None
            names = checked_classes(tracks, normal, data)
            if names is not None:
                label_column = clip_labels(tracks, names)
            elif level == "frame":
                label_column = tracks.frame_labels
            options = ScoreOptions(
                mode or detector.mode, protocol, smooth, people_correction, padded, faults
            )
        common = partial(origin, Run.of(run).model, tracks, level, options, label_column)
        distributed.check_same(common, "run, poses or options")
        if part is None:
            columns = score_all(detector, tracks, level, options, label_column, quiet=False)
            distributed.from_first(lambda: write_table(columns, out))
        else:
            columns = score_shard(detector, tracks, level, options, label_column, part, quiet=False)
            distributed.from_first(lambda: write_part(columns, out, part, common()))
        click.echo(f"{len(columns['clip']):,} rows ({level} level) in {out}")
        if level == "event" and (marked := int((columns["fault"] != "").sum())):
            click.echo(f"note: {marked:,} events are tracking faults, which come last", err=True)
        if part is None and level == "frame" and distributed.is_first():
            note = describe_above(detector, tracks, columns, options)
            if note:
                click.echo(f"note: {note}", err=True)
        if "state" in columns:
            for sentence in describe_states(count_states(columns["state"]), f"{level}s"):
                click.echo(f"note: {sentence}", err=True)
