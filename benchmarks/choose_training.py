"""Choice of training options on simulated crowds for validation.

The seeds of the crowds differ from those of the demo (0, 1, 2). Each variant trains on the normal
clips of a crowd and scores the frames of its test clips, without loitering and fighting.

    python benchmarks/choose_training.py --variant augment=none \
        --variant mode=assignment,budget=40000,hidden=4
"""

from __future__ import annotations

from dataclasses import replace

import click

from gepc_geo import GEPC
from gepc_geo.cli.commands.demo import DEMO
from gepc_geo.cli.jobs.demo import counted_frames, mode_aucs
from gepc_geo.cli.refusal import Command
from gepc_geo.cli.settings import assignments, resolve
from gepc_geo.datasets.simulate import simulate_crowd


@click.command(cls=Command)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    default=("",),
    help="Options that differ from the demo, NAME=VALUE[,NAME=VALUE...]; can be repeated.",
)
@click.option(
    "--seed",
    "seeds",
    type=click.IntRange(min=100),
    multiple=True,
    default=(100, 101),
    show_default=True,
    help="Seeds of crowds and training.",
)
@click.option("--device", default="auto", show_default=True)
def main(variants: tuple[str, ...], seeds: tuple[int, ...], device: str) -> None:
    """Train each variant on each validation crowd and print the frame AUC of each mode."""
    for variant in variants:
        changes = assignments("--variant", [part for part in variant.split(",") if part])
        options = resolve(changes, None, "default", base=DEMO)
        for seed in seeds:
            train, test = (simulate_crowd(split, random_state=seed) for split in ("train", "test"))
            detector = GEPC(**replace(options, random_state=seed).to_dict()).fit(
                train, device=device
            )
            row = mode_aucs(detector, detector.window_scores(test), test, counted_frames(test))
            text = "  ".join(f"{mode} {value:.3f}" for mode, value in row.items())
            click.echo(f"{variant or 'as is':40s} crowd {seed}  {text}")


if __name__ == "__main__":
    main()
