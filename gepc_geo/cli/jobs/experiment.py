"""``gepc-geo experiment`` from its flags to tables and plots."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.settings import assignments, resolve
from gepc_geo.datasets import NWUCLA, PennAction, ShanghaiTech
from gepc_geo.errors import InputError, naming
from gepc_geo.experiments import (
    DIRECTIONS,
    PACKAGED,
    Ablation,
    Coarse,
    Fine,
    Noise,
    Split,
    Streams,
    Study,
    choose_methods,
    choose_splits,
    random_splits,
    write_summary,
)
from gepc_geo.experiments.protocol import ClassProtocol, Protocol
from gepc_geo.io import read
from gepc_geo.options import MAX_SEED, Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report import can_plot, plot_bars, plot_lines

#: Data sets of labelled clips by name.
CLIP_SETS: dict[str, Callable[[Path], PennAction | NWUCLA]] = {
    "penn_action": PennAction,
    "nw_ucla": NWUCLA,
}


def run_coarse(given: dict[str, Any]) -> None:
    """``gepc-geo experiment coarse`` with the values of its flags."""
    _run(_class_protocol(Coarse, given), given)


def run_fine(given: dict[str, Any]) -> None:
    """``gepc-geo experiment fine`` with the values of its flags."""
    given["dataset"] = "shanghaitech_boxes"
    source = ShanghaiTech(_folder(given))
    _run(Fine(source.tracks("train"), source.tracks("test"), _options(Fine, given)), given)


def run_streams(given: dict[str, Any]) -> None:
    """``gepc-geo experiment streams`` with the values of its flags."""
    given["dataset"] = "penn_action"
    protocol = _class_protocol(Streams, given, random_state=given["seed"])
    _run(protocol, given)


def run_noise(given: dict[str, Any]) -> None:
    """``gepc-geo experiment noise`` with the values of its flags."""
    _run(_class_protocol(Noise, given, shares=tuple(given["shares"])), given)


def run_ablation(given: dict[str, Any]) -> None:
    """``gepc-geo experiment ablation`` with the values of its flags."""
    _run(_class_protocol(Ablation, given), given | {"methods": "gepc"})


def _class_protocol(kind: type[ClassProtocol], given: dict[str, Any], **more: Any) -> ClassProtocol:
    """A protocol over the splits of the command line."""
    options = _options(kind, given)
    name = given["dataset"]
    if name not in CLIP_SETS and not Path(name).exists():
        raise InputError(
            f"--dataset must be {', '.join(CLIP_SETS)} or an existing file of poses, got {name!r}"
        )
    chosen = choose_splits(given["splits"], name)
    directions = [text.strip() for text in given["directions"].split(",")]
    for direction in directions:
        if direction not in DIRECTIONS:
            raise InputError(f"--directions must be {' or '.join(DIRECTIONS)}, got {direction!r}")
    tracks = _tracks(given)
    with naming(_folder(given) if name in CLIP_SETS else name):
        if given["drawn"]:
            classes = sorted(set(tracks.clip_label) - {""})
            packaged: Sequence[Split] = PACKAGED.get(name, chosen)
            chosen += random_splits(classes, given["drawn"], given["seed"], packaged)
        return kind(tracks, chosen, directions, options, **more)


def _tracks(given: dict[str, Any]) -> PoseTracks:
    """The clips of ``--dataset``: of a data set by name, or of a file."""
    name = given["dataset"]
    if name in CLIP_SETS:
        return CLIP_SETS[name](_folder(given)).tracks()
    if given["data"] is not None:
        raise InputError(
            f"--data must not be given with --dataset {name}, which is a file, got {given['data']}"
        )
    return read(Path(name))


def _folder(given: dict[str, Any]) -> Path:
    """The folder of a data set: ``--data``, or a folder in ``$GEPC_GEO_DATA``."""
    folder: Path | None = given["data"]
    if folder is not None:
        return folder
    root = os.environ.get("GEPC_GEO_DATA")
    if not root:
        raise InputError(f"--data must be the folder of {given['dataset']}, got none")
    return Path(root, given["dataset"])


def _options(kind: type[Protocol], given: dict[str, Any]) -> Options:
    """The detector's options: of the experiment, then ``--config``, then single flags."""
    flags = {"budget": given["budget"]} | assignments("--set", given["changes"])
    for name in {"seed", "random_state"} & flags.keys():
        raise InputError(
            f"--set must not have {name} (use --seeds instead), got {name}={flags[name]}"
        )
    return resolve(flags, given["config"], "default", base=kind.base)


def _seeds(text: str | None, options: Options) -> list[int]:
    """Seeds of training: of ``--seeds``, or the seed of the options."""
    if text is None:
        return [options.random_state]
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0 or max(seeds) > MAX_SEED or len(set(seeds)) < len(seeds):
        raise InputError(
            f"--seeds must be different whole numbers from 0 to {MAX_SEED}, got {text!r}"
        )
    return seeds


def _run(protocol: Protocol, given: dict[str, Any]) -> None:
    """Runs a protocol, prints its tables and draws its plots."""
    methods = choose_methods(given["methods"], protocol.level, protocol.dims, protocol.supervised)
    data = {"dataset": given["dataset"], "path": str(given["data"] or given["dataset"])}
    seeds = _seeds(given["seeds"], protocol.options)
    # Each training has its own seed; the configuration holds the list of seeds.
    protocol.options = replace(protocol.options, random_state=Options().random_state)
    study = Study(given["out"], protocol, data, methods, seeds)
    try:
        study.start(shlex.join(["gepc-geo", *sys.argv[1:]]), given["device"])
        cells = study.cells()
        finished = sum(study.path(cell).exists() for cell in cells)
        click.echo(
            f"{protocol.name}: {len(cells)} trainings, {finished} already finished", err=True
        )
        study.run(given["device"], given["jobs"])
    except KeyboardInterrupt:
        text = (
            "interrupted; the same command resumes after the finished trainings "
            f"(results: {study.folder})"
        )
        click.echo(text, err=True)
        raise SystemExit(130) from None
    tables, remarks = write_summary(study)
    for table in tables:
        click.echo(f"\n{table.title}")
        for line in table.lines():
            click.echo(line)
    click.echo("")
    for remark in remarks:
        click.echo(remark)
    written = [study.folder / "table.md", study.folder / "table.csv", *_plots(study)]
    click.echo(f"\nresults: {', '.join(map(str, written))}")


def _plots(study: Study) -> list[Path]:
    """Draws means and, for noise, the loss of AUC; without matplotlib a note replaces them."""
    if not can_plot():
        click.echo("note: no plots without matplotlib (pip install 'gepc_geo[plots]')", err=True)
        return []
    results = study.results()
    path = study.folder / "means.png"
    plot_bars(study.protocol.means(results), path, xlabel="AUC")
    if not isinstance(study.protocol, Noise):
        return [path]
    shares, lines = study.protocol.curves(results)
    plot_lines(
        shares,
        lines,
        study.folder / "loss.png",
        xlabel="abnormal training clips (%)",
        ylabel="loss of AUC",
    )
    return [path, study.folder / "loss.png"]
