"""What each part of the default detector is worth, on validation data alone.

Clips: the halves of ``validation_halves.py``, packaged and random splits, both directions. Frames: boxes of
``injected_boxes.py``, streams composed of Penn Action's validation half, simulated crowds as poses and as boxes.
Every variant changes one thing; ``OUT/ablation.csv`` gets a line for each AUC, and a run goes on where it ended:

    python benchmarks/ablation.py --validation runs/validation --out runs/ablation

A part pays if leaving it out loses on the mean of the clip sets or of the frame sets, by an interval that
excludes 0, and no set gains more than 0.005 by it. Tasks share clips, so intervals are narrower than of independent ones.
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

from gepc_geo.cli.demo import counted_frames
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
# Where windows are altered.
_COPIES = "gepc_geo.scoring.encoder.alterations"


class Variant(NamedTuple):
    """Changed options, and changed constants of modules."""

    options: dict[str, Any] = {}
    constants: dict[str, Any] = {}


#: The default's parts, which are modes of it: they need no training of their own.
PARTS = {f"{mode} alone": f"{OURS}:{mode}" for mode in WINDOW_MODES}
#: By name.
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
}


class Case(NamedTuple):
    """A task of a set: what is scored, the set, the task's name, options, and how its poses are made."""

    level: str
    group: str
    name: str
    options: Options
    make: Callable[[], Task]

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the others."""
        return self.level, self.group, self.name


def cases(folder: Path, seeds: tuple[int, ...]) -> Iterator[Case]:
    """Every validation task; the frames of streams and crowds are of ``seeds``, clips have none."""
    for name in ("penn_action", "nw_ucla", "nw_ucla_even", "nw_ucla_view1"):
        dataset = "penn_action" if name == "penn_action" else "nw_ucla"
        tracks = PoseTracks.load(folder / f"{name}.npz")
        classes = sorted(set(tracks.clip_label) - {""})
        splits = [*PACKAGED[dataset], *random_splits(classes, 4, 0, PACKAGED[dataset])]
        yield from _of_protocol(Coarse(tracks, splits, DIRECTIONS, CLIPS), name)
    tracks = PoseTracks.load(folder / "penn_action.npz")
    for seed in seeds:
        for kind in ("poses", "boxes"):
            make = partial(_crowd, kind, 100 + seed)
            yield Case("frame", f"crowd, {kind}", str(100 + seed), FRAMES, make)
        path = folder / f"boxes_{seed}.npz"
        yield Case("frame", "injected boxes", str(seed), FRAMES, partial(_injected, path))
        streams = Streams(tracks, PACKAGED["penn_action"], DIRECTIONS, FRAMES, random_state=seed)
        yield from _of_protocol(streams, "streams", f" {seed}")


def _of_protocol(protocol: ClassProtocol, group: str, suffix: str = "") -> Iterator[Case]:
    for one in protocol.conditions():
        name = f"{one.split} {one.direction}{suffix}"
        yield Case(protocol.level, group, name, protocol.options, partial(protocol.task, one, 0))


def _crowd(kind: str, seed: int) -> Task:
    """A simulated crowd, the kinds that the demo counts; of ``boxes`` those around the visible joints."""
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
    train, test = (tracks.select(split=one) for one in ("train", "test"))
    assert test.frame_labels is not None
    return Task(train, test, test.frame_labels)


def measure(case: Case, name: str) -> dict[str, float]:
    """The AUC of a variant of the default detector; of the default itself also of its parts alone."""
    train, test, labels = case.make()
    variant = VARIANTS[name]
    with ExitStack() as stack:
        for constant, value in variant.constants.items():
            stack.enter_context(patch(constant, value))
        options = replace(case.options, **variant.options)
        scored = train_and_score(OURS, train, test, options, case.level, "cpu").scored
    aggregate = clip_level if case.level == "clip" else frame_level
    known, found = labels >= 0, {}
    for row, key in {name: OURS, **(PARTS if name == DEFAULT else {})}.items():
        found[row] = auc(labels[known], aggregate(scored[key], test)[known])
    return found


def table(rows: dict[tuple[str, str, str], dict[str, float]]) -> list[str]:
    """Mean difference of each variant to the default over clips and frames, and in each set."""
    groups = list(dict.fromkeys(key[:2] for key in rows))
    lines = ["| variant | clips | frames |" + "".join(f" {name} |" for _, name in groups)]
    lines.append("|---|" + "---:|" * (2 + len(groups)))
    for variant in (DEFAULT, *PARTS, *list(VARIANTS)[1:]):
        there = {key: one for key, one in rows.items() if {variant, DEFAULT} <= set(one)}
        if not there:
            continue
        cells = []
        for chosen in (*(("clip",), ("frame",)), *groups):
            pairs = [one for key, one in there.items() if key[: len(chosen)] == chosen]
            ours, base = ([one[name] for one in pairs] for name in (variant, DEFAULT))
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
@click.option("--validation", type=click.Path(path_type=Path), required=True, help="Its files.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the results."
)
@click.option(
    "--level", "levels", type=click.Choice(["clip", "frame"]), multiple=True, help="One alone."
)
@click.option(
    "--seed", "seeds", type=int, multiple=True, default=[0], help="Of crowds and the like."
)
@click.option(
    "--variant", "names", type=click.Choice(list(VARIANTS)), multiple=True, help="Some alone."
)
def main(
    validation: Path,
    out: Path,
    levels: tuple[str, ...],
    seeds: tuple[int, ...],
    names: tuple[str, ...],
) -> None:
    """Leave one part of the default detector out at a time."""
    out.mkdir(parents=True, exist_ok=True)
    path, rows = out / "ablation.csv", {}
    if path.exists():
        for level, group, name, variant, value in csv.reader(path.open()):
            rows.setdefault((level, group, name), {})[variant] = float(value)
    chosen = [DEFAULT, *names] if names else list(VARIANTS)
    every = [case for case in cases(validation, seeds) if not levels or case.level in levels]
    with (
        path.open("a", newline="") as file,
        progress_bar("ablation", len(every) * len(chosen), "tasks") as bar,
    ):
        writer = csv.writer(file)
        for variant in chosen:
            for case in every:
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
