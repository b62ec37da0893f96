"""``gepc-geo adapt``: alerts of ``watch`` in, a run beside the old one out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from streams import SEVERAL, SMALL, all_joints, lines_of, small_run

from gepc_geo import GEPC
from gepc_geo.cli import main
from gepc_geo.cli.run import Run
from gepc_geo.datasets import simulate_crowd
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level
from gepc_geo.streaming.alerts import Alert, read_events


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(SMALL, id="one"),
        pytest.param(SEVERAL, id="several", marks=pytest.mark.slow),
    ],
)
def folder(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("adapt")
    detector = small_run(folder, request.param)
    today = all_joints(simulate_crowd("test", num_clips=3, frames_per_clip=40, random_state=4))
    today.save(folder / "today.npz")
    simulate_crowd("train", num_clips=3, frames_per_clip=40, random_state=5).save(
        folder / "new.npz"
    )
    scores = detector.window_scores(today, padded=False).scores["combined"]
    threshold = float(np.quantile(scores, 0.8))
    detector.alarm_ = {"threshold": threshold, "mode": "combined", "per_hour": 600.0, "hours": 1.0}
    detector.save(folder / "run" / "model.pt")
    return folder


def run(*arguments: object, **options):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False, **options)


def test_marked_alerts_of_watch_do_not_come_again(folder, tmp_path):
    """Watch, mark the first alert, adapt, watch again: the other alerts go on."""
    old = (folder / "run" / "model.pt").read_bytes()
    text = "\n".join(lines_of(simulate_from(folder))) + "\n"
    result = run("watch", folder / "run", input=text)
    fired = [one for one in map(Alert.from_json, result.stdout.splitlines()) if one.end > one.start]
    closed = [one for one in fired if one.state == "closed"]
    assert closed
    # As Windows' tools save it, with a byte order mark.
    (tmp_path / "false.jsonl").write_text("\ufeff" + closed[0].to_json() + "\n\n", encoding="utf-8")
    out = tmp_path / "adapted"
    result = run(
        *("adapt", folder / "run", folder / "today.npz", "--out", out),
        *("--normal-events", tmp_path / "false.jsonl", "--anomalies", folder / "today.npz"),
    )
    assert result.exit_code == 0, result.output
    assert "1 of 1 marked events no longer raise an alarm\n" in result.output
    assert "from now on" not in result.output  # what it costs stands there
    assert re.search(r"recall before \S+ \(\d+ of \d+ events\)\nrecall after ", result.output)
    assert (folder / "run" / "model.pt").read_bytes() == old
    again = [Alert.from_json(one) for one in run("watch", out, input=text).stdout.splitlines()]
    assert not [
        one
        for one in again
        if one.camera == closed[0].camera
        and one.state == "closed"
        and one.start <= closed[0].end
        and one.end >= closed[0].start
    ]


def test_other_anomalies_are_still_found(folder, tmp_path):
    """Recall on labelled anomalies survives a new camera and a marked false alarm."""
    detector = GEPC.load(folder / "run" / "model.pt", device="cpu")
    normal = simulate_crowd("train", num_clips=6, frames_per_clip=40, random_state=7)
    scored = detector.window_scores(normal, padded=False)
    line = frame_level(detector, scored, normal, ScoreOptions(mode="nearest")).score.numpy()
    # High enough that some anomalies are missed, and that few normal frames are alarmed.
    detector.alarm_ |= {"threshold": float(np.quantile(line, 0.85)), "mode": "nearest"}
    detector.save(tmp_path / "run" / "model.pt")
    normal.save(tmp_path / "normal.npz")
    simulate_crowd("test", num_clips=9, frames_per_clip=40, random_state=12).save(
        tmp_path / "others.npz"
    )
    clip, frame = divmod(int(line.argmax()), 40)
    false = Alert(normal.clip_names[clip], "closed", frame, frame, frame, 0, float(line.max()))
    (tmp_path / "false.jsonl").write_text(false.to_json() + "\n")
    for name, *arguments in (
        ("camera", folder / "new.npz"),
        ("events", tmp_path / "normal.npz", "--normal-events", tmp_path / "false.jsonl"),
    ):
        result = run(
            *("adapt", tmp_path / "run", *arguments, "--out", tmp_path / name),
            *("--anomalies", tmp_path / "others.npz"),
        )
        assert result.exit_code == 0, result.output
        before, after = map(float, re.findall(r"^recall \w+ +(\S+) ", result.output, re.M))
        assert 0.5 < before < 1 and after >= 0.8 * before, name


def simulate_from(folder: Path):
    from gepc_geo import PoseTracks

    return PoseTracks.load(folder / "today.npz")


def test_adapting_to_a_new_camera_stores_its_windows(folder, tmp_path):
    out = tmp_path / "adapted"
    result = run("adapt", folder / "run", folder / "new.npz", "--out", out)
    assert result.exit_code == 0, result.output
    old, new = (GEPC.load(f / "model.pt", device="cpu") for f in (folder / "run", out))
    rows = [len(one.scorer_.normality[old.lengths_[0]].nearest.points) for one in (old, new)]
    assert rows[1] > rows[0]
    assert (
        "recall" not in result.output
        and "marked" not in result.output
        and "threshold after" in result.output
    )
    (tmp_path / "false.jsonl").write_text(
        Alert(simulate_from(folder).clip_names[0], "closed", 3, 4, 22, 0, 1.0).to_json()
    )
    result = run(
        *("adapt", folder / "run", folder / "today.npz", "--out", tmp_path / "marked"),
        *("--normal-events", tmp_path / "false.jsonl"),
    )
    assert "note: behaviour in 20 frames, and in the windows" in result.output
    # What it was trained on is known by the run it came from, through any number of steps.
    twice = tmp_path / "twice"
    assert run("adapt", out, folder / "new.npz", "--out", twice).exit_code == 0
    assert Run(twice).trained().folder == (folder / "run").resolve()
    assert f"trained in      {(folder / 'run').resolve()}\n" in run("info", twice).output
    (twice / "adapted.yaml").write_text(f"run: {twice}\n")
    result = run("info", twice)
    assert (
        result.exit_code == 2
        and "adapted.yaml must be the folder of the adapted run, got" in result.output
    )
    again = run("adapt", folder / "run", folder / "new.npz", "--out", out)
    assert again.exit_code == 2 and "must be a new folder, got an existing run" in again.output


def test_bad_input_is_one_sentence(folder, tmp_path):
    for arguments, said in (
        (["--normal-events", tmp_path / "none.jsonl"], "none.jsonl does not exist"),
        (["--labels", tmp_path], "--labels must be given with --anomalies, got"),
        (
            ["--anomalies", folder / "new.npz"],
            "must have frames with label abnormal (--labels), got none",
        ),
    ):
        result = run(
            "adapt", folder / "run", folder / "new.npz", "--out", tmp_path / "out", *arguments
        )
        assert result.exit_code == 2 and said in result.output
        assert not (tmp_path / "out").exists()
    (tmp_path / "bad.jsonl").write_text("{}\n")
    result = run(
        *("adapt", folder / "run", folder / "new.npz", "--out", tmp_path / "out"),
        *("--normal-events", tmp_path / "bad.jsonl"),
    )
    assert (
        result.exit_code == 2
        and "bad.jsonl, line 1: an alert must be a line of gepc-geo watch, got '{}'"
        in result.output
    )


def test_a_closed_alert_replaces_its_open_line(tmp_path):
    lines = [
        Alert("a", "open", 5, 5, 5, 1, 2.0),
        Alert("b", "open", 5, 6, 7, 1, 2.0),
        Alert("a", "closed", 5, 8, 9, 1, 3.0),
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(one.to_json() for one in lines))
    events = read_events(tmp_path / "events.jsonl")
    assert [(e.camera, e.state, e.end) for e in events] == [("a", "closed", 9), ("b", "open", 7)]
