"""Frames on standard input to alerts on standard output."""

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
from gepc_geo.streaming.alerts import Alert, AlertTracker
from gepc_geo.streaming.frames import Frame
from gepc_geo.streaming.scorer import OnlineScorer
from gepc_geo.streaming.thresholds import Alarm, alarm_threshold

# Lines that wait to be scored, lines scored in one pass, and alerts that wait to be read.
_LINES, _TOGETHER, _ALERTS = 1024, 64, 10_000
# Broken lines that are told of one by one.
_TOLD = 20
# What the scorer counts under each of its reasons.
_UNITS = {
    "late": "person-frames",
    "duplicate": "person-frames",
    "unnamed": "person-frames without an id",
    "restart": "new beginnings of a camera",
    "unscored": "windows without a finite score",
}
# Seconds without a frame after which a camera is gone.
_SILENT = 600.0
# Bytes without a line's end that are held before they count as a broken line.
_LONGEST = 1 << 24


def watch_input(run: Path, fps: float | None, device: str) -> None:
    """Scores the frames on standard input and writes the alerts, until the input ends or Ctrl-C.

    Args:
        run: Folder of the run, or its ``model.pt``.
        fps: Frames a second; ``None``: as in training.
        device: Where to compute.

    Raises:
        InputError: No such run, no frame rate, or an input without a single frame.
    """
    detector = load_run(run, None, device)
    if fps is not None and not 0 < fps < math.inf:
        raise InputError(f"--fps is {fps}, expected a number over 0")
    whence = "as in training" if fps is None else "--fps"
    if fps is None:
        fps = detector.fps_
    if not fps > 0:
        raise InputError(
            f"{run} does not know the frames a second, expected --fps, as gaps are counted by time"
        )
    mode, threshold = alarm_threshold(detector)
    log, writer = Log(sys.stderr), LineWriter(sys.stdout, _ALERTS)
    _tell_threshold(log, detector, mode, threshold, f"{fps:g} frames a second ({whence})")
    if mismatch := detector.fps_mismatch(fps):
        log.warn(mismatch)
    scorer = OnlineScorer(detector, modes=(mode,))
    tracker = AlertTracker(threshold, fps, mode)

    def send(alerts: list[Alert]) -> None:
        for text in (alert.to_json() for alert in alerts):
            if not writer.write(text):
                log.warn(f"nobody reads the alerts, this one is lost: {text}")

    heard: dict[str, float] = {}
    broken = _Broken()
    try:
        with _Stop() as stop:
            for lines in _batches(sys.stdin, log, stop):
                frames = _frames(lines, scorer, log, broken)
                dropped = dict(scorer.dropped)
                if frames:
                    send(tracker.add(scorer.push(*frames)))
                for reason, count in scorer.dropped.items():
                    if count > dropped[reason]:
                        camera, number = scorer.last_dropped[reason]
                        log.rarely(
                            reason,
                            f"{reason}: {count} {_UNITS[reason]} so far, "
                            f"the last in frame {number} of camera {camera!r}",
                        )
                now = time.monotonic()
                heard.update({frame.camera: now for frame in frames})
                for camera in [name for name, last in heard.items() if now - last > _SILENT]:
                    del heard[camera]
                    send(tracker.add(scorer.close(camera)))
                if writer.gone:
                    break
    except KeyboardInterrupt:
        log.warn("interrupted, open alerts are closed")
    send(tracker.add(scorer.close()))
    for reason, count in scorer.dropped.items():
        if count:
            log.warn(f"{reason}: {count} {_UNITS[reason]}")
    if unread := writer.finish():
        log.warn(f"nobody reads the alerts, the last {unread} are lost")
    if writer.gone:
        log.warn("nobody takes the alerts any more")
    try:
        broken.finish(log)
    finally:
        log.finish()


class _Stop:
    """While inside, Ctrl-C and what stops a service end the wait for lines, not what is being scored.

    Asked a second time, whatever is going on ends.
    """

    def __init__(self) -> None:
        self._asked = self._waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def may_end(self) -> Iterator[None]:
        """Around what waits."""
        self._waiting = True
        try:
            if self._asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    def _ask(self, *_: object) -> None:
        if self._asked or self._waiting:
            raise KeyboardInterrupt
        self._asked = True


def _tell_threshold(log: Log, detector: GEPC, mode: str, threshold: float, rate: str) -> None:
    """Says from which score on frames are alarmed, who chose that, and the frame rate."""
    alarm = Alarm.of(detector)
    if alarm is None:
        log.warn(
            f"the run has no alarm threshold, took {threshold:.6g} ({mode}), which "
            f"{detector.contamination:.0%} of normal people's frames exceed (gepc-geo calibrate "
            f"stores a better one); {rate}"
        )
    else:
        log.note(
            f"threshold {threshold:.6g} ({mode}) for {alarm.per_hour:g} "
            f"false alarms an hour, on held-out clips {alarm.held_out}; {rate}"
        )


