"""``gepc-geo watch`` as a process: lines in, alerts out, whatever happens to either."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from streams import SEVERAL, SMALL, all_joints, line, lines_of, small_run

from gepc_geo import InputError, OnlineScorer
from gepc_geo.cli import main
from gepc_geo.cli.jobs import watch as watch_module
from gepc_geo.cli.lines import Log
from gepc_geo.datasets import simulate_crowd
from gepc_geo.evaluation.alarms import alarm_runs
from gepc_geo.streaming.alerts import Alert
from gepc_geo.streaming.scorer import REASONS
from gepc_geo.streaming.thresholds import clip_series


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return run_with_alarm(tmp_path_factory.mktemp("watch"), SMALL)


def run_with_alarm(folder: Path, options: dict) -> Path:
    """A run with an alarm threshold that a fifth of a test set's frames exceeds."""
    detector = small_run(folder, options)
    tracks = crowd()
    scores = np.concatenate([one.scores for one in clip_series(detector, tracks, "combined")])
    level = np.unique(scores)
    usual = simulate_crowd("test", num_clips=3, frames_per_clip=60, random_state=4)
    usual_scores = np.concatenate([one.scores for one in clip_series(detector, usual, "combined")])
    at = np.searchsorted(level, np.quantile(usual_scores, 0.8))
    # Between two scores: no rounding of a stream's decides.
    threshold = float(level[at - 1 : at + 1].mean())
    detector.alarm_ = {"threshold": threshold, "mode": "combined", "per_hour": 1.0, "hours": 1.0}
    detector.save(folder / "run" / "model.pt")
    return folder


def crowd():
    return all_joints(simulate_crowd("test", num_clips=3, frames_per_clip=60, random_state=4))


def watch(folder: Path, text: str | bytes, *arguments: str):
    return CliRunner().invoke(
        main, ["watch", str(folder / "run"), *arguments], input=text, catch_exceptions=False
    )


def alerts_of(text: str) -> list[Alert]:
    return [Alert.from_json(one) for one in text.splitlines()]


@pytest.mark.parametrize("options", [SMALL, SEVERAL], ids=["one", "several"])
def test_alerts_are_the_alarms_of_the_same_poses(options, tmp_path):
    from gepc_geo import GEPC

    folder, tracks = run_with_alarm(tmp_path, options), crowd()
    result = watch(folder, "\n".join(lines_of(tracks)) + "\n")
    assert result.exit_code == 0
    told, *unjudged = result.stderr.splitlines()
    assert told.startswith("note: threshold ")
    assert all("person-frames were not judged (" in line for line in unjudged)
    detector = GEPC.load(folder / "run" / "model.pt", device="cpu")
    series = clip_series(detector, tracks, "combined")
    closed = [alert for alert in alerts_of(result.stdout) if alert.state == "closed"]
    found = 0
    for name, one in zip(tracks.clip_names, series, strict=True):
        mine = [[a.start, a.end + 1] for a in closed if a.camera == name]
        assert mine == alarm_runs(one, detector.alarm_["threshold"]).tolist()
        found += len(mine)
    assert found == len(closed) > 0


