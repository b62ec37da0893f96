"""The command line, used as a user would: files in, files out, one sentence for what is wrong."""

from __future__ import annotations

import builtins
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from helpers import shrink_demo

from gepc_geo import GEPC, PoseTracks
from gepc_geo.cli import main
from gepc_geo.cli.run import Run
from gepc_geo.datasets.simulate import write_crowd
from gepc_geo.options import MODES, NAMES, Options
from gepc_geo.options.metadata import written_name
from gepc_geo.poses.skeleton import SKELETONS

TINY = [
    "--hidden",
    "2",
    "--encoder-channels",
    "2,2,2",
    "--strides",
    "1,2,3",
    "--decoder-channels",
    "2,2",
    "--budget",
    "1280",
    "--batch-size",
    "32",
    "--clusters",
    "4",
    "--components",
    "3",
    "--stride",
    "4",
    "--score-stride",
    "3",
    "--augment",
    "none",
    "--mode",
    "assignment",
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.strip().splitlines() if line]
    assert lines[-1].startswith("Error: ")
    return lines[-1]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A crowd as AlphaPose files with masks; ``run`` has a network, ``plain`` has none."""
    folder = tmp_path_factory.mktemp("files")
    write_crowd(folder, random_state=1, train_clips=12, test_clips=9, frames_per_clip=60)
    good("train", folder / "train", "--out", folder / "run", *TINY, "--fps", 24)
    plain = ("--lengths", "12,20", "--stride", 4, "--score-stride", 3)
    good("train", folder / "train", "--out", folder / "plain", *plain)
    return folder


@pytest.fixture(scope="module")
def classes(tmp_path_factory, walkers) -> Path:
    """Clips with classes and splits in the native format, and a clip-level run."""
    folder = tmp_path_factory.mktemp("classes")
    count = walkers.num_clips
    labels = ["walk", "walk", "walk", "jump"] * (count // 4)
    splits = ["train"] * (count // 2) + ["test"] * (count // 2)
    walkers.with_(clip_label=labels, clip_split=splits, frame_labels=None).save(folder / "c.npz")
    data = (folder / "c.npz", "--normal", "walk")
    good("train", *data, "--split", "train", "--frames", 24, "--out", folder / "run", *TINY)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_command_has_help_with_an_example():
    assert "train" in good("--help")
    for name in main.commands:
        text = good(name, "--help")
        assert f"gepc-geo {name} " in text.split("For example:", 1)[1], name


def test_the_demos_own_defaults_are_in_its_help():
    for name, stride in (("demo", "4"), ("train", "1")):
        assert re.search(rf"--score-stride .*?default:\s+{stride}\]", good(name, "--help"), re.S)


def test_every_option_is_a_flag():
    text = good("train", "--help")
    for name in map(written_name, fields(Options)):
        assert f"--{name.replace('_', '-')}" in text, name


def test_training_writes_configuration_model_losses_and_checkpoint(files):
    run_folder = files / "run"
    assert {p.name for p in run_folder.iterdir()} == {
        "config.yaml",
        "losses.csv",
        "checkpoint.pt",
        "model.pt",
    }
    config = yaml.safe_load((run_folder / "config.yaml").read_text())
    assert set(config["options"]) == {*NAMES, "seed"} - {"random_state"}
    assert config["options"]["hidden"] == 2
    assert GEPC.load(run_folder / "model.pt").options_.written() == config["options"]
    # Without a network there is no loss.
    names = {"config.yaml", "model.pt"}
    assert {p.name for p in (files / "plain").iterdir()} == names


def test_modes_of_a_network_are_refused_by_runs_without_one(files, tmp_path):
    masks = ("--labels", files / "test_masks")
    for command, out, more in (
        ("score", "s.csv", ()),
        ("score", "s.npz", ("--level", "joint")),
        ("evaluate", "m.json", masks),
        ("report", "r.html", ()),
    ):
        data = (files / "plain", files / "test", "--out", tmp_path / out)
        said = refused(command, *data, "--mode", "latent", *more)
        assert "got 'latent', which needs a network" in said
    assert "which needs a network" in refused(
        "export", files / "plain", "--mode", "max", "--out", tmp_path / "g.onnx"
    )
    assert not list(tmp_path.iterdir())


def test_runs_without_a_network_have_the_window_modes(files, tmp_path):
    out = tmp_path / "m.json"
    data = (files / "plain", files / "test", "--labels", files / "test_masks")
    good("evaluate", *data, "--out", out, "--no-plots")
    metrics = json.loads(out.read_text())
    assert set(metrics["auc_by_mode"]) == {"combined", "nearest", "altered"}
    assert metrics["auc_by_mode"]["combined"] == metrics["auc"]
    good("score", *data[:2], "--level", "window", "--out", tmp_path / "w.csv")
    assert {row["length"] for row in rows(tmp_path / "w.csv")} == {"12", "20"}


@pytest.mark.slow
def test_the_saved_configuration_trains_the_same_model(files, tmp_path):
    config = files / "run" / "config.yaml"
    good("train", files / "train", "--out", tmp_path / "again", "--config", config)
    ours = np.array([r["score"] for r in scores_of(files / "run", files, tmp_path / "a.csv")])
    again = np.array([r["score"] for r in scores_of(tmp_path / "again", files, tmp_path / "b.csv")])
    np.testing.assert_array_equal(ours, again)


def scores_of(run_folder: Path, files: Path, out: Path) -> list[dict[str, str]]:
    good("score", run_folder, files / "test", "--out", out)
    return rows(out)


def test_frame_scores_name_the_person(files, tmp_path):
    table = scores_of(files / "run", files, tmp_path / "s.csv")
    assert list(table[0]) == ["clip", "frame", "score", "person", "state"]
    detector = GEPC.load(files / "run" / "model.pt", device="cpu")
    from gepc_geo.io import read

    tracks = read(files / "test")
    assert len(table) == int(tracks.clip_length.sum())
    empty = [float(r["score"]) for r in table if r["person"] == "-1"]
    assert np.allclose(empty, detector.calibration_.most_normal[detector.mode], rtol=1e-4)
    # The named person is really in that frame's neighbourhood.
    named = [r for r in table if r["person"] != "-1"]
    for r in named[:: max(1, len(named) // 50)]:
        clip = tracks.clip_names.index(r["clip"])
        mine = (tracks.clip == clip) & (tracks.track == int(r["person"]))
        assert (np.abs(tracks.frame[mine] - int(r["frame"])) <= 3).any()


@pytest.mark.parametrize("level", ["joint", "window", "person", "frame", "clip"])
def test_every_level_as_csv_and_npz(level, files, tmp_path):
    for suffix in ("csv", "npz"):
        out = tmp_path / f"s.{suffix}"
        good("score", files / "run", files / "test", "--level", level, "--out", out)
    table = rows(tmp_path / "s.csv")
    with np.load(tmp_path / "s.npz") as arrays:
        assert list(arrays) == list(table[0])
        assert len(arrays["clip"]) == len(table)
        np.testing.assert_allclose(
            arrays["score"], [float(r["score"]) for r in table], rtol=1e-4, atol=1e-6
        )
        if level == "joint":
            shares = np.stack([arrays[name] for name in SKELETONS["coco17"].joints])
            np.testing.assert_allclose(shares.sum(0), 1, rtol=1e-4)


def test_known_labels_become_a_column(files, classes, tmp_path):
    out = tmp_path / "s.csv"
    good("score", files / "run", files / "test", "--labels", files / "test_masks", "--out", out)
    assert {r["label"] for r in rows(out)} == {"0", "1"}
    data = (classes / "c.npz", "--split", "test", "--normal", "walk", "--frames", 24)
    good("score", classes / "run", *data, "--out", out)
    table = rows(out)
    assert [r["label"] for r in table] == ["0", "0", "0", "1"][2:] + ["0", "0", "0", "1"]


def test_evaluate_measures_frames(files, tmp_path):
    out = tmp_path / "metrics.json"
    data = (files / "run", files / "test", "--labels", files / "test_masks", "--out", out)
    text = good("evaluate", *data, "--smooth", 3)
    metrics = json.loads(out.read_text())
    for key in (
        "auc",
        "auc_macro",
        "ap",
        "eer",
        "n_frames",
        "n_clips",
        "protocol",
        "smooth",
        "mode",
    ):
        assert key in metrics and key in text
    assert (metrics["n_frames"], metrics["n_clips"], metrics["smooth"]) == (9 * 60, 9, 3.0)
    assert set(metrics["auc_by_mode"]) == set(MODES)
    assert metrics["auc"] == metrics["auc_by_mode"][metrics["mode"]]
    assert metrics["auc"] == metrics["auc_people_uncorrected"] == metrics["auc_padded_dropped"]
    plots = [tmp_path / name for name in ("metrics_roc.png", "metrics_timelines.png")]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in plots)
    assert text.splitlines()[-1] == f"plots:   {plots[0]}, {plots[1]}"
    help_ = " ".join(good("evaluate", "--help").split())
    assert all(path.name in help_ for path in plots)


def test_clips_without_a_mask_are_warned_of(files, tmp_path):
    masks = sorted((files / "test_masks").glob("*.npy"))
    few = tmp_path / "few"
    few.mkdir()
    for path in masks[1:]:
        (few / path.name).symlink_to(path)
    data = (files / "run", files / "test", "--out", tmp_path / "m.json", "--no-plots")
    text = good("evaluate", *data, "--labels", few)
    note = f"note: 1 of 9 clips have no mask in {few} and are not measured, the first is"
    assert f"{note} {masks[0].stem!r}" in text
    assert "note:" not in good("evaluate", *data, "--labels", files / "test_masks")


def test_metrics_come_from_the_scores_that_score_writes(files, tmp_path):
    """AUC recomputed from the CSV with scikit-learn."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    labels = ("--labels", files / "test_masks")
    for more in ((), ("--protocol", "reference"), ("--smooth", 4), ("--people-correction",)):
        out = tmp_path / "m.json"
        good("evaluate", files / "run", files / "test", *labels, "--out", out, "--no-plots", *more)
        good("score", files / "run", files / "test", *labels, "--out", tmp_path / "s.npz", *more)
        metrics = json.loads(out.read_text())
        with np.load(tmp_path / "s.npz") as table:
            assert metrics["auc"] == pytest.approx(roc_auc_score(table["label"], table["score"]))
            assert metrics["ap"] == pytest.approx(
                average_precision_score(table["label"], table["score"])
            )
    assert not (tmp_path / "m_roc.png").exists()


