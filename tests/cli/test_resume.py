"""``train --resume`` on a finished run, and what ``train`` says while it fits mixtures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.cli import main

SIZES = {**NETWORK, "batch_size": 32, "budget": 64}
FLAGS = {
    "chain": [
        word
        for name, value in SIZES.items()
        for word in (
            f"--{name.replace('_', '-')}",
            ",".join(map(str, value)) if isinstance(value, list) else str(value),
        )
    ],
    "default": ["--lengths", "12", "--stride", "4", "--augment", "none"],
}


def train(*arguments: object) -> Result:
    words = ["train", *map(str, arguments)]
    return CliRunner().invoke(main, words, catch_exceptions=False)


@pytest.fixture(scope="module", params=["default", "chain"])
def finished(request, walkers, tmp_path_factory) -> tuple[Path, list[str], Result]:
    """A folder with poses and a run with an alarm threshold, its flags, and what training said."""
    folder = tmp_path_factory.mktemp(request.param)
    walkers.save(folder / "poses.npz")
    walkers.select(clips=range(8)).save(folder / "others.npz")
    flags = FLAGS[request.param]
    result = train(folder / "poses.npz", "--out", folder / "run", *flags)
    assert result.exit_code == 0, result.output
    detector = GEPC.load(folder / "run")
    alarm = {"mode": detector.mode, "threshold": 3.5, "per_hour": 2.0, "hours": 1.0}
    detector.alarm_ = alarm
    detector.save(folder / "run" / "model.pt")
    return folder, flags, result


def test_a_finished_run_stays_as_it_is(finished):
    folder, flags, _ = finished
    before = {path: path.read_bytes() for path in (folder / "run").iterdir()}
    result = train(folder / "poses.npz", "--out", folder / "run", *flags, "--resume")
    assert result.exit_code == 0
    line = f"{folder}/run is finished: nothing is left to train, and the run stays as it is\n"
    assert result.output == line
    assert {path: path.read_bytes() for path in (folder / "run").iterdir()} == before
    assert GEPC.load(folder / "run").alarm_["threshold"] == 3.5


def test_other_options_and_other_poses_are_refused_for_a_finished_run(finished):
    folder, flags, _ = finished
    before = {path: path.read_bytes() for path in (folder / "run").iterdir()}
    for data, more, message in (
        ("poses.npz", ["--max-gap", 1], "max_gap must be 3 as in "),
        ("poses.npz", ["--fps", 12], "fps must be None as in "),
        ("others.npz", [], "model.pt must be of the poses to train on, got a model of other"),
    ):
        result = train(folder / data, "--out", folder / "run", *flags, "--resume", *more)
        assert result.exit_code == 2 and message in result.output
    assert {path: path.read_bytes() for path in (folder / "run").iterdir()} == before


def test_progress_of_mixtures_is_shown(finished):
    _, flags, result = finished
    encoded = re.findall(r"^encoding windows of 12 frames: ([\d,]+) of \1 ", result.stderr, re.M)
    fitted = re.findall(
        r"^fitting mixtures to ([\d,]+) windows: 3 of 3 mixtures\b", result.stderr, re.M
    )
    # Without a network there are none.
    assert len(encoded) == len(fitted) == (flags is FLAGS["chain"])
    assert encoded == fitted