def test_broken_lines_cost_a_warning_each(folder):
    good = lines_of(crowd())
    expected = watch(folder, "\n".join(good) + "\n").stdout
    broken = [
        "nonsense",
        "[1, 2]",
        '{"frame": 3}',
        '{"frame": 3, "people": [{"id": 1}]}',
        '{"frame": 3, "people": [{"id": 1, "keypoints": [[1, 2]]}]}',
        '{"frame": 3, "people": [{"id": 1, "keypoints": [[1, 2, 0.5]]}]}',
        '{"frame": -3, "people": []}',
        '{"frame": 3, "people": [{"id": "x", "keypoints": []}]}',
        '{"frame": 3, "people": 7}',
        '{"frame": 3, "people": {}}',
        line("normal_00", 0, [1], np.full((1, 17, 2), np.nan), np.ones((1, 17))),
        "[" * 100_000,
        line("normal_00", 0, [2**63], np.ones((1, 17, 2)), np.ones((1, 17))),
        '{"frame": 3, "people": [{"id": 1, "keypoints": [{"x": 1, "y": 2, "c": 0}]}]}',
        "[1, 2]",
    ]
    lines = list(good)
    for number, one in enumerate(broken):
        lines.insert(10 * number, one)
    text = ("\n".join(lines) + "\n\n").encode() + b"\xff\xfe\n"
    result = watch(folder, text)
    assert result.exit_code == 0
    # How many lines are scored together changes the last digits.
    one, other = (
        [(a.camera, a.state, a.start, a.end, a.person) for a in alerts_of(text)]
        for text in (result.stdout, expected)
    )
    assert sorted(one) == sorted(other)
    warned = [int(n) for n in re.findall(r"warning: line (\d+) is ignored: ", result.stderr)]
    assert warned == [*(10 * n + 1 for n in range(len(broken))), len(lines) + 2]


# Somebody without any shape is a tracking fault; judged, an alarm from the first frame on.
JUDGED = "--judge-faults"


def jumping(camera: str, frames: int) -> list[str]:
    """Lines of somebody without any shape."""
    rng = np.random.default_rng(0)
    return [
        line(camera, number, [5], rng.uniform(0, 400, (1, 17, 2)).round(1), np.ones((1, 17)))
        for number in range(frames)
    ]


def test_alerts_are_the_same_however_many_lines_are_scored_together(folder, monkeypatch):
    lines = [one for pair in zip(jumping("a", 20), jumping("b", 20), strict=True) for one in pair]
    found = []
    for together in (1, 64):
        monkeypatch.setattr(watch_module, "BATCH", together)
        alerts = alerts_of(watch(folder, "\n".join(lines), JUDGED).stdout)
        found.append(
            [
                (a.camera, a.state, a.start, a.peak, a.end, a.person)
                for camera in "ab"
                for a in alerts
                if a.camera == camera
            ]
        )
    assert found[0] == found[1] and len(found[0]) == 4


def test_dropped_frames_are_warned_of_when_they_come(folder):
    lines = jumping("gate", 2)
    result = watch(folder, "\n".join([*lines, lines[1], lines[0]]))
    assert result.stderr.splitlines()[1:] == [
        "warning: duplicate: 2 person-frames so far, the last in frame 0 of camera 'gate'",
        "warning: duplicate: 2 person-frames",
        "warning: 2 of 2 person-frames were not judged (too short): use a tracker that keeps ids "
        "longer, or train with shorter --lengths",
    ]
    assert set(watch_module.UNITS) == set(REASONS)


@pytest.mark.parametrize(
    ("given", "said"), [([], "(as in training)"), (["--fps", "24"], "(--fps)")]
)
def test_the_first_line_is_a_note_of_threshold_and_frame_rate(given, said, folder):
    from gepc_geo import GEPC

    alarm = GEPC.load(folder / "run" / "model.pt", device="cpu").alarm_
    (told,) = watch(folder, "", *given).stderr.splitlines()
    assert told == (
        f"note: threshold {alarm['threshold']:.6g} (combined) for 1 false alarms "
        f"an hour, on held-out clips unknown; 24 frames per second {said}"
    )


def test_ids_and_numbers_are_read_as_in_files(folder):
    """``2.0`` and ``"2"`` are 2; whoever has no id is left out alone, and counted."""
    plain = jumping("gate", 20)
    expected = watch(folder, "\n".join(plain), JUDGED)
    assert len(alerts_of(expected.stdout)) == 2
    for kind in (float, str):
        lines = []
        for one in map(json.loads, plain):
            (person,) = one["people"]
            nobody = {"keypoints": person["keypoints"]}
            one["people"] = [nobody, {**person, "id": kind(person["id"])}, {**nobody, "id": None}]
            lines.append(json.dumps({**one, "frame": kind(one["frame"])}))
        result = watch(folder, "\n".join(lines), JUDGED)
        assert result.stdout == expected.stdout
        # Somebody without any shape is warned of as such.
        told = [text for text in result.stderr.splitlines()[1:] if "bones must" not in text]
        said = "warning: unnamed: 40 person-frames without an id"
        assert told == [f"{said} so far, the last in frame 19 of camera 'gate'", said]


