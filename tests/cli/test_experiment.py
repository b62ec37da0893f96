"""``gepc-geo experiment``, used as a user would: a file of clips in, a folder of results out."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from helpers import NETWORK

from gepc_geo.cli import main
from gepc_geo.experiments import ablation, pool


def run(*arguments: object) -> Result:
    return CliRunner().invoke(
        main, ["experiment", *(str(a) for a in arguments)], catch_exceptions=False
    )


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    return result.output.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def files(actions, tmp_path_factory) -> Path:
    """Clips of actions in the native format, splits of their classes, a tiny network's options."""
    folder = tmp_path_factory.mktemp("actions")
    actions.save(folder / "actions.npz")
    (folder / "splits.yaml").write_text("upright: [stand, walk]\nmoving: [run, walk]\n")
    network = {**NETWORK, "frames": 12, "batch_size": 8}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(network))
    return folder


@pytest.fixture
def given(files, tmp_path) -> list[object]:
    """What most commands here begin with."""
    data = ["--dataset", files / "actions.npz", "--splits", files / "splits.yaml"]
    return [*data, "--config", files / "tiny.yaml", "--budget", 64, "--out", tmp_path / "out"]


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as stream:
        return {row.pop("method"): row for row in csv.DictReader(stream)}


def test_coarse_from_poses_to_tables(given, tmp_path):
    names = ["--methods", "combined,gepc,nearest_neighbour", "--random", 1, "--seed", 3]
    text = good("coarse", *given, *names, "--directions", "few-vs-many")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "cells",
        "config.yaml",
        "means.png",
        "table.csv",
        "table.md",
    }
    assert len(list((out / "cells").iterdir())) == 9
    table = rows(out / "table.csv")
    assert {"gepc", "gepc:latent", "nearest_neighbour"} <= set(table)
    splits = [
        name for name in table["gepc"] if name.split(",")[0] in ("upright", "moving", "random_1")
    ]
    values = [float(table["gepc"][name]) for name in splits]
    assert len(values) == 3
    assert float(table["gepc"]["few-vs-many mean"]) == pytest.approx(np.mean(values), abs=1e-5)
    assert "Splits, few-vs-many" in text and "the best unsupervised baseline" in text
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert set(config["splits"]) == {"upright", "moving", "random_1"}
    assert (config["options"]["budget"], config["options"]["hidden"]) == (64, NETWORK["hidden"])
    assert set(config["seconds_a_training"]) == {"combined", "gepc", "nearest_neighbour"}
    # The same command again only reads.
    before = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert (
        good("coarse", *given, *names, "--directions", "few-vs-many").splitlines()[-20:]
        == (text.splitlines()[-20:])
    )
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()} == before
    line = refused("coarse", *given, *names, "--set", "clusters=2")
    assert line.startswith("Error: clusters must be 3 as in")


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--budget=converge", "--set=budget=converge"])
def test_converge_is_a_budget_of_experiments(given, tmp_path, flag):
    given = [one for one in given if one not in ("--budget", 64)]
    names = ["--methods", "nearest_neighbour", "--directions", "few-vs-many"]
    good("coarse", *given, *names, flag)
    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert config["options"]["budget"] is None


def test_noise_draws_its_curve_of_losses(given, tmp_path):
    text = good("noise", *given, "--methods", "nearest_neighbour", "--seeds", "0,1")
    assert "Loss of AUC" in text
    assert (tmp_path / "out" / "loss.png").exists()
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 2 * 6 * 2


@pytest.mark.slow
def test_noise_takes_other_shares_and_refuses_impossible_ones(given, tmp_path):
    methods = ("--methods", "nearest_neighbour")
    assert "for a share of 90 %, got" in refused("noise", *given, *methods, "--shares", "0,90")
    assert not (tmp_path / "out").exists()
    assert "must be a list of int, got 'a'" in refused("noise", *given, *methods, "--shares", "a")
    text = good("noise", *given, *methods, "--shares", "0,30")
    assert "few-vs-many, noise=30, loss" in text and "noise=20" not in text


def test_the_seed_of_the_configuration_is_the_training_seed(given, files, tmp_path):
    network = yaml.safe_load((files / "tiny.yaml").read_text())
    (tmp_path / "seeded.yaml").write_text(yaml.safe_dump({**network, "seed": 7}))
    names = ["--methods", "nearest_neighbour", "--directions", "few-vs-many"]
    given[given.index("--config") + 1] = tmp_path / "seeded.yaml"
    good("coarse", *given, *names)
    out = tmp_path / "out"
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["seeds"] == [7]
    assert all("seed=7" in path.name for path in (out / "cells").iterdir())
    # Other seeds only add to it.
    good("coarse", *given, *names, "--seeds", "7,8")
    assert len(list((out / "cells").iterdir())) == 4