def test_evaluate_measures_clips(classes, tmp_path):
    out = tmp_path / "m.json"
    data = (classes / "run", classes / "c.npz", "--split", "test", "--normal", "walk")
    good("evaluate", *data, "--out", out)
    metrics = json.loads(out.read_text())
    assert (metrics["level"], metrics["n_clips"], metrics["auc_macro"]) == ("clip", 6, None)
    assert "auc_padded_dropped" in metrics


def test_convert_and_info(files, classes, tmp_path):
    out = tmp_path / "t.npz"
    good("convert", files / "test", "--labels", files / "test_masks", "--fps", 25, "--out", out)
    tracks = PoseTracks.load(out)
    assert tracks.num_clips == 9 and (tracks.fps == 25).all() and tracks.frame_labels is not None
    text = good("info", out)
    for expected in (
        "clips           9",
        "17 (coco17), 2D",
        "fps             25",
        "missing joints",
    ):
        assert expected in text
    assert "0.5s, 1s, 2s are 12, 25, 50 frames at 25 fps" in text
    good("convert", classes / "c.npz", "--normal", "jump", "--out", out)
    assert set(PoseTracks.load(out).clip_label) == {"jump"}
    detector = GEPC.load(files / "run" / "model.pt", device="cpu")
    count = sum(p.numel() for p in detector.network_.model.parameters())
    for path in (files / "run", files / "run" / "model.pt"):
        text = good("info", path)
        assert f"parameters      {count:,}" in text
        assert "FLOPs a window" in text and "hidden              2" in text
        assert text.startswith("detector        autoencoder, clusters and mixture; nearest people")
    text = good("info", files / "plain")
    plain = "nearest people and classifier of altered windows"
    first = f"detector        {plain}\nwindows         12, 20 frames"
    assert text.startswith(first) and "parameters" not in text and "precision  " in text
    assert "input           6 coefficients over time, 3 of motion" in text
    assert "24 frames, whole clips stretched to them" in good("info", classes / "run")