def test_duplicate_people_and_joints_at_the_origin_are_read_as_in_files(folder):
    """The better pose counts, whichever comes first; an id of -1 is none."""
    plain = jumping("gate", 20)
    expected = watch(folder, "\n".join(plain), JUDGED)
    lines = []
    for one in map(json.loads, plain):
        (person,) = one["people"]
        worse = [[x + 50, y, 0.1] for x, y, _ in person["keypoints"]]
        nowhere = {"id": 7, "keypoints": [[0, 0, 0.9]] * len(worse)}
        one["people"] = [{**person, "keypoints": worse}, person, nowhere, {**person, "id": -1}]
        lines.append(json.dumps(one))
    result = watch(folder, "\n".join(lines), JUDGED)
    assert result.stdout == expected.stdout
    assert "warning: duplicate: 20 person-frames" in result.stderr.splitlines()


def test_a_file_that_is_not_a_stream_is_refused(folder):
    """The first broken lines are told of, the others counted."""
    result = watch(folder, "frame,x,y\n" * 1000)
    assert result.exit_code == 2
    told = result.stderr.splitlines()
    assert sum("is ignored: could not read the frame" in line for line in told) == 20
    assert "warning: 1000 lines are ignored" in told
    assert told[-1].startswith(
        "Error: standard input must have lines of frames (gepc-geo score reads files of poses), "
        "got 1000 other lines (line 1: could not read the frame"
    )
    good = watch(folder, "\n".join(["x"] * 27 + jumping("gate", 2)))
    assert "warning: 27 lines are ignored" in good.stderr.splitlines()


def test_a_byte_order_mark_before_the_first_line_is_skipped(folder):
    plain = "\n".join(jumping("gate", 20))
    marked = watch(folder, "\ufeff" + plain, JUDGED)
    assert marked.stdout == watch(folder, plain, JUDGED).stdout and "ignored" not in marked.stderr


def test_warnings_of_broken_lines_use_words_of_json(folder):
    """No word of Python's or NumPy's types."""
    person = {"id": 1, "keypoints": [[1, 2, 1]] * 17}
    lines = [
        {"frame": 1.5, "people": []},
        {"frame": None, "people": []},
        {"frame": 1, "people": [{**person, "id": 1.5}]},
        {"frame": 1, "people": [{**person, "id": [1]}]},
        {"frame": 1, "people": [7]},
        {"frame": 1, "people": [{**person, "keypoints": None}]},
        {"frame": 1, "people": [{**person, "keypoints": [["1", 2, 1], *[[1, 2, 1]] * 16]}]},
        {"frame": 1, "people": [{**person, "keypoints": [[None, 2, 1], *[[1, 2, 1]] * 16]}]},
    ]
    told = watch(folder, "\n".join(map(json.dumps, lines))).stderr.splitlines()[1:-1]
    at = "frame 1 of camera ''"
    reasons = [
        "frame number of camera '' must be a whole number from 0, got 1.5",
        "frame number of camera '' must be a whole number from 0, got null",
        f"{at}: person id must be a whole number, got 1.5",
        f"{at}: person id must be a whole number, got [1]",
        "could not read the frame: a person must be a JSON object",
        "could not read the frame: keypoints must be a list",
        f"{at}: keypoints must have numbers, got '1'",
        f"{at}: keypoints must have numbers, got null",
    ]
    assert told == [f"warning: line {n} is ignored: {one}" for n, one in enumerate(reasons, 1)]


