"""``gepc-geo calibrate``: files in, a threshold in the model, its rate on the screen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from streams import SEVERAL, SMALL, small_run

from gepc_geo import GEPC
from gepc_geo.cli import main
from gepc_geo.cli.run import Run
from gepc_geo.datasets import simulate_crowd
from gepc_geo.options import Options
from gepc_geo.streaming.thresholds import clip_series, false_alarms


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(SMALL, id="one"),
        pytest.param(SEVERAL, id="several", marks=pytest.mark.slow),
    ],
)
def folder(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    small_run(folder, request.param)
    normal = simulate_crowd("train", num_clips=6, frames_per_clip=96, random_state=9)
    normal.save(folder / "normal.npz")
    normal.with_(fps=None).save(folder / "no_fps.npz")
    simulate_crowd("test", num_clips=4, frames_per_clip=48, random_state=9).save(
        folder / "test.npz"
    )
    return folder


def run(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def test_stores_the_threshold_and_prints_its_held_out_false_alarms(folder):
    hours = 6 * 96 / 24 / 3600
    result = run("calibrate", folder / "run", folder / "normal.npz", "--false-alarms-per-hour", 450)
    assert result.exit_code == 0, result.output
    detector = GEPC.load(folder / "run" / "model.pt", device="cpu")
    alarm = detector.alarm_
    assert alarm["per_hour"] == 450 and alarm["mode"] == "combined"
    assert alarm["hours"] == pytest.approx(hours)
    tracks = simulate_crowd("train", num_clips=6, frames_per_clip=96, random_state=9)
    series = clip_series(detector, tracks, "combined")
    # 450 an hour are three in these 24 seconds.
    assert false_alarms(series, alarm["threshold"]) <= 3
    worst = max(one.scores.max() for one in series)
    assert alarm["threshold"] <= worst
    printed = re.search(r"on held-out +(\S+) an hour \((\d+) in (\S+) hours\)", result.output)
    assert float(printed[1]) == pytest.approx(int(printed[2]) / hours, rel=0.01)
    assert float(printed[3]) == pytest.approx(hours, rel=0.01)
    assert f"{alarm['threshold']:.6g} (combined)" in result.output
    shown = run("info", folder / "run" / "model.pt").output
    assert f"alarm           {alarm['threshold']:.6g} (combined)" in shown
    assert "wanted        450 false alarms an hour" in shown
    assert printed[0] in shown


def test_info_shows_that_a_model_has_no_alarm_threshold(folder, tmp_path):
    detector = GEPC.load(folder / "run" / "model.pt", device="cpu")
    detector.alarm_ = None
    detector.save(tmp_path / "model.pt")
    assert GEPC.load(tmp_path / "model.pt", device="cpu").alarm_ is None
    assert "alarm           none" in run("info", tmp_path / "model.pt").output


@pytest.mark.parametrize(
    ("data", "rate", "said"),
    [
        ("no_fps.npz", 450, "must have a frame rate (--fps) to count alarms an hour, got none"),
        ("normal.npz", 1, "must be at least 1 hours long for 1 false alarms an hour, got"),
        ("normal.npz", -1, "must be more than 0, got -1"),
        ("test.npz", 450, "test.npz must have normal frames only, got"),
    ],
)
def test_bad_input_is_one_sentence(data, rate, said, folder):
    before = (folder / "run" / "model.pt").read_bytes()
    result = run("calibrate", folder / "run", folder / data, "--false-alarms-per-hour", rate)
    assert result.exit_code == 2
    assert said in result.output.strip().splitlines()[-1]
    assert (folder / "run" / "model.pt").read_bytes() == before
    assert np.all([p.suffix in (".pt", ".yaml") for p in (folder / "run").iterdir()])


def test_poses_that_are_too_short_are_not_scored(folder, monkeypatch):
    def score(*arguments, **options):
        raise AssertionError("scored")

    monkeypatch.setattr(GEPC, "window_scores", score)
    result = run("calibrate", folder / "run", folder / "normal.npz", "--false-alarms-per-hour", 1)
    assert result.exit_code == 2 and "at least 1 hours long for 1 false alarms" in result.output


def test_warns_of_the_poses_that_the_run_was_trained_on(folder, tmp_path):
    """Whatever file they are in; not of others."""
    train = simulate_crowd("train", num_clips=10, frames_per_clip=40, random_state=1)
    detector = Run(tmp_path / "run").train(train, Options(**SMALL), device="cpu", quiet=True)
    train.save(tmp_path / "copy.npz")
    options = ("--false-alarms-per-hour", 450, "--device", "cpu")
    warned = run("calibrate", tmp_path / "run", tmp_path / "copy.npz", *options)
    assert warned.exit_code == 0
    (line,) = [one for one in warned.stderr.splitlines() if one.startswith("warning: ")]
    assert f"{tmp_path / 'run'} was trained on {tmp_path / 'copy.npz'}" in line
    other = run("calibrate", tmp_path / "run", folder / "normal.npz", *options)
    assert other.exit_code == 0 and "warning" not in other.stderr
    assert detector.was_trained_on(train)
    assert not detector.was_trained_on(train.select(clips=[0]))
    assert not detector.was_trained_on(train.rows(train.frame < 5))
    assert not detector.was_trained_on(simulate_crowd("train", num_clips=1, random_state=1))


def test_the_command_line_sets_the_frame_rate(folder):
    arguments = ("--false-alarms-per-hour", 450, "--fps", 24)
    result = run("calibrate", folder / "run", folder / "no_fps.npz", *arguments)
    assert result.exit_code == 0, result.output