@pytest.mark.slow
def test_ablation_has_a_row_for_each_variant(given, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "VARIED", {"target": ("dec", "paper")})
    text = good(
        "ablation",
        *given,
        "--directions",
        "few-vs-many",
        "--set",
        "encoder_channels=[2]",
        "--set",
        "strides=[6]",
    )
    assert "target=paper minus default, assignment: " in text
    assert "target=paper minus default, assignment: " in text
    table = rows(tmp_path / "out" / "table.csv")
    assert {"default", "target=paper", "pooling=none", "pooling=none:max"} <= set(table)


@pytest.mark.slow
def test_streams_and_fine_on_real_data(real_data, tmp_path):
    data = real_data("penn_action")
    chosen = ["--splits", "jumps", "--directions", "few-vs-many", "--methods", "isolation_forest"]
    less = ["--set", "score_stride=12", "--set", "stride=12"]
    text = good("streams", "--data", data, *chosen, *less, "--out", tmp_path / "streams")
    assert "AUC smoothed" in text
    assert "composed" in (tmp_path / "streams" / "table.md").read_text().splitlines()[0]
    table = rows(tmp_path / "streams" / "table.csv")
    assert float(table["isolation_forest"]["few-vs-many mean"]) > 0.6
    # As many windows as a quick test can bear.
    command = ["--data", real_data("shanghaitech_boxes"), "--methods", "motion_mixture"]
    less = ["--set", "score_stride=12", "--set", "stride=60"]
    good("fine", *command, *less, "--out", tmp_path / "fine")
    (row,) = rows(tmp_path / "fine" / "table.csv").values()
    # 0.78 with every window; most abnormal of random scores gives 0.60.
    assert float(row["AUC mean"]) > 0.7 and float(row["AUC smoothed mean"]) > 0.7


def test_set_takes_numbers_as_a_configuration_file_does(given, tmp_path):
    good("coarse", *given, "--methods", "nearest_neighbour", "--set", "lr=1e-3")
    assert yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["options"]["lr"] == 0.001


def test_an_interrupted_experiment_tells_how_to_resume(given, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "run_cell", stop)
    result = run("coarse", *given, "--methods", "nearest_neighbour")
    assert result.exit_code == 130
    assert (
        f"the same command resumes after the finished trainings (results: {tmp_path / 'out'})"
        in result.output
    )
    assert "coarse: 4 trainings, 0 already finished" in result.output
    monkeypatch.undo()
    good("coarse", *given, "--methods", "nearest_neighbour")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 1, 5])
