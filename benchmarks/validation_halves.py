"""Validation data sets from training halves; test halves are not read.

Half of the training clips of Penn Action (drawn with a seed) and the odd subjects in the training
views of Northwestern-UCLA become ``train``, the others ``test``. Further files train on the even
subjects of Northwestern-UCLA (``nw_ucla_even``) or on one view (``nw_ucla_view1``,
``nw_ucla_view2``). All choices are made on these files:

    python benchmarks/validation_halves.py --penn PATH --ucla PATH --out runs/validation
    gepc-geo experiment coarse --dataset runs/validation/penn_action.npz --splits penn_action \
        --random 4 --out runs/choose
"""

from __future__ import annotations

import functools
from pathlib import Path

import click
import numpy as np

from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import NWUCLA, PennAction
from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks


def penn_action(root: Path, seed: int = 0) -> PoseTracks:
    """Training half of Penn Action, split into two random halves."""
    tracks = PennAction(root).tracks().select(split="train")
    return _split(tracks, np.random.default_rng(seed).random(tracks.num_clips) < 0.5)


def nw_ucla(root: Path, part: str = "odd") -> PoseTracks:
    """Views 1 and 2 of Northwestern-UCLA, with one part to train on and the rest to test on.

    Args:
        root: Folder of the data set.
        part: Part to train on: subjects, ``"odd"`` or ``"even"``, or a view, ``"view1"`` or
            ``"view2"``.
    """
    tracks = _ucla_training(root)
    if part in ("view1", "view2"):
        return _split(tracks, np.array(tracks.camera) == f"v{part[-1]}")
    subject = np.array([int(name.split("_s")[1][:2]) for name in tracks.clip_names])
    return _split(tracks, subject % 2 == (part == "odd"))


@functools.cache
def _ucla_training(root: Path) -> PoseTracks:
    """Views 1 and 2, cached for all parts."""
    return NWUCLA(root).tracks().select(split="train")


def _split(tracks: PoseTracks, train: np.ndarray) -> PoseTracks:
    return tracks.with_(clip_split=["train" if in_train else "test" for in_train in train])


@click.command(cls=Command)
@click.option("--penn", type=click.Path(path_type=Path), help="Folder of Penn Action.")
@click.option("--ucla", type=click.Path(path_type=Path), help="Folder of NW-UCLA.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
def main(penn: Path | None, ucla: Path | None, out: Path) -> None:
    """Write the validation sets of the given folders."""
    if penn is None and ucla is None:
        raise InputError("at least one of --penn and --ucla must be given")
    # Writing starts when all sets are made.
    sets = {} if penn is None else {"penn_action": penn_action(penn)}
    if ucla is not None:
        sets["nw_ucla"] = nw_ucla(ucla)
        sets |= {f"nw_ucla_{part}": nw_ucla(ucla, part) for part in ("even", "view1", "view2")}
    out.mkdir(parents=True, exist_ok=True)
    for name, tracks in sets.items():
        tracks.save(out / f"{name}.npz")
        click.echo(f"{out / f'{name}.npz'}: {tracks!r}")


if __name__ == "__main__":
    main()
