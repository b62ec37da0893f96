"""``convert --to jsonl`` and ``watch``: the events of a file, as ``score --level event``."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from streams import SMALL, all_joints, small_run

from gepc_geo import GEPC, OnlineScorer, PoseTracks
from gepc_geo.cli import main
from gepc_geo.cli.jobs.watch import parse_frame
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.faults import inject_faults
from gepc_geo.io.stream import frame_lines
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.streaming.alerts import Alert


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run with an alarm threshold, and clips with faults and frames without people."""
    folder = tmp_path_factory.mktemp("stream")
    detector = small_run(folder, SMALL)
    tracks = all_joints(simulate_crowd("test", num_clips=3, frames_per_clip=80, random_state=4))
    tracks, _ = inject_faults(tracks, 6, random_state=2)
    tracks = tracks.rows((tracks.frame < 70) & (tracks.frame != 3))
    tracks.with_(fps=np.full(3, 2, np.float32)).save(folder / "poses.npz")
    level = np.unique(detector.window_scores(tracks).scores["combined"])
    at = int(0.8 * len(level))
    at += int(np.diff(level)[at : at + 20].argmax())
    threshold = float(level[at : at + 2].mean())
    detector.alarm_ = {"threshold": threshold, "mode": "combined", "per_hour": 1.0, "hours": 1.0}
    detector.save(folder / "run" / "model.pt")
    return folder


def run(*arguments: object, input: str | None = None):
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(main, words, input=input, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("faults", [[], ["--judge-faults"]])
def test_watch_has_the_events_of_the_file(faults, folder, tmp_path):
    told = run("convert", folder / "poses.npz", "--to", "jsonl", "--out", tmp_path / "a.jsonl")
    assert "note: jsonl files have no frame rate: give gepc-geo watch --fps 2" in told.stderr
    text = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    printed = run("convert", folder / "poses.npz", "--to", "jsonl", "--out", "-")
    assert printed.stdout == text
    watched = run("watch", folder / "run", "--fps", 2, *faults, input=text)
    alerts = [Alert.from_json(line) for line in watched.stdout.splitlines()]
    closed = {alert.id: alert for alert in alerts if alert.state == "closed"}
    out = tmp_path / "events.csv"
    scored = run(
        *("score", folder / "run", folder / "poses.npz", "--level", "event"),
        *("--out", out, *faults),
    )
    table = rows(out)
    marked = [row for row in table if row["fault"]]
    assert table[len(table) - len(marked) :] == marked and marked
    note = f"note: {len(marked)} events are tracking faults, which come last"
    assert note in scored.stderr.splitlines()
    events = table if faults else [row for row in table if not row["fault"]]
    assert closed.keys() == {row["id"] for row in events} and len(events) >= 3
    for row in events:
        alert = closed[row["id"]]
        assert row["clip"] == alert.camera
        assert row["people"].split() == [str(person) for person in alert.people]
        assert set(row["joints"].split()) == set(alert.joints)
        assert row["fault"] == alert.fault
        for name in ("person", "start", "peak", "end"):
            assert int(row[name]) == getattr(alert, name)
        for name in ("start_s", "peak_s", "end_s", "score", "quality"):
            assert float(row[name]) == pytest.approx(getattr(alert, name), abs=1e-4)
    last = watched.stderr.splitlines()
    found = [line for line in last if "person-frames were not judged (tracking fault)" in line]
    help_ = "use a better tracker, or judge them with --judge-faults"
    assert [line.endswith(help_) for line in found] == ([] if faults else [True, True])
    assert not found or found[0].startswith("warning: so far ")
    assert any("person-frames were not judged (too short): use a tracker" in one for one in last)


def test_shards_of_events_join_to_the_whole_table(folder, tmp_path):
    words = ("score", folder / "run", folder / "poses.npz", "--level", "event", "--out")
    run(*words, tmp_path / "whole.csv")
    parts = [tmp_path / f"{number}.npz" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        run(*words, part, "--shard", f"{number}/2")
    run("merge", *parts, "--out", tmp_path / "merged.csv")
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_lines_hold_the_poses_bit_for_bit(folder):
    tracks = PoseTracks.load(folder / "poses.npz")
    lines = [json.loads(line) for line in frame_lines(tracks)]
    assert len(lines) == tracks.clip_length.sum()
    places = [(line["camera"], line["frame"]) for line in lines]
    assert places == [
        (name, frame)
        for name, length in zip(tracks.clip_names, tracks.clip_length, strict=True)
        for frame in range(length)
    ]
    assert [line["people"] for line in lines if line["frame"] == 3] == [[]] * 3
    assert lines[0]["image_size"] == tracks.image_size[0].tolist()
    scorer = OnlineScorer(GEPC.load(folder / "run" / "model.pt", device="cpu"))
    found = 0
    for line in frame_lines(tracks):
        frame = scorer.check(parse_frame(line, scorer.detector))
        clip = tracks.clip_names.index(frame.camera)
        at = np.flatnonzero((tracks.clip == clip) & (tracks.frame == frame.frame))
        assert frame.ids == tracks.track[at].tolist()
        np.testing.assert_array_equal(frame.rows[..., :2], tracks.keypoints[at])
        np.testing.assert_array_equal(frame.rows[..., 2], tracks.confidence[at])
        found += len(at)
    assert found == tracks.num_frames


def test_features_unseen_joints_and_unknown_sizes():
    """A joint at the origin is moved, as the origin marks a missing one."""
    tracks = PoseTracks.build(
        keypoints=np.array([[[0, 0, 0], [1, 2, 3]], [[4, 5, 6], [7, 8, 9.5]]], np.float32),
        confidence=np.array([[1, 0], [0, 0]], np.float32),
        features=np.array([[[0.5], [1]], [[2], [3]]], np.float32),
        frame=np.array([1, 1]),
        track=np.array([3, 4]),
        clip=np.array([0, 0]),
        skeleton=Skeleton("two", ("a", "b"), ((0, 1),), center=0),
        clip_names=('gate "1"',),
    )
    assert list(frame_lines(tracks)) == [
        '{"camera": "gate \\"1\\"", "frame": 0, "people": []}',
        '{"camera": "gate \\"1\\"", "frame": 1, "people": [{"id": 3, "keypoints": '
        '[[9.99999997e-07, 0, 0, 1], [0, 0, 0, 0]], "features": [[0.5], [1]]}]}',
    ]


def test_only_lines_go_to_standard_output_and_a_closed_pipe_is_no_traceback(folder):
    command = [sys.executable, "-m", "gepc_geo", "convert", str(folder / "poses.npz")]
    command += ["--to", "jsonl", "--out", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["frame"] == 0
    process.stdout.close()
    _, error = process.communicate(timeout=120)
    assert b"Traceback" not in error


def test_the_suffix_of_a_file_must_be_jsonl(folder, tmp_path):
    words = [
        "convert",
        str(folder / "poses.npz"),
        "--to",
        "jsonl",
        "--out",
        str(tmp_path / "a.csv"),
    ]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and not list(tmp_path.iterdir())
    assert "a.csv must have suffix .jsonl with --to jsonl, got '.csv'" in result.output
