"""Ablation of the default detector on validation data.

Clip sets are the halves of ``validation_halves.py``, with packaged and random splits in both
directions. Frame sets are boxes of ``injected_boxes.py``, streams of the validation half of Penn
Action, and simulated crowds as poses and as boxes. Each variant changes one part.
``OUT/ablation.csv`` has a line for each AUC. A second run with the same ``--out`` continues:

    python benchmarks/ablation.py --validation runs/validation --out runs/ablation

A part is worth its cost if its removal lowers the mean over clip sets or over frame sets, by an
interval that excludes 0, and raises no set by more than 0.005. Tasks share clips, so the intervals
are narrower than those of independent tasks.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import click
import numpy as np

from gepc_geo.cli.jobs.demo import counted_frames
from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import simulate_crowd
from gepc_geo.density.alterations import alterations
from gepc_geo.experiments import DIRECTIONS, PACKAGED, Coarse, Streams, compare, random_splits
from gepc_geo.experiments.methods import OURS, clip_level, frame_level, train_and_score
from gepc_geo.experiments.protocol import ClassProtocol, Task
from gepc_geo.io.formats.shanghaitech import keypoints_of_boxes
from gepc_geo.options import WINDOW_MODES, Options
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.metrics import auc
from gepc_geo.utils.progress import progress_bar

DEFAULT = "default"
CLIPS, FRAMES = Options(frames=24, stride=1), Options(score_stride=4)
# Function that alters windows.
_COPIES = "gepc_geo.scoring.encoder.alterations"


class Variant(NamedTuple):
    """Changed options and changed constants of modules."""

    options: dict[str, Any] = {}
    constants: dict[str, Any] = {}


#: Parts of the default that are scoring modes; they need no separate training.
PARTS = {f"{mode} alone": f"{OURS}:{mode}" for mode in WINDOW_MODES}
#: Variants by name.
VARIANTS = {
    DEFAULT: Variant(),
    "reversed copy alone": Variant(constants={_COPIES: lambda *args: alterations(*args)[:1]}),
    "faster copy alone": Variant(constants={_COPIES: lambda *args: alterations(*args)[1:]}),
    "nearest person": Variant(constants={"gepc_geo.density.neighbours._NEAREST": 1}),
    "plain distance": Variant(constants={"gepc_geo.density.neighbours._POWER": 0.0}),
    "all frequencies": Variant({"coefficients": 12, "motion_coefficients": 12}),
    "no motion": Variant({"motion": False}),
    "no augmentation": Variant({"augment": "none"}),
    "0.5s alone": Variant({"lengths": ["0.5s"]}),
    "1s alone": Variant({"lengths": ["1s"]}),
    "faults judged": Variant({"skip_faults": False}),
}


class Case(NamedTuple):
    """Task of a set: level, set, name, options, and a function that makes its poses."""

    level: str
    group: str
    name: str
    options: Options
    make: Callable[[], Task]

    @property
    def key(self) -> tuple[str, str, str]:
        """Key of the task among all tasks."""
        return self.level, self.group, self.name


def cases(folder: Path, seeds: tuple[int, ...]) -> Iterator[Case]:
    """Yields all validation tasks; ``seeds`` are those of streams, boxes and crowds."""
    for name in ("penn_action", "nw_ucla", "nw_ucla_even", "nw_ucla_view1"):
        dataset = "penn_action" if name == "penn_action" else "nw_ucla"
        tracks = PoseTracks.load(folder / f"{name}.npz")
        classes = sorted(set(tracks.clip_label) - {""})
        splits = [*PACKAGED[dataset], *random_splits(classes, 4, 0, PACKAGED[dataset])]
        yield from _protocol_cases(Coarse(tracks, splits, DIRECTIONS, CLIPS), name)
    tracks = PoseTracks.load(folder / "penn_action.npz")
    for seed in seeds:
        for kind in ("poses", "boxes"):
            make = partial(_crowd, kind, 100 + seed)
            yield Case("frame", f"crowd, {kind}", str(100 + seed), FRAMES, make)
        path = folder / f"boxes_{seed}.npz"
        yield Case("frame", "injected boxes", str(seed), FRAMES, partial(_injected, path))
        streams = Streams(tracks, PACKAGED["penn_action"], DIRECTIONS, FRAMES, random_state=seed)
        yield from _protocol_cases(streams, "streams", f" {seed}")


def _protocol_cases(protocol: ClassProtocol, group: str, suffix: str = "") -> Iterator[Case]:
    for condition in protocol.conditions():
        name = f"{condition.split} {condition.direction}{suffix}"
        make = partial(protocol.task, condition, 0)
        yield Case(protocol.level, group, name, protocol.options, make)


def _crowd(kind: str, seed: int) -> Task:
    """Simulated crowd with the kinds that the demo counts; ``boxes`` bound the visible joints."""
    train, test = (simulate_crowd(split, random_state=seed) for split in ("train", "test"))
    labels = np.where(counted_frames(test), test.frame_labels, -1)
    if kind == "boxes":
        train, test = _boxes(train), _boxes(test)
    return Task(train, test, labels)


def _boxes(tracks: PoseTracks) -> PoseTracks:
    hidden = (tracks.confidence == 0)[..., None]
    low = np.where(hidden, np.inf, tracks.keypoints).min(axis=1)
    high = np.where(hidden, -np.inf, tracks.keypoints).max(axis=1)
    keypoints = keypoints_of_boxes(*low.T, *high.T)
    confidence = np.ones(keypoints.shape[:2], dtype=np.float32)
    return tracks.with_(skeleton=SKELETONS["box5"], keypoints=keypoints, confidence=confidence)


def _injected(path: Path) -> Task:
    tracks = PoseTracks.load(path)
    train, test = (tracks.select(split=split) for split in ("train", "test"))
    assert test.frame_labels is not None
    return Task(train, test, test.frame_labels)


def measure(case: Case, name: str) -> dict[str, float]:
    """AUC of a variant of the default detector; for the default also of each part alone."""
    train, test, labels = case.make()
    variant = VARIANTS[name]
    with ExitStack() as stack:
        for constant, value in variant.constants.items():
            stack.enter_context(patch(constant, value))
        options = replace(case.options, **variant.options)
        scored = train_and_score(OURS, train, test, options, case.level, "cpu").scored
    aggregate = clip_level if case.level == "clip" else frame_level
    labelled, aucs = labels >= 0, {}
    for row, key in {name: OURS, **(PARTS if name == DEFAULT else {})}.items():
        aucs[row] = auc(labels[labelled], aggregate(scored[key], test)[labelled])
    return aucs


def table(rows: dict[tuple[str, str, str], dict[str, float]]) -> list[str]:
    """Table of the mean difference of each variant to the default, by level and by set."""
    groups = list(dict.fromkeys(key[:2] for key in rows))
    lines = ["| variant | clips | frames |" + "".join(f" {name} |" for _, name in groups)]
    lines.append("|---|" + "---:|" * (2 + len(groups)))
    for variant in (DEFAULT, *PARTS, *list(VARIANTS)[1:]):
        tasks = {key: aucs for key, aucs in rows.items() if {variant, DEFAULT} <= set(aucs)}
        if not tasks:
            continue
        cells = []
        for chosen in (*(("clip",), ("frame",)), *groups):
            pairs = [aucs for key, aucs in tasks.items() if key[: len(chosen)] == chosen]
            ours, base = ([aucs[name] for aucs in pairs] for name in (variant, DEFAULT))
            if not pairs:
                cells.append("")
            elif variant == DEFAULT:
                cells.append(f"{np.mean(base):.3f}")
            elif len(chosen) > 1:
                cells.append(f"{np.mean(np.subtract(ours, base)):+.3f}")
            else:
                found = compare(ours, base)
                cells.append(f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
        lines.append(f"| {variant} |" + "".join(f" {cell} |" for cell in cells))
    return lines


@click.command(cls=Command)
@click.option(
    "--validation", type=click.Path(path_type=Path), required=True, help="Validation files."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the results."
)
@click.option(
    "--level", "levels", type=click.Choice(["clip", "frame"]), multiple=True, help="One level only."
)
@click.option("--seed", "seeds", type=int, multiple=True, default=[0], help="Seeds of frame sets.")
@click.option(
    "--variant",
    "names",
    type=click.Choice(list(VARIANTS)),
    multiple=True,
    help="Some variants only.",
)
def main(
    validation: Path,
    out: Path,
    levels: tuple[str, ...],
    seeds: tuple[int, ...],
    names: tuple[str, ...],
) -> None:
    """Remove one part of the default detector at a time."""
    out.mkdir(parents=True, exist_ok=True)
    path, rows = out / "ablation.csv", {}
    if path.exists():
        for level, group, name, variant, value in csv.reader(path.open()):
            rows.setdefault((level, group, name), {})[variant] = float(value)
    chosen = [DEFAULT, *names] if names else list(VARIANTS)
    tasks = [case for case in cases(validation, seeds) if not levels or case.level in levels]
    with (
        path.open("a", newline="") as file,
        progress_bar("ablation", len(tasks) * len(chosen), "tasks") as bar,
    ):
        writer = csv.writer(file)
        for variant in chosen:
            for case in tasks:
                # Clips have one length.
                applies = case.level == "frame" or set(VARIANTS[variant].options) != {"lengths"}
                if applies and variant not in rows.setdefault(case.key, {}):
                    for row, value in measure(case, variant).items():
                        rows[case.key][row] = value
                        writer.writerow([*case.key, row, f"{value:.5f}"])
                    file.flush()
                bar.update(1)
    lines = table(rows)
    (out / "table.md").write_text("\n".join(lines) + "\n")
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
