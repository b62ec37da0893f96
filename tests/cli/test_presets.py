"""``train``: presets on poses of every kind, and training to convergence, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from helpers import NETWORK, in_3d

from gepc_geo.cli import main

# The presets say nothing of the network's size.
SIZES = {**NETWORK, "stride": 12, "score_stride": 12, "batch_size": 32, "budget": 64}
FLAGS = [
    f"--{name.replace('_', '-')}={','.join(map(str, value)) if isinstance(value, list) else value}"
    for name, value in SIZES.items()
    if name != "augment"
]


@pytest.fixture(scope="module")
def files(walkers, tmp_path_factory) -> Path:
    """The same poses with an image size, without, in 3D, and few of them."""
    folder = tmp_path_factory.mktemp("files")
    walkers.with_(image_size=[[856, 480]] * walkers.num_clips).save(folder / "sized.npz")
    walkers.with_(image_size=None).save(folder / "plain.npz")
    in_3d(walkers).save(folder / "solid.npz")
    few = walkers.select(clips=[0, 1])
    few.rows(few.frame < 12).with_(image_size=[[856, 480]] * 2).save(folder / "few.npz")
    return folder


def train(data: Path, out: Path, *flags: object) -> Result:
    arguments = ["train", data, "--out", out, "--preset", "paper", *flags]
    return CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)


def options_of(out: Path) -> dict[str, object]:
    return yaml.safe_load((out / "config.yaml").read_text())["options"]


@pytest.mark.parametrize(
    ("name", "scale", "warning"),
    [
        ("sized", "image", ""),
        (
            "plain",
            "rms",
            "poses must have an image size for preset paper, got none in clip 'train_00': they are",
        ),
        (
            "solid",
            "rms",
            "warning: poses must have an image size for preset paper, got 3D poses, "
            "which have none",
        ),
    ],
)
def test_the_published_method_takes_poses_of_every_kind(name, scale, warning, files, tmp_path):
    """Rotations by 90 degrees among its augmentations: of 3D poses about the vertical axis."""
    result = train(files / f"{name}.npz", tmp_path / "run", *FLAGS)
    assert result.exit_code == 0, result.output
    assert warning in result.stderr
    assert (result.stderr.count("must have an image size") == 1) == bool(warning)
    found = options_of(tmp_path / "run")
    assert (found["scale"], found["augment"], found["lr"]) == (scale, "paper", 1e-3)
    # The same command again goes on.
    again = train(files / f"{name}.npz", tmp_path / "run", *FLAGS, "--resume")
    assert again.exit_code == 0, again.output


def test_presets_do_not_override_a_given_scale(files, tmp_path):
    # Without the flag these poses are divided by the image.
    result = train(files / "sized.npz", tmp_path / "run", *FLAGS, "--scale", "rms")
    assert result.exit_code == 0, result.output
    assert "must have an image size" not in result.stderr
    assert options_of(tmp_path / "run")["scale"] == "rms"
    result = train(files / "solid.npz", tmp_path / "other", *FLAGS, "--scale", "image")
    assert result.exit_code == 2
    message = "Error: scale must be rms for 3D poses, which have no image size, got 'image'\n"
    assert result.stderr == message
    (tmp_path / "mine.yaml").write_text("scale: image\n")
    result = train(files / "plain.npz", tmp_path / "third", "--config", tmp_path / "mine.yaml")
    assert result.exit_code == 2
    assert "must have an image size for scale 'image', got none" in result.stderr


def test_too_few_windows_are_refused_with_the_largest_numbers_that_fit(files, tmp_path):
    result = train(files / "few.npz", tmp_path / "run", "--stride", 12)
    assert result.exit_code == 2
    message = "clusters and components must be at most "
    assert message in result.stderr
    assert ", the number of training windows, got 20 and 10" in result.stderr
    assert not (tmp_path / "run").exists()
    most = result.stderr.split(message)[1].split(",")[0]
    fits = ["--clusters", most, "--components", most]
    network = [flag for flag in FLAGS if "clusters" not in flag and "components" not in flag]
    assert train(files / "few.npz", tmp_path / "run", *network, *fits).exit_code == 0


def test_converge_is_a_budget(files, tmp_path):
    (tmp_path / "mine.yaml").write_text("budget: 640\n")
    flags = ["--config", tmp_path / "mine.yaml", "--patience", 4, "--lr", 0.02]
    flags += [flag for flag in FLAGS if "budget" not in flag] + ["--cluster-share", 0]
    result = train(files / "sized.npz", tmp_path / "run", *flags, "--budget", "converge")
    assert result.exit_code == 0, result.output
    assert options_of(tmp_path / "run")["budget"] is None
    shown = CliRunner().invoke(main, ["info", str(tmp_path / "run")]).output
    assert "reconstruction  " in shown
    assert "of the error of predicting the mean pose, on held-out windows\n" in shown
    result = train(files / "sized.npz", tmp_path / "other", "--budget", "long")
    assert result.exit_code == 2
    assert "must be a whole number or converge, got 'long'" in result.stderr