def test_ctrl_c_ends_the_workers_too(seconds, given, tmp_path):
    """Ctrl-C with two jobs: exit code 130, and cells that are whole."""
    arguments = [*given, "--methods", "gepc", "--budget", 10_000_000, "--jobs", 2]
    command = [sys.executable, "-m", "gepc_geo", "experiment", "coarse", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
    )
    config = tmp_path / "out" / "config.yaml"
    for _ in range(1200):
        if config.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    assert config.exists(), process.communicate()[1]
    # Before workers are started, while they are, while they compute.
    time.sleep(seconds)
    # As a terminal does: to this process and its workers.
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=120)
    finally:
        # Workers end with it.
        process.kill()
    assert process.returncode == 130 and "Traceback" not in errors, errors
    assert "interrupted; the same command resumes after the finished trainings" in errors
    assert not list((tmp_path / "out").glob("cells/*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--methods", "knn"],
            "--methods must be default, all or some of combined, gepc, paper",
        ),
        (
            ["--seeds", "0,0"],
            "--seeds must be different whole numbers from 0 to 4294967295, got '0,0'",
        ),
        (["--seeds", "a"], "--seeds must be different whole numbers from 0 to 4294967295, got 'a'"),
        (["--directions", "all"], "--directions must be few-vs-many or many-vs-few, got 'all'"),
        (
            ["--directions", "few-vs-many,few-vs-many"],
            "directions must be different, got 'few-vs-many' twice",
        ),
        (["--set", "seed=5"], "--set must not have seed (use --seeds instead), got seed=5"),
        (
            ["--set", "frames=null"],
            "--set must have a value (only --config takes null), got 'frames=null'",
        ),
        (["--set", "clusters"], "--set must be NAME=VALUE, got 'clusters'"),
        (["--set", "clusters=[1"], "--set must have a value in YAML, got 'clusters=[1'"),
        (["--set", "lr=2020-13-45"], "--set must have a value in YAML, got 'lr=2020-13-45'"),
        (
            ["--seeds", "4294967296"],
            "different whole numbers from 0 to 4294967295, got '4294967296'",
        ),
        (["--set", "clusters=x"], "the command line: clusters must be a whole number, got 'x'"),
        (["--splits", "packaged"], "--splits must be a YAML file, none or, for"),
        (["--splits", "none"], "splits must be given by --splits or --random, got none"),
        (
            ["--splits", "nw_ucla"],
            "actions.npz: split 'pick_and_drop' must have classes of the data (",
        ),
        (["--data", "here"], "--data must not be given with --dataset"),
        (
            ["--dataset", "ucla"],
            "--dataset must be penn_action, nw_ucla or an existing file of poses, got 'ucla'",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(arguments, message, given, tmp_path):
    assert message in refused("coarse", *given, *arguments)
    assert not (tmp_path / "out").exists()


def test_data_without_halves_and_missing_data_are_refused(
    files, given, actions, tmp_path, monkeypatch
):
    actions.with_(clip_split=None).save(tmp_path / "whole.npz")
    line = refused("coarse", *given, "--dataset", tmp_path / "whole.npz")
    wanted = "the data must have clips of splits train and test"
    assert line == f"Error: {tmp_path}/whole.npz: {wanted}, got no splits"
    actions.with_(clip_split=["test"] * actions.num_clips).save(tmp_path / "test.npz")
    line = refused("coarse", *given, "--dataset", tmp_path / "test.npz")
    assert line == f"Error: {tmp_path}/test.npz: {wanted}, got test"
    monkeypatch.delenv("GEPC_GEO_DATA", raising=False)
    line = refused("coarse", "--dataset", "nw_ucla", "--out", tmp_path / "out")
    assert line == "Error: --data must be the folder of nw_ucla, got none"
    monkeypatch.setenv("GEPC_GEO_DATA", str(tmp_path))
    where = ("--dataset", "nw_ucla", "--out", tmp_path / "out")
    line = refused("coarse", *where)
    assert line.startswith(
        f"Error: {tmp_path}/nw_ucla does not exist: put the .json files of Northwestern-UCLA"
    )
    assert line.endswith(f" into {tmp_path}/nw_ucla/all_sqe")
    (tmp_path / "nw_ucla" / "all_sqe").mkdir(parents=True)
    assert f"{tmp_path}/nw_ucla/all_sqe must have the .json files of" in refused("coarse", *where)
    for name, folder in (("streams", "penn_action"), ("fine", "shanghaitech_boxes")):
        line = refused(name, "--out", tmp_path / "out")
        assert line.startswith(f"Error: {tmp_path}/{folder} does not exist: put the ")
    assert not (tmp_path / "out").exists()


def test_help_lists_the_methods_of_each_experiment(given):
    listed = {}
    for name in ("coarse", "fine", "streams", "noise"):
        text = " ".join(good(name, "--help").split())
        listed[name] = text.split("all, or some of ")[1].split(". [default")[0].split(", ")
    # What the refusal names for these poses in 2D is what the help lists.
    line = refused("coarse", *given, "--methods", "motion_mixture")
    assert "which is not for these poses or this experiment" in line
    taken = line.split("all or some of ")[1].split(", got ")[0].split(", ")
    assert [one.removesuffix(" (poses in 2D)") for one in listed["coarse"]] == taken
    assert "trajectory (poses in 2D)" in listed["coarse"]
    assert "motion_mixture" in listed["fine"] and "motion_mixture" not in listed["noise"]
    assert "softmax" in listed["streams"] and "softmax" not in listed["noise"]
    assert "--methods" not in good("ablation", "--help")


def test_other_poses_in_a_used_folder_are_refused(given, actions, files, tmp_path):
    given = [*given, "--methods", "nearest_neighbour", "--directions", "few-vs-many"]
    good("coarse", *given)
    actions.with_(keypoints=actions.keypoints + 1).save(tmp_path / "moved.npz")
    line = refused("coarse", *given, "--dataset", tmp_path / "moved.npz")
    assert line.startswith("Error: the poses must have checksum ")
    assert f" as in {tmp_path}/out/config.yaml, got " in line
    assert line.endswith(": use the same poses or another folder (--out)")
