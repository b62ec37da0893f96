"""``gepc-geo experiment``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.choices import DIRECTIONS, METHODS, PACKAGED, SHARES
from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import InputPath, device_option
from gepc_geo.cli.refusal import Group
from gepc_geo.cli.settings import CountOr, ListOf


@click.group(cls=Group)
def experiment() -> None:
    """Run a protocol of the paper; write tables, scores, plots and the configuration.

    The same command resumes after the finished trainings. A command with more methods, seeds or
    splits runs only the missing trainings. The table shows the methods, seeds and splits of the
    command.

    For example:

        gepc-geo experiment coarse --dataset nw_ucla --data nw_ucla --out runs/coarse
    """


def _class_options(directions: str, splits: str) -> Callable[[Callable[..., Any]], Any]:
    """Adds the flags for splits of classes and for the normal side of each split."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorate in (
            click.option(
                "--directions",
                default=directions,
                show_default=True,
                help="few-vs-many: classes of the split are normal; many-vs-few: the others.",
            ),
            click.option(
                "--seed",
                type=click.IntRange(min=0),
                default=0,
                show_default=True,
                help="Seed of random splits and of streams.",
            ),
            click.option(
                "--random",
                "drawn",
                type=click.IntRange(min=0),
                default=0,
                show_default=True,
                help="Number of random splits besides --splits, of 3 to 5 classes each (for data "
                "with fewer than 6 classes: 2 to all but one).",
            ),
            click.option(
                "--splits",
                default=splits,
                show_default=True,
                help="packaged; two: the first two packaged; names of packaged splits; a YAML file "
                f"(lists of classes by name); {', '.join(PACKAGED)}; or none.",
            ),
        ):
            command = decorate(command)
        return command

    return add


def _dataset_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--dataset",
        required=True,
        help="penn_action, nw_ucla, or a file of poses with classes and splits (.npz).",
    )(command)


def _study_options(experiment: str | None = None) -> Callable[[Callable[..., Any]], Any]:
    """Adds the flags for data, training and results; for a named experiment also ``--methods``."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorate in (
            device_option,
            click.option(
                "--jobs",
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                help="Number of processes; they share the cores.",
            ),
            click.option(
                "--set",
                "changes",
                multiple=True,
                metavar="NAME=VALUE",
                help="An option of the detector, as for train; may be repeated.",
            ),
            click.option("--config", type=InputPath(), help="YAML file of options."),
            click.option(
                "--budget",
                type=CountOr("converge"),
                help="Window passes per training, as for train.  [default: the experiment's]",
            ),
            click.option(
                "--seeds",
                metavar="A,B,C",
                help="Seeds of training.  [default: the seed of --config, or 0]",
            ),
            *(() if experiment is None else (_methods_option(experiment),)),
            click.option(
                "--data",
                type=click.Path(path_type=Path),
                help="Folder of the data set.  [default: $GEPC_GEO_DATA/NAME]",
            ),
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                required=True,
                help="Folder of the results.",
            ),
        ):
            command = decorate(command)
        return command

    return add


def _methods_option(experiment: str) -> Callable[[Callable[..., Any]], Any]:
    return click.option(
        "--methods",
        default="default",
        show_default=True,
        help=f"default (unsupervised and quick), all, or some of {', '.join(METHODS[experiment])}.",
    )


@experiment.command(cls=Computing)
@_dataset_option
@_class_options(",".join(DIRECTIONS), "packaged")
@_study_options("coarse")
def coarse(**given: Any) -> None:
    """Whole clips: some classes are normal, all others are abnormal (section 4.2 of the paper).

    For example:

        gepc-geo experiment coarse --dataset penn_action --data penn_action --out runs/coarse
    """
    from gepc_geo.cli.jobs.experiment import run_coarse

    run_coarse(given)


@experiment.command(cls=Computing)
@_study_options("fine")
def fine(**given: Any) -> None:
    """Frames of recordings: ShanghaiTech box tracks, official split (section 4.1).

    For example:

        gepc-geo experiment fine --data shanghaitech_boxes --out runs/fine
    """
    from gepc_geo.cli.jobs.experiment import run_fine

    run_fine(given)


@experiment.command(cls=Computing)
@_class_options(",".join(DIRECTIONS), "packaged")
@_study_options("streams")
def streams(**given: Any) -> None:
    """Frames of streams: clips of Penn Action one after another.

    For example:

        gepc-geo experiment streams --data penn_action --out runs/streams
    """
    from gepc_geo.cli.jobs.experiment import run_streams

    run_streams(given)


@experiment.command(cls=Computing)
@_dataset_option
@_class_options("few-vs-many", "packaged")
@click.option(
    "--shares",
    type=ListOf(int),
    default=",".join(map(str, SHARES)),
    show_default=True,
    help="Percentages of abnormal training clips, rising from 0.",
)
@_study_options("noise")
def noise(**given: Any) -> None:
    """Loss of AUC by abnormal clips among the training clips (figure 5 of the paper).

    For example:

        gepc-geo experiment noise --dataset nw_ucla --data nw_ucla --out runs/noise
    """
    from gepc_geo.cli.jobs.experiment import run_noise

    run_noise(given)


@experiment.command(cls=Computing)
@_dataset_option
@_class_options(",".join(DIRECTIONS), "two")
@_study_options()
def ablation(**given: Any) -> None:
    """The paper's method with one option changed at a time, on two packaged splits.

    For example:

        gepc-geo experiment ablation --dataset nw_ucla --data nw_ucla --out runs/ablation
    """
    from gepc_geo.cli.jobs.experiment import run_ablation

    run_ablation(given)
