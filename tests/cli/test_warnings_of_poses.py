"""What ``info`` lists as wrong, other commands warn of; ``train`` refuses joints out of order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gepc_geo import PoseTracks
from gepc_geo.cli import main
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.streaming.first_poses import FIRST


def run(*words: object, **more: object) -> Result:
    words = [str(word) for word in words]
    return CliRunner().invoke(main, words, catch_exceptions=False, **more)


def in_order(tracks: PoseTracks, order: np.ndarray) -> PoseTracks:
    return tracks.with_(
        keypoints=tracks.keypoints[:, order], confidence=tracks.confidence[:, order]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run, and poses in the skeleton's order, with exchanged hips, and in random order."""
    folder = tmp_path_factory.mktemp("orders")
    crowd = simulate_crowd("train", num_clips=4, frames_per_clip=120, random_state=0)
    crowd.save(folder / "good.npz")
    hips = np.arange(17)
    hips[[11, 12]] = 12, 11
    in_order(crowd, hips).save(folder / "hips.npz")
    in_order(crowd, np.random.default_rng(0).permutation(17)).save(folder / "shuffled.npz")
    result = run("train", folder / "good.npz", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    assert "must be in the same order" not in result.output
    return folder


def test_train_refuses_joints_in_random_order_unless_the_skeleton_is_named(folder, tmp_path):
    data = (folder / "shuffled.npz", "--out", tmp_path / "run")
    result = run("train", *data)
    assert result.exit_code == 2 and result.output.count("\n") == 1
    assert "shuffled.npz: joints must be in the order of skeleton coco17, got " in result.output
    assert "or --skeleton coco17 to train on the poses as they are" in result.output
    assert not (tmp_path / "run").exists()
    result = run("train", *data, "--skeleton", "coco17")
    assert result.exit_code == 0
    assert "warning: " in result.output and "must " in result.output
    assert (tmp_path / "run" / "model.pt").exists()


def test_one_crossed_pair_is_warned_of_by_every_command_once(folder, tmp_path):
    data = folder / "hips.npz"
    sentence = f"warning: {data}: left_hip and right_hip must be in the same order as the shoulders"
    masks = tmp_path / "masks"
    masks.mkdir()
    for clip in PoseTracks.load(data).clip_names:
        np.save(masks / f"{clip}.npy", np.arange(120) < 60)
    for words in (
        ("train", data, "--out", tmp_path / "run"),
        ("score", folder / "run", data, "--out", tmp_path / "s.csv"),
        ("report", folder / "run", data, "--out", tmp_path / "r.html"),
        ("evaluate", folder / "run", data, "--labels", masks, "--out", tmp_path / "m.json"),
    ):
        result = run(*words)
        assert result.exit_code == 0, result.output
        assert result.output.count(sentence) == 1, words
    result = run("info", data)
    assert "warning: " not in result.output and result.output.count("looks wrong") == 1


@pytest.mark.parametrize("name", ["good", "hips", "few"])
def test_watch_warns_of_the_first_poses_once(folder, name):
    """After 200 person-frames, or at the end of a shorter stream."""
    tracks = PoseTracks.load(folder / f"{'good' if name == 'good' else 'hips'}.npz")
    rows = (tracks.clip == 0) & (tracks.frame < (25 if name == "few" else 120))
    lines = []
    for frame in np.unique(tracks.frame[rows]):
        people = np.flatnonzero(rows & (tracks.frame == frame))
        poses = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
        shown = [{"id": int(tracks.track[row]), "keypoints": poses[row].tolist()} for row in people]
        lines.append(json.dumps({"frame": int(frame), "people": shown}))
    assert (rows.sum() >= FIRST) == (name != "few")
    result = run("watch", folder / "run", "--fps", 24, input="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.output
    sentence = "warning: left_hip and right_hip must be in the same order as the shoulders"
    assert result.output.count(sentence) == (name != "good")