def _frames(
    lines: list[tuple[int, str]], scorer: OnlineScorer, log: Log, broken: _Broken
) -> list[Frame]:
    """The frames of the lines that can be used; of the others a warning."""
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
    """Lines that are left out: the first are told of one by one, the others are counted.

    Attributes:
        good: Whether any line was of use.
    """

    def __init__(self) -> None:
        self.good = False
        self._count = 0
        self._first = ""

    def add(self, number: int, why: str, log: Log) -> None:
        """Takes a line."""
        self._count += 1
        self._first = self._first or f"line {number}: {why}"
        if self._count <= _TOLD:
            log.warn(f"line {number} is left out: {why}")
        else:
            log.rarely(
                "broken", f"{self._count} lines are left out so far, the last is line {number}"
            )

    def finish(self, log: Log) -> None:
        """Says how many there were.

        Raises:
            InputError: None was of use.
        """
        if self._count > _TOLD:
            log.warn(f"{self._count} lines are left out")
        if self._count and not self.good:
            raise InputError(
                f"no line of the {self._count} on standard input is a frame ({self._first}); files of poses "
                "are read by gepc-geo score"
            )


def parse_frame(line: str, detector: GEPC) -> Frame:
    """The frame that a line of JSON tells of; what is in it is checked by the scorer.

    Raises:
        InputError: A line that is no frame.
    """
    try:
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")
        people = values["people"]
        if not isinstance(people, list):
            raise ValueError("its people are no list")
        if not all(isinstance(person, dict) for person in people):
            raise ValueError("a person is no JSON object")
        joints = [person["keypoints"] for person in people]
        size = detector.dims_ + 1
        if not all(isinstance(one, list) for one in joints):
            raise ValueError("key points are no list")
        if any(
            not isinstance(joint, list) or len(joint) != size for one in joints for joint in one
        ):
            raise ValueError(f"a key point has not {size} numbers")
        confidence = [[_confidence(joint) for joint in one] for one in joints]
        camera = values.get("camera")
        return Frame(
            camera="" if camera is None else str(camera),
            frame=values["frame"],
            ids=[person.get("id") for person in people],
            # A missing joint's coordinates mean nothing, and may be null.
            keypoints=[
                [
                    joint[:-1] if there else [0] * (size - 1)
                    for joint, there in zip(*one, strict=True)
                ]
                for one in zip(joints, confidence, strict=True)
            ],
            confidence=confidence,
            features=[p["features"] for p in people] if detector.num_features_ else None,
            image_size=values.get("image_size"),
        )
    except KeyError as error:
        raise InputError(f"it lacks {error}, expected frame and people") from None
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"it is no frame: {reason}") from None


def _confidence(joint: list[Any]) -> Any:
    """The confidence of a key point, as in files: at the origin it is 0, and one that is null counts as 1,
    unless all is null."""
    if all(value == 0 for value in joint[:-1]):
        return 0.0
    if joint[-1] is not None:
        return joint[-1]
    return float(any(value is not None for value in joint))


def _batches(stream: TextIO, log: Log, stop: _Stop) -> Iterator[list[tuple[int, str]]]:
    """Numbered lines, as many at a time as are there; reading goes on while they are scored.

    None at all where nothing came for a while.
    """
    live = not _is_file(stream)
    lines: queue.Queue[tuple[int, str] | None] = queue.Queue(_LINES)

    def read() -> None:
        try:
            for number, line in enumerate(_raw_lines(stream), 1):
                # Bytes that are no text make a broken line, not the end.
                lines.put((number, line.decode("utf-8-sig", "replace")))
        except OSError as error:
            log.warn(f"standard input cannot be read any more: {error}")
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    ended = False
    while not ended:
        if live and lines.full():
            log.rarely("full", f"{_LINES} lines wait: they come faster than they are scored")
        try:
            with stop.may_end():
                batch = [lines.get(timeout=_SILENT)]
        except queue.Empty:
            yield []
            continue
        while len(batch) < _TOGETHER and not lines.empty():
            batch.append(lines.get())
        ended = batch[-1] is None
        yield [line for line in batch if line is not None]


def _is_file(stream: TextIO) -> bool:
    """Whether a stream is a file, which has time to wait."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


def _raw_lines(stream: TextIO) -> Iterator[bytes]:
    """Lines of a stream as bytes, read past its buffer where it is a file of the system.

    A thread that waits inside of the buffer would hold the lock that Python needs to end.
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
        if len(rest) > _LONGEST:
            yield rest
            rest = b""
    if rest:
        yield rest