def test_silent_cameras_are_closed(folder, monkeypatch):
    """A clock that goes on by four minutes with every line."""
    clock = itertools.count(0, 240)
    monkeypatch.setattr(watch_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(watch_module, "BATCH", 1)
    closed = []

    class Scorer(OnlineScorer):
        def close(self, camera=None):
            closed.append((camera, sorted(self._cameras)))
            return super().close(camera)

    monkeypatch.setattr(watch_module, "OnlineScorer", Scorer)
    empty = [json.dumps({"camera": "gate", "frame": n, "people": []}) for n in range(5)]
    result = watch(folder, "\n".join([*jumping("silent", 20), *empty]), JUDGED)
    assert closed == [("silent", ["gate", "silent"]), (None, ["gate"])]
    assert [alert.state for alert in alerts_of(result.stdout)] == ["open", "closed"]


def test_a_full_queue_of_lines_is_warned_of(monkeypatch, capsys):
    monkeypatch.setattr(watch_module, "LINES", 2)
    monkeypatch.setattr(watch_module, "BATCH", 1)
    stream = io.TextIOWrapper(io.BytesIO(b"{}\n" * 100))
    taken = []
    log = Log(sys.stderr)
    for batch in watch_module.line_batches(stream, log, watch_module.Stop()):
        taken += batch
        time.sleep(0.01)
    log.finish()
    assert [number for number, _ in taken] == list(range(1, 101))
    assert capsys.readouterr().err == ("warning: 2 lines wait: the input is faster than scoring\n")


def test_the_first_sigterm_lets_scoring_finish_and_the_second_does_not():
    before = signal.getsignal(signal.SIGTERM)
    done = []
    with watch_module.Stop() as stop:
        with stop.interruptible():
            done.append("waited")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("scored")
        with pytest.raises(KeyboardInterrupt), stop.interruptible():
            done.append("waited again")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert done == ["waited", "scored"] and signal.getsignal(signal.SIGTERM) == before
    with (
        pytest.raises(KeyboardInterrupt),
        watch_module.Stop() as stop,
        stop.interruptible(),
    ):
        os.kill(os.getpid(), signal.SIGTERM)


def test_missing_joints_may_be_null(folder):
    from gepc_geo import GEPC

    detector = GEPC.load(folder / "run" / "model.pt", device="cpu")
    joints = [[None, None, 0], *[[1, 2, 0.5]] * 16]
    values = {"frame": 0, "people": [{"id": 1, "keypoints": joints}]}
    scorer = OnlineScorer(detector)
    rows = scorer.check(watch_module.parse_frame(json.dumps(values), detector)).rows
    assert rows.shape == (1, 17, 3) and rows[0, 0].tolist() == [0, 0, 0]
    joints[0][2] = None
    assert scorer.check(watch_module.parse_frame(json.dumps(values), detector)).rows[0, 0, 2] == 0
    joints[0] = [3, 4, None]
    rows = scorer.check(watch_module.parse_frame(json.dumps(values), detector)).rows
    assert rows[0, 0].tolist() == [3, 4, 1]
    joints[0] = [None, None, 0.5]
    with pytest.raises(InputError, match="keypoints must have numbers, got null"):
        scorer.check(watch_module.parse_frame(json.dumps(values), detector))


def test_without_calibration_the_default_threshold_is_used_and_noted(folder, tmp_path):
    from gepc_geo import GEPC

    detector = GEPC.load(folder / "run" / "model.pt", device="cpu")
    detector.alarm_, detector.fps_ = None, float("nan")
    detector.save(tmp_path / "run" / "model.pt")
    result = watch(tmp_path, "\n".join(lines_of(crowd())), "--fps", "24")
    assert result.exit_code == 0 and result.stdout
    told, *_ = result.stderr.splitlines()
    assert re.match(
        r"warning: the run has no alarm threshold \(gepc-geo calibrate stores one\), using \d\S+ "
        r"\(combined\), which 5% ",
        told,
    )
    assert told.endswith("; 24 frames per second (--fps)")
    result = watch(tmp_path, "")
    assert result.exit_code == 2 and "--fps must be given for" in result.stderr
    for wrong in ("0", "nan", "inf"):
        result = watch(tmp_path, "", "--fps", wrong)
        assert (
            result.exit_code == 2
            and f"--fps must be more than 0, got {float(wrong)}" in result.stderr
        )


def start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "gepc_geo", "watch", str(folder / "run"), "--device", "cpu"]
    command.append(JUDGED)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        # A shell's background jobs ignore Ctrl-C, and so would the child of one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_ctrl_c_closes_open_alerts(folder):
    """Somebody folded to a point, jumping about, is alarmed for as long as the stream goes on."""
    process = start(folder)
    rng = np.random.default_rng(0)
    for number in range(60):
        points = rng.uniform(0, 400, (1, 17, 2))
        text = line("gate", number, [5], points, np.ones((1, 17))) + "\n"
        process.stdin.write(text.encode())
    process.stdin.flush()
    opened = Alert.from_json(process.stdout.readline().decode())
    assert (opened.state, opened.camera, opened.person) == ("open", "gate", 5)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (closed,) = alerts_of(out.decode())
    assert closed.state == "closed" and closed.start == opened.start == 0
    assert closed.end >= 30
    assert err.decode().splitlines()[1].startswith("warning: interrupted")
    assert "Traceback" not in err.decode()


