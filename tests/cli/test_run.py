"""A run's folder: what begins there, what goes on there, and what a refused run takes back."""

from __future__ import annotations

import pytest
import torch
import yaml
from helpers import NETWORK

from gepc_geo.cli.run import Run
from gepc_geo.errors import InputError
from gepc_geo.options import Options

SMALL = {
    **NETWORK,
    "mode": "assignment",
    "budget": 64,
    "batch_size": 32,
}


def begun(folder, **data) -> Run:
    run = Run(folder)
    run.start(resume=False)
    run.write_config(Options(**SMALL), data)
    return run


@pytest.mark.parametrize(
    "name", ["config.yaml", "losses.csv", "checkpoint.pt", "model.pt", "adapted.yaml"]
)
def test_a_folder_with_files_of_a_runs_names_is_refused_and_left_alone(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        InputError,
        match="must be a new folder, (or --resume given, )?got (an existing run|one with)",
    ):
        Run(tmp_path).start(resume=False)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(
        InputError, match=r"could not write \S*run/config.yaml: \S*run is not a writable folder"
    ):
        Run(tmp_path / "run").start(resume=False)


def test_forget_removes_the_files_of_this_start_and_no_others(tmp_path):
    for folder in (tmp_path / "new", tmp_path / "old"):
        (tmp_path / "old").mkdir(exist_ok=True)
        run = begun(folder)
        (folder / "losses.csv").write_text("stage\n")
        (folder / "tensorboard").mkdir()
        (folder / "tensorboard" / "events").write_text("")
        run.forget()
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "old").iterdir()) == []
    run = begun(tmp_path / "new")
    (tmp_path / "new" / "notes.txt").write_text("mine")
    run.forget()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["notes.txt"]


def test_forget_keeps_runs_that_can_be_resumed(tmp_path, walkers):
    run = begun(tmp_path / "run")
    other = Run(tmp_path / "run")
    other.start(resume=True)
    with pytest.raises(
        InputError, match="clusters must be at most 677, the number of training windows, got 99999"
    ):
        other.train(walkers, Options(**SMALL | {"clusters": 99999}), resume=True, quiet=True)
    assert run.config.exists()
    run.checkpoint.write_text("")
    run.forget()
    assert run.config.exists()


def test_resuming_compares_options_and_data(tmp_path):
    run = begun(tmp_path, split="train", normal=["walk"], path="poses")
    content = run.config.read_text()
    assert Run(tmp_path).start(resume=True)["data"]["split"] == "train"
    run.check_resumed(Options(**SMALL), {"split": "train", "normal": ["walk"]})
    for options, data, message in (
        ({"lr": 0.5}, {}, r"^lr must be 0\.001 as in .*config\.yaml, got 0\.5$"),
        ({}, {"split": None}, r"^split must be 'train' as in .*config\.yaml, got None$"),
        (
            {},
            {"normal": ["run"]},
            r"^normal must be \['walk'\] as in .*config\.yaml, got \['run'\]$",
        ),
    ):
        with pytest.raises(InputError, match=message):
            run.check_resumed(Options(**SMALL | options), data)
    assert run.config.read_text() == content


def test_a_run_without_a_network_is_resumed_from_its_beginning(tmp_path, walkers):
    """Without a network there is none; what began is not finished before its model is there."""
    options = Options(lengths=["12", "20"], score_stride=4)
    run = Run(tmp_path)
    run.start(resume=False)
    run.write_config(options, {})
    with pytest.raises(
        InputError, match=r"must be a finished run \(train --resume\), got an unfinished one"
    ):
        Run(tmp_path).check()
    again = Run(tmp_path)
    assert again.start(resume=True) is not None
    again.check_resumed(options, {})
    again.train(walkers, options, resume=True, quiet=True)
    assert Run(tmp_path).load("cpu").lengths_ == (12, 20)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "model.pt"}
    detector = again.load("cpu")
    assert detector.was_trained_on(walkers)
    assert not detector.was_trained_on(walkers.select(clips=range(6)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": {}}, "must be a run's configuration with options by name, got None"),
        ({"options": {}}, "must be a run's configuration with data by name, got None"),
        ({"options": 3, "data": {}}, "must be a run's configuration with options by name, got 3"),
        (
            {"options": {"ln": 3}, "data": {}},
            f"must have only the options {', '.join(Options().written())}, got 'ln'",
        ),
        ([], "must be a run's configuration with values by name, got a list"),
    ],
)
def test_files_that_are_not_configurations_are_refused(content, message, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=f"config.yaml {message}"):
        Run(tmp_path).start(resume=True)


def test_a_resumed_run_keeps_the_precision_that_auto_chose(tmp_path, monkeypatch):
    """So that the very command that began a run goes on with it, on whatever machine."""
    run, cpu = Run(tmp_path), torch.device("cpu")
    monkeypatch.setattr("gepc_geo.training.precision.native_bf16", lambda device: True)
    options = run.settle(Options(precision="auto"), cpu)
    run.write_config(options, data={})
    monkeypatch.setattr("gepc_geo.training.precision.native_bf16", lambda device: False)
    again = run.settle(Options(precision="auto"), cpu)
    assert options.precision == again.precision == "bf16"
    run.check_resumed(again, {})
    assert run.settle(Options(precision="fp32"), cpu).precision == "fp32"
