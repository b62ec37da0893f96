"""Speed of training and scoring and file size of the default detector, also of another version.

    python benchmarks/default_speed.py
    python benchmarks/default_speed.py --beside PATH_OF_ANOTHER_CHECKOUT

A small warm-up round is not counted. Each version runs in a separate process, one after the other,
in float32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from gepc_geo.cli.refusal import Command
from gepc_geo.errors import InputError

HERE = Path(__file__).resolve().parent.parent
# Code of the process, which must run with both versions.
CODE = """
import inspect, json, sys, time
from gepc_geo import GEPC
from gepc_geo.datasets import simulate_crowd

# Other versions have another name of the seed, and keep memory by themselves.
word = "random_state" if "random_state" in inspect.signature(simulate_crowd).parameters else "seed"
if word == "random_state":
    from gepc_geo.utils.memory import keep_memory
    keep_memory()

def crowd(half, seed, **size):
    return simulate_crowd(half, **{word: seed}, **size)

crowds, size, repeats, path = json.loads(sys.argv[1])
quick = {"num_clips": 12, "frames_per_clip": 48}
train, test = (crowd(half, 0, **size) for half in ("train", "test"))
options = {"score_stride": 4, "precision": "fp32"}
warm = GEPC(**options, **({} if "lengths" in GEPC().get_params() else {"budget": 640}))
warm.fit(crowd("train", 1, **quick))
warm.window_scores(crowd("test", 1, **quick))
result = {"fit": [], "score": []}
for _ in range(repeats):
    began = time.perf_counter()
    detector = GEPC(**options, **crowds).fit(train)
    result["fit"].append(time.perf_counter() - began)
    began = time.perf_counter()
    scored = detector.window_scores(test)
    result["score"].append(len(scored.windows) / (time.perf_counter() - began))
windows = detector.training_windows(train)
detector.save(path)
result |= {"training windows": len(windows), "scored windows": len(scored.windows)}
print(json.dumps(result))
"""


def measure(checkout: Path, crowds: dict, size: dict, repeats: int) -> dict:
    """Output of the process of a version, and megabytes of its model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        arguments = json.dumps([crowds, size, repeats, str(path)])
        began = time.perf_counter()
        end = subprocess.run(
            [sys.executable, "-c", CODE, arguments],
            env={**os.environ, "PYTHONPATH": str(checkout)},
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if end.returncode:
            raise InputError(
                f"{checkout} must be a version of gepc_geo that trains its default, got "
                f"{end.stderr.strip().splitlines()[-1]!r}"
            )
        return {
            **json.loads(end.stdout.splitlines()[-1]),
            "megabytes": path.stat().st_size / 1e6,
            "seconds in all": time.perf_counter() - began,
        }


def line(name: str, found: dict) -> str:
    """Text of the best repeat of a version."""
    return (
        f"{name:10s} fit {min(found['fit']):7.1f} s "
        f"({found['training windows']:,} windows)   score "
        f"{max(found['score']):7.0f} windows/s   model {found['megabytes']:.1f} MB"
    )


@click.command(cls=Command)
@click.option(
    "--beside", type=click.Path(path_type=Path, exists=True), help="Checkout of another version."
)
@click.option("--clips", default=36, show_default=True, help="Clips of the simulated crowd.")
@click.option("--repeats", default=2, show_default=True)
@click.option(
    "--budget", type=int, help="Training passes of the other version; default: its default."
)
def main(beside: Path | None, clips: int, repeats: int, budget: int | None) -> None:
    """Measure the default detector on a simulated crowd."""
    size = {"num_clips": clips}
    ours = measure(HERE, {}, size, repeats)
    click.echo(line("this", ours))
    if beside is not None:
        crowds = {} if budget is None else {"budget": budget}
        other = measure(beside, crowds, size, 1)
        click.echo(line("beside", other))
        fit, score = min(other["fit"]) / min(ours["fit"]), max(ours["score"]) / max(other["score"])
        click.echo(f"{'':10s} fit {fit:.1f} times as fast, score {score:.1f} times")


if __name__ == "__main__":
    main()