@pytest.mark.slow
def test_a_consumer_that_does_not_read_alerts_does_not_stop_scoring(folder):
    """More alerts than a pipe holds: all frames are taken; the alerts are there when it reads."""
    process = start(folder)
    rng = np.random.default_rng(0)
    text = ""
    for camera in range(30):
        name = f"{camera}" + "x" * 4000
        for number in range(14):
            points = rng.uniform(0, 400, (1, 17, 2)).round(1)
            text += line(name, number, [1], points, np.ones((1, 17))) + "\n"
    process.stdin.write(text.encode())
    process.stdin.close()
    process.stdin = None
    time.sleep(1)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert len(out) > 2**16
    assert len(alerts_of(out.decode())) == 60


@pytest.mark.slow
def test_unread_warnings_do_not_stop_alerts(folder):
    """More of them than a pipe holds: alerts come all the same."""
    process = start(folder)
    broken = "\n".join(["nonsense"] * 3000)
    process.stdin.write((broken + "\n" + "\n".join(jumping("gate", 20)) + "\n").encode())
    process.stdin.close()
    process.stdin = None
    alerts = alerts_of(process.stdout.read().decode())
    assert [alert.state for alert in alerts] == ["open", "closed"]
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and b"Traceback" not in err


@pytest.mark.slow
def test_a_closed_standard_error_does_not_end_watch_but_sigterm_does(folder):
    process = start(folder)
    process.stderr.close()
    process.stderr = None
    process.stdin.write(("nonsense\n" + "\n".join(jumping("gate", 60)) + "\n").encode())
    process.stdin.flush()
    opened = process.stdout.readline().decode()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert [one.state for one in alerts_of(opened + out.decode())] == ["open", "closed"]


def test_another_frame_rate_than_in_training_is_warned_of(folder):
    _, told = watch(folder, "", "--fps", "5").stderr.splitlines()
    assert told == "warning: the poses have 5 frames a second, training had 24"


@pytest.mark.slow
def test_a_closed_standard_output_ends_watch(folder):
    process = start(folder)
    process.stdout.close()
    text = "\n".join(lines_of(crowd())) + "\n"
    process.stdin.write(text.encode())
    process.stdin.close()
    assert process.wait(timeout=100) == 0
    err = process.stderr.read().decode()
    process.stderr.close()
    assert "standard output was closed" in err and "Traceback" not in err


def test_the_help_shows_all_keys_of_frames_and_alerts(folder):
    """The format that the help shows has the keys that are read and written."""
    text = CliRunner().invoke(main, ["watch", "--help"]).output
    for key in json.loads(Alert("a", "open", 0, 0, 0, 0, 0.0).to_json()):
        assert f'"{key}"' in text
    for key in ("camera", "frame", "people", "id", "keypoints", "image_size", "features"):
        assert f'"{key}"' in text
