"""Training halves as data sets of their own, to choose by: nothing of a test half is read.

Half of Penn Action's training clips (drawn with a seed) and the odd subjects of Northwestern-UCLA's
training views become ``train``, the others ``test``. Whatever has a choice is compared on these files:

    python benchmarks/validation_halves.py --penn PATH --ucla PATH --out runs/validation
    gepc-geo experiment coarse --dataset runs/validation/penn_action.npz --splits penn_action --random 4 --out runs/choose
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from gepc_geo.cli.refusal import Command
from gepc_geo.datasets import NWUCLA, PennAction
from gepc_geo.errors import InputError
from gepc_geo.tracks import PoseTracks


def penn_action(root: Path, seed: int = 0) -> PoseTracks:
    """Penn Action's training half, each clip in one of two halves by chance."""
    tracks = PennAction(root).tracks().select(split="train")
    return _split(tracks, np.random.default_rng(seed).random(tracks.num_clips) < 0.5)


def nw_ucla(root: Path) -> PoseTracks:
    """Northwestern-UCLA's views 1 and 2, odd subjects to train on, even ones to test on."""
    tracks = NWUCLA(root).tracks().select(split="train")
    subject = np.array([int(name.split("_s")[1][:2]) for name in tracks.clip_names])
    return _split(tracks, subject % 2 == 1)


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
    kinds = (("penn_action", penn, penn_action), ("nw_ucla", ucla, nw_ucla))
    # All are made before any is written.
    sets = {name: make(root) for name, root, make in kinds if root is not None}
    out.mkdir(parents=True, exist_ok=True)
    for name, tracks in sets.items():
        tracks.save(out / f"{name}.npz")
        click.echo(f"{out / f'{name}.npz'}: {tracks!r}")


if __name__ == "__main__":
    main()
