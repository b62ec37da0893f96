"""``gepc-geo watch``: frames on standard input, alerts on standard output."""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from gepc_geo.cli.lines import LineWriter, Log, when_ready
from gepc_geo.cli.run import load_run
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.alarms import Alarm, alarm_threshold
from gepc_geo.evaluation.states import describe_people
from gepc_geo.streaming.alerts import Alert, AlertTracker
from gepc_geo.streaming.first_poses import FirstPoses
from gepc_geo.streaming.frames import Frame
from gepc_geo.streaming.scorer import OnlineScorer

#: Largest numbers of lines that wait to be scored, of lines in one pass, and of alerts that wait to
#: be written.
LINES, BATCH, _ALERTS = 1024, 64, 10_000
# Unusable lines with a warning each; further ones are counted.
_BROKEN_WARNINGS = 20
# Person-frames from which on a share that was not judged says something.
_TOLD = 100
#: Units of the scorer's counts, by reason.
UNITS = {
    "late": "person-frames",
    "duplicate": "person-frames",
    "unnamed": "person-frames without an id",
    "restart": "restarts of a camera's stream",
    "unscored": "windows without a finite score",
}
# Seconds without a frame after which a camera is closed.
_SILENT = 600.0
# Bytes without a line break after which they count as an unusable line.
_LONGEST_LINE = 1 << 24


def watch_input(run: Path, fps: float | None, device: str, faults: bool = False) -> None:
    """Scores frames on standard input and writes alerts until the input ends or Ctrl-C.

    Args:
        run: Folder of the run, or its ``model.pt``.
        fps: Frames per second; ``None``: as in training.
        device: Where to compute.
        faults: Judge windows with tracking faults like all others. (default: ``False``)

    Raises:
        InputError: The run cannot be loaded, the frame rate is unknown, or no line of the input is
            a frame.
    """
    detector = load_run(run, None, device)
    if fps is not None and not 0 < fps < math.inf:
        raise InputError(f"--fps must be more than 0, got {fps}")
    source = "as in training" if fps is None else "--fps"
    if fps is None:
        fps = detector.fps_
    if not fps > 0:
        raise InputError(f"--fps must be given for {run}, whose training poses have no frame rate")
    mode, threshold = alarm_threshold(detector)
    log, writer = Log(sys.stderr), LineWriter(sys.stdout, _ALERTS)
    _log_threshold(log, detector, mode, threshold, f"{fps:g} frames per second ({source})")
    if mismatch := detector.fps_mismatch(fps):
        log.warn(mismatch)
    scorer = OnlineScorer(detector, modes=(mode,), explain=threshold, fps=fps)
    tracker = AlertTracker(threshold, fps, mode, faults)

    def send(alerts: list[Alert]) -> None:
        for text in (alert.to_json() for alert in alerts):
            if not writer.write(text):
                log.warn(f"standard output is not read, this alert is lost: {text}")

    last_frame: dict[str, float] = {}
    broken, first = _Broken(), FirstPoses(detector.pipeline_)
    try:
        with Stop() as stop:
            for lines in line_batches(sys.stdin, log, stop):
                frames = _frames(lines, scorer, log, broken)
                for fault in first.add(frames):
                    log.warn(fault)
                dropped, counts = dict(scorer.dropped), dict(tracker.counts)
                if frames:
                    send(tracker.add(scorer.push(*frames)))
                for reason, count in scorer.dropped.items():
                    if count > dropped[reason]:
                        camera, number = scorer.last_dropped[reason]
                        log.rarely(
                            reason,
                            f"{reason}: {count} {UNITS[reason]} so far, "
                            f"the last in frame {number} of camera {camera!r}",
                        )
                for state, text in describe_people(tracker.counts, "person-frames").items():
                    more = tracker.counts[state] > counts[state]
                    if more and sum(tracker.counts.values()) >= _TOLD:
                        log.rarely(state, f"so far {text}")
                now = time.monotonic()
                last_frame.update({frame.camera: now for frame in frames})
                for camera in [name for name, at in last_frame.items() if now - at > _SILENT]:
                    del last_frame[camera]
                    send(tracker.add(scorer.close(camera)))
                if writer.gone:
                    break
    except KeyboardInterrupt:
        log.warn("interrupted: open alerts are closed")
    for fault in first.finish():
        log.warn(fault)
    send(tracker.add(scorer.close()))
    for reason, count in scorer.dropped.items():
        if count:
            log.warn(f"{reason}: {count} {UNITS[reason]}")
    for text in describe_people(tracker.counts, "person-frames").values():
        log.warn(text)
    if unread := writer.finish():
        log.warn(f"standard output is not read, the last {unread} alerts are lost")
    if writer.gone:
        log.warn("standard output was closed")
    try:
        broken.finish(log)
    finally:
        log.finish()