def test_another_frame_rate_is_warned_of(files, tmp_path):
    data = (files / "test", "--out", tmp_path / "s.csv")
    assert "warning: the poses have 12 frames a second, training had 24" in good(
        "score", files / "run", *data, "--fps", 12
    )
    assert "warning" not in good("score", files / "run", *data, "--fps", 24)


@pytest.mark.slow
def test_interrupted_run_is_resumable(files, tmp_path):
    """Ctrl-C: exit code 130, a sentence, a checkpoint; --resume finishes what was begun."""
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "gepc_geo",
        "train",
        str(files / "train"),
        "--out",
        str(folder),
    ]
    more = [*TINY, "--budget", "3200", "--checkpoint-seconds", "0"]
    process = subprocess.Popen(
        [*command, *more],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would the child of one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (folder / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=120)
    assert process.returncode == 130, text
    assert "the same command with --resume resumes" in text
    assert not (folder / "model.pt").exists()
    assert "must be a finished run (train --resume), got an unfinished one" in refused(
        "info", folder
    )
    assert "must be a new folder, or --resume given, got an existing run" in refused(
        "train", files / "train", "--out", folder, *TINY
    )
    begun = (folder / "config.yaml").read_bytes()
    for flags, message in (
        (("--lr", 0.5), "lr must be 0.001 as in"),
        (("--fps", 24), "fps must be None as in"),
        (("--preset", "paper"), "lengths must be ['0.5s', '1s', '2s'] as in"),
    ):
        assert message in refused("train", files / "train", "--out", folder, "--resume", *flags)
        assert (folder / "config.yaml").read_bytes() == begun
    good("train", files / "train", "--out", folder, "--resume")
    assert (folder / "config.yaml").read_bytes() == begun
    assert GEPC.load(folder / "model.pt").budget == 3200


def test_bad_input_is_one_sentence(files, classes, tmp_path):
    out, run_folder, test = tmp_path / "o.csv", files / "run", files / "test"
    masks, json_ = files / "test_masks", tmp_path / "m.json"
    cases = {
        ("train", tmp_path / "none", "--out", tmp_path / "r"): "none does not exist",
        ("train", test, "--out", tmp_path / "r", "--lr", "nan"): "lr must be at least 0, got nan",
        (
            "train",
            test,
            "--out",
            tmp_path / "r",
            "--lengths",
            "1s,1",
        ): "lengths must be frames, at least 2 (12), or seconds (0.5s), got '1'",
        ("train", test, "--out", tmp_path / "r", "--lengths", "12", "--frames", "24"): (
            "lengths must not be given with frames 24 (a whole clip is one window), got 12"
        ),
        ("train", test, "--out", tmp_path / "r", "--preset", "gepc", "--coefficients", "4"): (
            "coefficients must be a multiple of 6, the product of the strides, got 4"
        ),
        (
            "train",
            test,
            "--out",
            tmp_path / "r",
            "--normal",
            "walk",
        ): "class must be one of the data's (none), got 'walk'",
        (
            "train",
            test,
            "--out",
            tmp_path / "r",
            "--split",
            "x",
        ): "split must be one of the data's (none), got 'x'",
        (
            "train",
            test,
            "--out",
            tmp_path / "r",
            "--skeleton",
            "ntu25",
        ): "must have 25 joints (skeleton 'ntu25'), got 17",
        (
            "train",
            test,
            "--out",
            tmp_path / "r",
            "--fps",
            "-1",
        ): "--fps must be more than 0, got -1.0",
        (
            "train",
            test,
            "--out",
            tmp_path / "r",
            "--resume",
        ): "r/config.yaml does not exist: there is no run to resume",
        ("train", test, "--out", tmp_path / "r", "--device", "abacus"): (
            "Error: device must be auto, cpu or cuda, got 'abacus'"
        ),
        **{
            ("train", test, "--out", tmp_path / "r", "--device", device): (
                f"Error: device must be auto, cpu or cuda, got {device!r}"
            )
            for device in ("meta", "mps", "xpu", "xla:1")
        },
        (
            "score",
            run_folder,
            test,
            "--out",
            out,
            "--device",
            "mps",
        ): "device must be auto, cpu or cuda, got 'mps'",
        (
            "train",
            test,
            "--out",
            tmp_path / "r",
            "--contamination",
            "0",
        ): "contamination must be at least 1e-06, got 0.0",
        ("score", run_folder, test, "--out", files): "must have suffix .csv or .npz, got ''",
        ("score", run_folder, test, "--out", out, "--level", "window", "--normal", "x"): (
            "--normal must be given with --level clip only, got x with --level window"
        ),
        ("score", run_folder, test, "--out", out, "--level", "clip", "--labels", masks): (
            f"--labels must be given with --level frame only, got {masks} with --level clip"
        ),
        ("score", run_folder, test, "--out", out, "--level", "window", "--smooth", "5"): (
            "level must be frame for smooth 5.0, got window"
        ),
        ("evaluate", run_folder, test, "--labels", masks, "--normal", "x", "--out", json_): (
            "only one of --labels (of frames) and --normal (of clips) must be given, "
            f"got {masks} and x"
        ),
        (
            "evaluate",
            classes / "run",
            classes / "c.npz",
            "--normal",
            "walk",
            "--out",
            json_,
            "--protocol",
            "reference",
        ): "level must be frame for protocol reference, got clip",
        (
            "info",
            classes / "c.npz",
            "--normal",
            "swim",
        ): "class must be one of the data's (jump, walk), got 'swim'",
        (
            "score",
            tmp_path / "none",
            test,
            "--out",
            out,
        ): "none does not exist: RUN must be the folder of a run or its model.pt",
        (
            "score",
            run_folder,
            test,
            "--out",
            tmp_path / "o.txt",
        ): "must have suffix .csv or .npz, got '.txt'",
        ("score", files / "plain", classes / "c.npz", "--out", out, "--frames", "24"): (
            f"--frames must not be given for {files / 'plain'}, which scores windows of 12 and 20 "
            "frames and not whole clips, got 24"
        ),
        ("score", classes / "run", classes / "c.npz", "--out", out, "--frames", "12"): (
            f"--frames must be 24 as in {classes / 'run'}, got 12"
        ),
        (
            "score",
            classes / "run",
            classes / "c.npz",
            "--out",
            out,
            "--level",
            "frame",
        ): "whole clips",
        (
            "score",
            run_folder,
            test,
            "--out",
            out,
            "--smooth",
            "-2",
        ): "smooth must be 0 or more frames, got -2.0",
        ("evaluate", run_folder, test, "--out", tmp_path / "m.json"): "got neither",
        (
            "evaluate",
            run_folder,
            test,
            "--out",
            tmp_path / "m.txt",
        ): "must have suffix .json, got '.txt'",
        (
            "evaluate",
            run_folder,
            test,
            "--labels",
            tmp_path,
            "--out",
            tmp_path / "m.json",
        ): "must have masks of clips",
        (
            "convert",
            test,
            "--out",
            tmp_path / "c.csv",
        ): "must have suffix .npz with --to native, got '.csv'",
        ("info", tmp_path / "none"): "none does not exist",
    }
    for arguments, expected in cases.items():
        assert expected in refused(*arguments), arguments
    assert not list(tmp_path.iterdir())


def test_removed_flags_name_what_replaces_them(files, tmp_path):
    line = refused("train", files / "train", "--out", tmp_path / "r", "--covariance", "diag")
    assert line.endswith("--covariance must not be given: Gaussians have full covariances")
    assert not (tmp_path / "r").exists()


def test_removed_values_of_flags_name_what_replaces_them(files, tmp_path):
    line = refused("train", files / "train", "--out", tmp_path / "r", "--scale", "torso")
    message = "'--scale': must be rms or image, got 'torso': train again with scale rms"
    assert message in line
    line = refused("train", files / "train", "--out", tmp_path / "r", "--scale", "knee")
    assert "'knee' is not one of 'rms', 'image'" in line
    assert not (tmp_path / "r").exists()


def test_configuration_files_that_cannot_be_used(files, tmp_path):
    config = tmp_path / "c.yaml"
    for text, expected in (
        ("budget: lots", "budget must be a whole number, got 'lots'"),
        ("bugdet: 3", "must have only the options lengths, "),
        ("- 3", "must be a configuration with values by name, got a list"),
        ("a: [", "must be a configuration in YAML, got an error: "),
        (
            "branches: [static, dynamic]",
            "branches must be static or global or inferred, got 'dynamic'",
        ),
    ):
        config.write_text(text)
        line = refused("train", files / "train", "--out", tmp_path / "r", "--config", config)
        assert expected in line and "c.yaml" in line
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_configuration_files_take_exponents_without_a_point(files, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("lr: 2e-3\nweight_decay: 1e-6\n")
    good("train", files / "train", "--out", tmp_path / "r", *TINY, "--config", config)
    written = yaml.safe_load((tmp_path / "r" / "config.yaml").read_text())["options"]
    assert (written["lr"], float(written["weight_decay"])) == (2e-3, 1e-6)
    again = tmp_path / "r" / "config.yaml"
    good("train", files / "train", "--out", tmp_path / "s", "--config", again)


def test_a_refused_training_removes_its_own_files_and_no_others(files, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.yaml").write_text("budget: 640\n")
    data = ("train", files / "train", "--out")
    line = refused(*data, mine, "--config", mine / "config.yaml", "--clusters", 99999)
    assert "mine must be a new folder, or --resume given, got an existing run" in line
    assert (mine / "config.yaml").read_text() == "budget: 640\n"
    assert "training windows of the rarest length, got 99999" in refused(
        *data, tmp_path / "r", *TINY, "--clusters", 99999
    )
    # Diverges before its first checkpoint, when log and events are begun.
    wild = ("--lr", 1e30, "--tensorboard")
    assert "loss must be finite, got nan" in refused(*data, tmp_path / "r", *TINY, *wild)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["d.csv", "d.npz", "d.json"])
def test_folders_in_place_of_results_are_refused_before_the_work(
    name, files, tmp_path, monkeypatch
):
    monkeypatch.setattr(GEPC, "window_scores", None)
    out = tmp_path / name
    out.mkdir()
    labels = ("--labels", files / "test_masks", "--out", out)
    commands = {
        "d.csv": ("score", files / "run", files / "test"),
        "d.npz": ("convert", files / "test"),
        "d.json": ("evaluate", files / "run", files / "test"),
    }
    line = refused(*commands[name], *labels)
    assert f"{name} must be a file to write, got a folder" in line
    assert list(tmp_path.iterdir()) == [out] and not list(out.iterdir())


def test_without_matplotlib_there_are_metrics_and_a_note(files, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    out = tmp_path / "m.json"
    labels = ("--labels", files / "test_masks", "--out", out)
    text = good("evaluate", files / "run", files / "test", *labels)
    assert "note: no plots without matplotlib" in text
    assert "note" not in good("evaluate", files / "run", files / "test", *labels, "--no-plots")
    assert 0 <= json.loads(out.read_text())["auc"] <= 1
    assert list(tmp_path.iterdir()) == [out]


def test_one_bad_file_among_the_poses_is_named(files, tmp_path):
    folder = tmp_path / "poses"
    folder.mkdir()
    for path in (files / "test").iterdir():
        os.link(path, folder / path.name)
    bad = folder / "zz_alphapose_tracked_person.json"
    bad.write_text('{"1": {"0": {"keypoints": [1, 2, 3]}}}')
    line = refused("score", files / "run", folder, "--out", tmp_path / "s.csv")
    assert "zz_alphapose_tracked_person.json must have poses of 17 (coco17)" in line


@pytest.mark.slow
def test_the_model_file_of_a_run_stands_for_the_run(files, tmp_path):
    """RUN/model.pt is RUN, as info takes it; a copy of another name is a model without a run."""
    folder = tmp_path / "run"
    shutil.copytree(files / "run", folder)
    model, test, masks = folder / "model.pt", files / "test", files / "test_masks"
    copy = tmp_path / "copy.pt"
    shutil.copy(model, copy)
    fps, marked = ("--fps", 24), ("--labels", masks)
    tables = []
    for name, run in (("folder", folder), ("model", model), ("copy", copy)):
        out = tmp_path / name
        good("score", run, test, "--out", out / "s.csv")
        good("evaluate", run, test, *marked, "--no-plots", "--out", out / "m.json")
        good("adapt", run, test, *fps, "--out", out / "adapted")
        tables.append([(out / one).read_bytes() for one in ("s.csv", "m.json")])
        # Only beside the run's own model do its configuration and its checkpoint lie.
        note = f"note: {copy}/config.yaml does not exist: the page has no training poses"
        assert (note in run_report(run, test, tmp_path)) == (run == copy)
        trained = Run(out / "adapted").trained().folder
        assert trained == (copy if run == copy else folder).resolve()
    assert tables[0] == tables[1] == tables[2]
    for run in (model, copy):
        data = (run, test, "--false-alarms-per-hour", 2000, *fps)
        assert good("calibrate", *data).splitlines()[-1] == f"model: {run}"
        assert "no alarm" not in good("info", run)
    result = CliRunner().invoke(main, ["watch", str(model)], input="", catch_exceptions=False)
    assert result.exit_code == 0 and "2000 false alarms an hour" in result.stderr
    good("export", model, "--format", "torch", "--out", tmp_path / "graph.pt2")
    (tmp_path / "other.pt").write_text("text")
    said = refused("score", tmp_path / "other.pt", test, "--out", tmp_path / "s.csv")
    assert "other.pt must be a gepc_geo model, got an error" in said


def run_report(run: Path, test: Path, folder: Path) -> str:
    words = ("report", str(run), str(test), "--out", str(folder / "page.html"))
    return CliRunner().invoke(main, words, catch_exceptions=False).stderr


def test_refusals_about_classes_name_the_data(classes, tmp_path):
    data, run_folder, scores = classes / "c.npz", classes / "run", classes / "scores.csv"
    scores.write_text("clip,person,score\n")
    for words in (
        ("train", data, "--out", tmp_path / "new"),
        ("score", run_folder, data, "--out", tmp_path / "s.csv"),
        ("evaluate", run_folder, data, "--out", tmp_path / "m.json"),
        ("report", run_folder, data, "--out", tmp_path / "r.html"),
        ("calibrate", run_folder, data, "--false-alarms-per-hour", 1),
        ("adapt", run_folder, data, "--out", tmp_path / "new"),
        ("render", data, "--scores", scores, "--out", tmp_path / "f.gif"),
        ("convert", data, "--out", tmp_path / "c.npz"),
    ):
        said = refused(*words, "--normal", "swim")
        assert said == f"Error: {data}: class must be one of the data's (jump, walk), got 'swim'"
    assert not list(tmp_path.iterdir())


def test_corrupt_models_are_refused(files, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    content = (files / "run" / "model.pt").read_bytes()
    (folder / "model.pt").write_bytes(content[: len(content) // 2])
    line = refused("score", folder, files / "test", "--out", tmp_path / "s.csv")
    assert "model.pt must be a gepc_geo model, got an error" in line


def test_demo_at_a_small_size(tmp_path, monkeypatch):
    shrink_demo(monkeypatch)
    out = tmp_path / "demo"
    text = good("demo", "--out", out, *TINY, "--budget", 320, "--score-stride", 6, "--seed", 1)
    auc = json.loads((out / "metrics.json").read_text())["auc"]
    assert f"AUC {auc:.3f} over all clips" in text
    assert "untrained" in text and "mixture on the input" in text
    for kind in ("running", "falling", "jumping", "cycling", "waving", "fighting", "loitering"):
        assert kind in text
    why = (
        "loitering and fighting are left out. A window shows one person for a short time, and does "
        "not show how long somebody stays or what two people do to each other.\n"
    )
    assert text.index("mixture on the input") < text.index(why) < text.index("by kind of anomaly")
    for name in (
        "scores.csv",
        "metrics.json",
        "metrics_roc.png",
        "metrics_timelines.png",
        "model.pt",
        "report.html",
    ):
        assert ((out / name).exists() and name in text) or name == "model.pt"
    assert "running_" in (out / "report.html").read_text(encoding="utf-8")
    assert list((out / "poses" / "train").glob("*_alphapose_tracked_person.json"))
    other = (*TINY, "--budget", 320, "--score-stride", 6, "--seed", 1, "--hidden", 3)
    assert "hidden must be 2 as in" in refused("demo", "--out", out, *other)


@pytest.mark.slow
def test_the_demo_of_the_default_has_no_network(tmp_path, monkeypatch):
    shrink_demo(monkeypatch)
    text = good("demo", "--out", tmp_path, "--lengths", "12,20", "--score-stride", 6)
    assert "untrained" not in text
    modes = r"combined 0\.\d{3}  nearest 0\.\d{3}  altered 0\.\d{3}"
    assert re.search(rf"^  detector +{modes}$", text, re.M)
    assert re.search(r"^  mixture on the input +- 0\.\d{3}$", text, re.M)
    (tmp_path / "report.html").unlink()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    again = good("demo", "--out", tmp_path, "--lengths", "12,20", "--score-stride", 6)
    assert "AUC" in again and "note: no report: plotly must be installed" in again
    assert not (tmp_path / "report.html").exists()


def test_an_interrupted_demo_prints_that_the_same_command_resumes(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("gepc_geo.cli.jobs.demo.run_demo", interrupt)
    result = run("demo", "--out", tmp_path)
    assert result.exit_code == 130
    assert "the same command resumes" in result.output


def test_python_m_is_the_same_program():
    text = subprocess.run(
        [sys.executable, "-m", "gepc_geo", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert text.startswith("gepc-geo, version ")
