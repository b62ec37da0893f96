"""How the default scoring mode was chosen: on the training halves of Penn Action and NW-UCLA alone.

Of each set of normal classes one in turn plays the anomaly. The detector trains on three quarters of
the other classes' training clips; the last quarter and the clips of the class left out are ranked.
No clip of a test half is read. Encodings are kept in --out, so that mixtures, calibration and fusion
can be compared without training anew.

    python benchmarks/choose_defaults.py --penn PATH --ucla PATH --out runs/choose
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import yaml

from gepc_geo import GEPC, PoseTracks
from gepc_geo.baselines import NearestNeighbour
from gepc_geo.calibration import TailCalibrator, fuse
from gepc_geo.datasets import NWUCLA, PennAction
from gepc_geo.detector import _person
from gepc_geo.engine import Encoded
from gepc_geo.files import atomic_path
from gepc_geo.metrics import auc
from gepc_geo.normality import SINGLE, Normality

NORMAL = {
    "penn": ["squat", "pullup", "pushup", "situp", "bench_press"],
    "ucla": ["4", "5", "6"],
}
PARTS = ("train", "held_out", "test")
#: Mixtures compared on the same encodings, the defaults first.
MIXTURES: tuple[dict[str, Any], ...] = (
    {},
    {"whitened_dims": 16},
    {"whitened_dims": 32},
    {"whitened_dims": 128},
    {"components": 3},
    {"covariance": "diag"},
    {"density": "gaussian-p"},
    {"density": "dirichlet"},
)


def encodings(
    tracks: PoseTracks,
    left_out: str,
    path: Path,
    changes: dict[str, Any],
    budget: int,
    seed: int,
    device: str,
) -> None:
    """Trains with one class left out; writes what the network makes of all parts."""
    label = np.array(tracks.clip_label)
    held_back = np.random.default_rng(seed).random(tracks.num_clips) < 0.25
    fit = tracks.select(clips=(label != left_out) & ~held_back)
    test = tracks.select(clips=(label == left_out) | held_back)
    settings = {"frames": 24, "batch_size": 32, "precision": "bf16", **changes}
    detector = GEPC(**settings, budget=budget, seed=seed)
    detector.fit(fit, quiet=False, device=device)
    train, held_out = detector._hold_out(fit)
    arrays: dict[str, np.ndarray] = {}
    windows = {
        name: detector.windows(part)
        for name, part in zip(PARTS, (train, held_out, test), strict=True)
    }
    for name, some in windows.items():
        loader = detector._loader(some)
        for choice in range(detector._choices):
            with torch.no_grad():
                parts = zip(*detector._encode(loader, choice), strict=True)
            for field, values in zip(Encoded._fields, parts, strict=True):
                arrays[f"{name}_{field}_{choice}"] = torch.cat(values).cpu().numpy()
    arrays["train_person"] = _person(windows["train"]).numpy()
    arrays["label"] = np.array([test.clip_label[c] == left_out for c in windows["test"].clip])
    nearest = NearestNeighbour().fit_windows(detector.pipeline_, windows["train"])
    arrays["neighbour"] = nearest.score_windows(windows["test"])
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def mode_scores(arrays: dict[str, np.ndarray], options: GEPC) -> dict[str, np.ndarray]:
    """Every mode's scores of the ranked windows, and each fusion of at least two modes."""

    def parts(name: str) -> list[Encoded]:
        choices = sum(key.startswith(f"{name}_latent_") for key in arrays)
        return [
            Encoded(*(torch.as_tensor(arrays[f"{name}_{f}_{c}"]) for f in Encoded._fields))
            for c in range(choices)
        ]

    train = Encoded(*map(torch.cat, zip(*parts("train"), strict=True)))
    normality = Normality(options).measure(train)
    person = torch.as_tensor(arrays["train_person"]).repeat(len(parts("train")))
    normality.fit(normality.project(train), person)

    def mean_scores(name: str) -> dict[str, torch.Tensor]:
        each = [normality.single_scores(normality.project(part)) for part in parts(name)]
        return {mode: torch.stack([one[mode] for one in each]).mean(0) for mode in SINGLE}

    held_out, test = mean_scores("held_out"), mean_scores("test")
    tails = {m: TailCalibrator().fit(held_out[m]).log_tail(test[m]) for m in SINGLE}
    scores = {mode: test[mode].numpy() for mode in SINGLE}
    for count in range(2, len(SINGLE) + 1):
        for modes in combinations(SINGLE, count):
            scores["+".join(modes)] = fuse(torch.stack([tails[m] for m in modes])).numpy()
    return scores


@click.command()
@click.option(
    "--penn", type=click.Path(path_type=Path), required=True, help="Penn Action's folder."
)
@click.option("--ucla", type=click.Path(path_type=Path), required=True, help="NW-UCLA's folder.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Encodings go here.")
@click.option("--budget", default=12_000, show_default=True, help="Window passes a rotation.")
@click.option("--seed", default=0, show_default=True)
@click.option("--variant", default="", help="Training options, NAME=VALUE[,NAME=VALUE...].")
@click.option(
    "--train-only", is_flag=True, help="Only the defaults' mixtures, no variants of them."
)
@click.option("--device", default="auto", show_default=True)
def main(
    penn: Path,
    ucla: Path,
    out: Path,
    budget: int,
    seed: int,
    variant: str,
    train_only: bool,
    device: str,
) -> None:
    """Train every rotation that is not in --out yet, then print AUC for modes and mixtures."""
    results: dict[str, dict[str, list[float]]] = {}
    pairs = (part.split("=", 1) for part in variant.split(",") if part)
    changes = {name: yaml.safe_load(value) for name, value in pairs}
    sources = {"penn": PennAction(penn), "ucla": NWUCLA(ucla)}
    for name, source in sources.items():
        tracks = source.tracks().select(split="train", labels=NORMAL[name])
        for left_out in NORMAL[name]:
            path = out / f"{name}_{left_out}_{budget}_{seed}_{variant or 'as_is'}.npz"
            if not path.exists():
                encodings(tracks, left_out, path, changes, budget, seed, device)
            with np.load(path) as archive:
                arrays = dict(archive)
            for mixture in MIXTURES[: 1 if train_only else None]:
                options = GEPC(**mixture)
                text = ", ".join(f"{k} {v}" for k, v in mixture.items()) or "defaults"
                for mode, score in mode_scores(arrays, options).items():
                    row = results.setdefault(f"{text}: {mode}", {})
                    row.setdefault(name, []).append(auc(arrays["label"].astype(int), score))
            row = results.setdefault("1-NN on the input", {})
            row.setdefault(name, []).append(auc(arrays["label"].astype(int), arrays["neighbour"]))
    click.echo(f"{'mean AUC over rotations':70s} {'penn':>6s} {'ucla':>6s} {'both':>6s}")
    means = {key: {n: float(np.mean(v)) for n, v in row.items()} for key, row in results.items()}
    for key in sorted(means, key=lambda k: -sum(means[k].values())):
        row = means[key]
        both = np.mean(list(row.values()))
        click.echo(f"{key:70s} {row['penn']:6.3f} {row['ucla']:6.3f} {both:6.3f}")


if __name__ == "__main__":
    main()
