"""Shards scored one by one and merged are, byte for byte, the file that one command writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.cli import main


def good(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 2, result.output
    line = result.output.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    return line


@pytest.fixture(scope="module")
def files(tmp_path_factory, walkers) -> Path:
    """A run, and labelled clips: 7 with people, one without (the 4th) and one without frames."""
    folder = tmp_path_factory.mktemp("merge")
    # Latents of a multiple of 4 numbers: MKL's rounding of others depends on the place in a batch.
    small = {"mode": "assignment", "lengths": ["12", "18"], "encoder_channels": [2, 2, 4]}
    detector = GEPC(**NETWORK | small, budget=64, batch_size=32, score_stride=6)
    detector.fit(walkers, device="cpu").save(folder / "run" / "model.pt")
    part = walkers.select(clips=np.arange(7))
    length = [*part.clip_length[:3], 20, *part.clip_length[3:], 0]
    part.with_(
        clip=part.clip + (part.clip >= 3),
        clip_names=[f"clip{'_long' * (i == 5)}_{i}" for i in range(9)],
        clip_length=length,
        frame_labels=np.arange(sum(length)) % 3 - 1,
        image_size=None,
        fps=None,
        camera=None,
        clip_label=["walk", "jump", ""] * 3,
        clip_split=None,
    ).save(folder / "c.npz")
    return folder


def parts_of(files: Path, folder: Path, count: int, *options: object) -> list[Path]:
    paths = [folder / f"p{i}.npz" for i in range(count)]
    for i, path in enumerate(paths):
        shard = ("--shard", f"{i + 1}/{count}", "--device", "cpu")
        good("score", files / "run", files / "c.npz", "--out", path, *shard, *options)
    return paths


@pytest.mark.parametrize(
    ("count", "options"),
    [
        (1, ("--level", "frame")),
        (3, ("--level", "frame", "--smooth", 3, "--people-correction")),
        (3, ("--protocol", "reference", "--smooth", 20)),
        (2, ("--level", "joint")),
        (3, ("--level", "window", "--mode", "max", "--no-padded")),
        (4, ("--level", "person")),
        (12, ("--level", "clip", "--normal", "walk")),
        (12, ("--level", "frame", "--smooth", 3)),
    ],
)
def test_merged_parts_equal_the_file_of_one_command(files, tmp_path, count, options):
    paths = parts_of(files, tmp_path, count, *options)
    for suffix in ("csv", "npz"):
        whole, merged = tmp_path / f"whole.{suffix}", tmp_path / f"merged.{suffix}"
        data = (files / "run", files / "c.npz", "--device", "cpu")
        good("score", *data, "--out", whole, *options)
        text = good("merge", *reversed(paths), "--out", merged)
        assert f"rows of {count} parts in" in text
        assert whole.read_bytes() == merged.read_bytes()


def test_parts_are_whole_clips_in_order(files, tmp_path):
    names = []
    for path in parts_of(files, tmp_path, 3, "--level", "clip"):
        with np.load(path) as part:
            names.append(part["clip"].tolist())
    assert all(names)
    assert [name for part in names for name in part] == [
        f"clip{'_long' * (i == 5)}_{i}" for i in range(9)
    ]


def test_parts_of_different_tables_are_refused(files, tmp_path, walkers):
    one, two, three = parts_of(files, tmp_path, 3)
    out = tmp_path / "o.csv"
    data = (files / "run", files / "c.npz", "--device", "cpu")

    def other(run: Path, poses: Path, *options: object) -> Path:
        path = tmp_path / "other.npz"
        good("score", run, poses, "--device", "cpu", "--out", path, *options)
        return path

    def merge(*parts: Path) -> str:
        return refused("merge", *parts, "--out", out)

    assert "all 3 shards must be given, got 2 without shard 2/3" in merge(three, one)
    line = merge(one, two, three, two)
    assert f"p1.npz must be another shard than {two}, got 2/3 twice" in line
    path = other(*data[:2], "--shard", "2/2")
    assert f"must be one of 3 shards as {one} is, got 2" in merge(one, path)
    path = other(*data[:2], "--shard", "2/3", "--mode", "max")
    assert f"other.npz must have mode assignment as {one} has, got max" in merge(one, path, three)
    path = other(*data[:2], "--shard", "2/3", "--level", "window")
    assert f"other.npz must have level frame as {one} has, got window" in merge(one, path, three)
    path = other(*data[:2], "--shard", "2/3", "--smooth", 2)
    assert f"other.npz must have smooth 0.0 as {one} has, got 2.0" in merge(one, path, three)
    walkers.select(clips=np.arange(9)).save(tmp_path / "d.npz")
    path = other(data[0], tmp_path / "d.npz", "--shard", "2/3")
    assert "other.npz must have data checksum" in merge(one, path, three)
    detector = GEPC.load(files / "run" / "model.pt", device="cpu")
    detector.calibration_.thresholds["assignment"] += 1
    (tmp_path / "run").mkdir()
    detector.save(tmp_path / "run" / "model.pt")
    path = other(tmp_path / "run", data[1], "--shard", "2/3")
    assert "other.npz must have model checksum" in merge(one, path, three)
    assert not out.exists()


def test_files_that_are_not_parts_are_refused(files, tmp_path):
    (one,) = parts_of(files, tmp_path, 1)
    out = tmp_path / "o.npz"
    kind = "must be a part of a score table"
    bad = tmp_path / "bad.npz"
    assert "bad.npz does not exist" in refused("merge", bad, "--out", out)
    good("score", files / "run", files / "c.npz", "--device", "cpu", "--out", bad)
    assert f"{kind} (score --shard), got an error: 'part' is missing" in refused(
        "merge", bad, "--out", out
    )
    with np.load(one) as content:
        arrays = dict(content)
    mark = json.loads(str(arrays["part"]))
    for change in (
        {"part": np.array("{")},
        {"part": np.array("[]")},
        {"part": np.array(json.dumps({**mark, "smooth": "x"}))},
        {"part": np.array(json.dumps({**mark, "smooth": -1.0}))},
        {"part": np.array(json.dumps({**mark, "shard": "4/3"}))},
        {"part": np.array(json.dumps({**mark, "shard": 1}))},
        {"part": np.array(json.dumps({**mark, "level": "city"}))},
        {"score": arrays["score"][1:]},
    ):
        np.savez(bad, **{**arrays, **change})
        assert kind in refused("merge", bad, "--out", out), change
    del arrays["score"]
    np.savez(bad, **arrays)
    assert kind in refused("merge", bad, "--out", out)
    bad.write_bytes(one.read_bytes()[:200])
    assert "must be a part of a score table" in refused("merge", bad, "--out", out)
    assert "o.txt must have suffix .csv or .npz, got '.txt'" in refused(
        "merge", one, "--out", "o.txt"
    )
    assert not out.exists()


def test_shards_that_do_not_exist_are_refused(files, tmp_path):
    data = ("score", files / "run", files / "c.npz", "--out")
    for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/3"):
        line = refused(*data, tmp_path / "p.npz", f"--shard={text}")
        assert f"shard must be I/N with I from 1 to N, such as 1/8 to 8/8, got {text!r}" in line
    line = refused(*data, tmp_path / "p.csv", "--shard", "1/3")
    assert "p.csv must have suffix .npz with --shard 1/3, got '.csv'" in line
    line = refused(*data, tmp_path / "p.npz", "--shard", "1/3", "--level", "clip", "--smooth", 2)
    assert "level must be frame for smooth 2.0, got clip" in line
    assert not list(tmp_path.iterdir())
