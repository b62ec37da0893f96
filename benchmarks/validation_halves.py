"""Training halves as data sets of their own, to choose by: nothing of a test half is read.

Half of Penn Action's training clips (drawn with a seed) and the odd subjects of Northwestern-UCLA's
training views become ``train``, the others ``test``; of the latter also the even subjects (``nw_ucla_even``),
and each view by itself (``nw_ucla_view1``, ``nw_ucla_view2``). Whatever has a choice is compared on these files:

    python benchmarks/validation_halves.py --penn PATH --ucla PATH --out runs/validation
    gepc-geo experiment coarse --dataset runs/validation/penn_action.npz --splits penn_action --random 4 --out runs/choose
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
    """Penn Action's training half, each clip in one of two halves by chance."""
    tracks = PennAction(root).tracks().select(split="train")
    return _split(tracks, np.random.default_rng(seed).random(tracks.num_clips) < 0.5)


def nw_ucla(root: Path, part: str = "odd") -> PoseTracks:
    """Northwestern-UCLA's views 1 and 2, a part of them to train on, the others to test on.

    Args:
        root: The folder of the data set.
        part: Subjects, ``"odd"`` or ``"even"``, or a view, ``"view1"`` or ``"view2"``.
    """
    tracks = _ucla_training(root)
    if part in ("view1", "view2"):
        return _split(tracks, np.array(tracks.camera) == f"v{part[-1]}")
    subject = np.array([int(name.split("_s")[1][:2]) for name in tracks.clip_names])
    return _split(tracks, subject % 2 == (part == "odd"))


@functools.cache
def _ucla_training(root: Path) -> PoseTracks:
    """Views 1 and 2, read once for all parts."""
    return NWUCLA(root).tracks().select(split="train")


def _split(tracks: PoseTracks, train: np.ndarray) -> PoseTracks:
    return tracks.with_(clip_split=["train" if one else "test" for one in train])


@click.command(cls=Command)
@click.option("--penn", type=click.Path(path_type=Path), help="Penn Action's folder.")
@click.option("--ucla", type=click.Path(path_type=Path), help="NW-UCLA's folder.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
def main(penn: Path | None, ucla: Path | None, out: Path) -> None:
    """Write the validation sets of the folders that are given."""
    if penn is None and ucla is None:
        raise InputError("there is no folder of data, expected --penn or --ucla")
    # All are made before any is written.
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