class Stop:
    """A context in which the first Ctrl-C or SIGTERM ends the wait for lines, but not scoring.

    The second one ends scoring, too.
    """

    def __init__(self) -> None:
        self._requested = self._waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A wait that Ctrl-C ends."""
        self._waiting = True
        try:
            if self._requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    def _request(self, *_: object) -> None:
        if self._requested or self._waiting:
            raise KeyboardInterrupt
        self._requested = True


def _log_threshold(log: Log, detector: GEPC, mode: str, threshold: float, rate: str) -> None:
    """Logs the alarm threshold, its origin, and the frame rate."""
    alarm = Alarm.of(detector)
    if alarm is None:
        log.warn(
            "the run has no alarm threshold (gepc-geo calibrate stores one), using "
            f"{threshold:.6g} ({mode}), which {detector.contamination:.0%} of normal people's "
            f"frames exceed; {rate}"
        )
    else:
        log.note(
            f"threshold {threshold:.6g} ({mode}) for {alarm.per_hour:g} "
            f"false alarms an hour, on held-out clips {alarm.held_out}; {rate}"
        )


def _frames(
    lines: list[tuple[int, str]], scorer: OnlineScorer, log: Log, broken: _Broken
) -> list[Frame]:
    """The frames of usable lines; logs a warning for each other line."""
    frames = []
    for number, line in lines:
        if not line.strip():
            continue
        try:
            frame = parse_frame(line, scorer.detector)
            scorer.check(frame)
        except InputError as error:
            broken.add(number, str(error), log)
        else:
            frames.append(frame)
            broken.good = True
    return frames


class _Broken:
    """Unusable lines: each of the first gets a warning, further ones are counted.

    Attributes:
        good: Whether any line was usable.
    """

    def __init__(self) -> None:
        self.good = False
        self._count = 0
        self._first = ""

    def add(self, number: int, why: str, log: Log) -> None:
        """Counts a line and logs a warning."""
        self._count += 1
        self._first = self._first or f"line {number}: {why}"
        if self._count <= _BROKEN_WARNINGS:
            log.warn(f"line {number} is ignored: {why}")
        else:
            log.rarely(
                "broken", f"{self._count} lines are ignored so far, the last is line {number}"
            )

    def finish(self, log: Log) -> None:
        """Logs the number of unusable lines.

        Raises:
            InputError: No line was usable.
        """
        if self._count > _BROKEN_WARNINGS:
            log.warn(f"{self._count} lines are ignored")
        if self._count and not self.good:
            raise InputError(
                "standard input must have lines of frames (gepc-geo score reads files of poses), "
                f"got {self._count} other lines ({self._first})"
            )


def parse_frame(line: str, detector: GEPC) -> Frame:
    """The frame in a line of JSON; the scorer checks its values.

    Args:
        line: The line.
        detector: The detector, for the number of coordinates and of features.

    Raises:
        InputError: The line is not a frame.
    """
    try:
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("a line must be a JSON object")
        people = values["people"]
        if not isinstance(people, list):
            raise ValueError("people must be a list")
        if not all(isinstance(person, dict) for person in people):
            raise ValueError("a person must be a JSON object")
        poses = [person["keypoints"] for person in people]
        size = detector.dims_ + 1
        if not all(isinstance(pose, list) for pose in poses):
            raise ValueError("keypoints must be a list")
        if any(
            not isinstance(joint, list) or len(joint) != size for pose in poses for joint in pose
        ):
            raise ValueError(f"a key point must have {size} numbers")
        confidence = [[_confidence(joint) for joint in pose] for pose in poses]
        camera = values.get("camera")
        return Frame(
            camera="" if camera is None else str(camera),
            frame=values["frame"],
            ids=[person.get("id") for person in people],
            # Coordinates of a missing joint may be null.
            keypoints=[
                [
                    joint[:-1] if present else [0] * (size - 1)
                    for joint, present in zip(*pose, strict=True)
                ]
                for pose in zip(poses, confidence, strict=True)
            ],
            confidence=confidence,
            features=[p["features"] for p in people] if detector.num_features_ else None,
            image_size=values.get("image_size"),
        )
    except KeyError as error:
        raise InputError(f"a frame must have frame and people, got no {error}") from None
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"could not read the frame: {reason}") from None


def _confidence(joint: list[Any]) -> Any:
    """The confidence of a key point: null counts as 1; 0 at the origin or if all is null."""
    if all(value == 0 for value in joint[:-1]):
        return 0.0
    if joint[-1] is not None:
        return joint[-1]
    return float(any(value is not None for value in joint))


def line_batches(stream: TextIO, log: Log, stop: Stop) -> Iterator[list[tuple[int, str]]]:
    """Batches of numbered lines: those that are there; a thread reads while they are scored.

    A batch is empty after ten minutes without a line.
    """
    live = not _is_file(stream)
    lines: queue.Queue[tuple[int, str] | None] = queue.Queue(LINES)

    def read() -> None:
        try:
            for number, line in enumerate(_raw_lines(stream), 1):
                # Bytes that are no text make an unusable line, and do not end the stream.
                lines.put((number, line.decode("utf-8-sig", "replace")))
        except OSError as error:
            log.warn(f"could not read standard input: {error}")
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    ended = False
    while not ended:
        if live and lines.full():
            log.rarely("full", f"{LINES} lines wait: the input is faster than scoring")
        try:
            with stop.interruptible():
                batch = [lines.get(timeout=_SILENT)]
        except queue.Empty:
            yield []
            continue
        while len(batch) < BATCH and not lines.empty():
            batch.append(lines.get())
        ended = batch[-1] is None
        yield [line for line in batch if line is not None]


def _is_file(stream: TextIO) -> bool:
    """Whether a stream is a file, which is not live."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


def _raw_lines(stream: TextIO) -> Iterator[bytes]:
    """Lines of a stream as bytes, from the file descriptor, if there is one, and not the buffer.

    A thread that waits in the buffer would hold a lock that Python needs to exit.
    """
    try:
        number = stream.fileno()
    except OSError:
        yield from stream.buffer
        return
    rest = b""
    while chunk := when_ready(partial(os.read, number, 1 << 16), number, "in"):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest
