"""Alerts of streams: beginnings and ends of alarms."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.scoring.aggregation import frame_scores, person_frame_scores
from gepc_geo.streaming.scorer import OnlineScores
from gepc_geo.streaming.thresholds import merged_gap


@dataclass
class Alert:
    """Beginning or end of an alarm of one camera.

    Attributes:
        camera: Name of the camera.
        state: ``"open"`` at the beginning, ``"closed"`` at the end of the alarm.
        start: First frame.
        peak: Frame with the highest score.
        end: Last frame; of an open alert, the last so far.
        person: Person with the highest score.
        score: The highest score.
    """

    camera: str
    state: str
    start: int
    peak: int
    end: int
    person: int
    score: float

    def to_json(self) -> str:
        """The alert as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Alert:
        """Reads a line of :meth:`to_json`.

        Raises:
            InputError: The line is not an alert.
        """
        try:
            values = json.loads(line)
            alert = cls(**{name: values[name] for name in cls.__dataclass_fields__})
            alert._check()
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"an alert must be a line of gepc-geo watch, got {line.strip()[:80]!r}: {reason}"
            ) from None
        return alert

    def _check(self) -> None:
        """Raises a ValueError for the first value that is not valid."""
        if not isinstance(self.camera, str):
            raise ValueError(f"camera must be text, got {self.camera!r}")
        if self.state not in ("open", "closed"):
            raise ValueError(f"state must be open or closed, got {self.state!r}")
        for name in ("start", "peak", "end", "person"):
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} must be a whole number, got {getattr(self, name)!r}")
        if not 0 <= self.start <= self.peak <= self.end:
            raise ValueError(
                "start, peak and end must be in order from 0, got "
                f"{self.start}, {self.peak} and {self.end}"
            )
        if type(self.score) not in (int, float) or not math.isfinite(self.score):
            raise ValueError(f"score must be a finite number, got {self.score!r}")


class AlertTracker:
    """Makes alerts from scores of windows.

    The alarms are those of :func:`gepc_geo.streaming.thresholds.alarm_runs` on whole clips. The
    score of a person in a frame is the mean over the windows that contain the frame, for each
    length, then the mean over the lengths. A frame has the score of its most abnormal person. It is
    compared with the threshold once no later window can contain it.

    Args:
        threshold: The alarm threshold.
        fps: Frames a second.
        mode: Scoring mode.

    Raises:
        InputError: ``fps`` is not more than 0.
    """

    def __init__(self, threshold: float, fps: float, mode: str) -> None:
        if not fps > 0:
            raise InputError(f"fps must be more than 0, got {fps}")
        self.threshold, self.mode = threshold, mode
        self.gap = merged_gap(fps)
        self._streams: dict[tuple[str, int], _Stream] = {}

    def add(self, scores: OnlineScores) -> list[Alert]:
        """Takes new scores; returns the alerts that open or close."""
        camera = np.array(scores.camera, dtype=np.str_)
        alerts: list[Alert] = []
        for key, settled in scores.settled.items():
            stream = self._streams.setdefault(key, _Stream())
            at = np.flatnonzero((camera == key[0]) & (scores.session == key[1]))
            if len(at):
                windows = np.stack([scores.first[at], scores.length[at], scores.person[at]])
                stream.take(windows, scores.scores[self.mode][at])
            for frame, person, score in stream.judge(settled, self.threshold):
                alerts += self._alarmed(stream, key[0], frame, person, score)
            if stream.alert is not None and (
                settled is None or settled + 1 - stream.alert.end >= self.gap
            ):
                alerts.append(stream.closed())
            if settled is None:
                del self._streams[key]
        return alerts

    def _alarmed(
        self, stream: _Stream, camera: str, frame: int, person: int, score: float
    ) -> list[Alert]:
        alert, alerts = stream.alert, []
        if alert is not None and frame - alert.end >= self.gap:
            alerts.append(stream.closed())
            alert = None
        if alert is None:
            stream.alert = Alert(camera, "open", frame, frame, frame, person, score)
            return [*alerts, Alert(**vars(stream.alert))]
        alert.end = frame
        if score > alert.score:
            alert.peak, alert.person, alert.score = frame, person, score
        return alerts


class _Stream:
    """Windows of one camera with frames that are not judged yet, and the open alert."""

    def __init__(self) -> None:
        # First frame, length and person of each window.
        self.windows = np.zeros((3, 0), np.int64)
        self.score = np.zeros(0)
        self.judged = -1
        self.alert: Alert | None = None

    def take(self, windows: np.ndarray, score: np.ndarray) -> None:
        self.windows = np.concatenate([self.windows, windows], axis=1)
        self.score = np.concatenate([self.score, score])

    def judge(self, settled: int | None, threshold: float) -> list[tuple[int, int, float]]:
        """Number, person and score of alarmed frames up to ``settled`` (``None``: all)."""
        first, length, _ = self.windows
        last = int((first + length).max(initial=0)) - 1
        until = last if settled is None else min(settled, last)
        if until <= self.judged:
            return []
        frame, person, score = self._frame_scores(until)
        alarmed = score >= threshold
        self.judged = until
        open_windows = first + length - 1 > until
        self.windows, self.score = self.windows[:, open_windows], self.score[open_windows]
        return list(
            zip(
                frame[alarmed].tolist(),
                person[alarmed].tolist(),
                score[alarmed].tolist(),
                strict=True,
            )
        )

    def _frame_scores(self, until: int) -> tuple[Tensor, Tensor, Tensor]:
        """Number, most abnormal person and score of frames with people, up to ``until``."""
        near = np.flatnonzero(self.windows[0] <= until)
        first, length, person = map(torch.from_numpy, self.windows[:, near].copy())
        people, number = torch.unique(person, return_inverse=True)
        # Only frames in windows: there may be gaps of any size between them.
        lengths = torch.unique(length).tolist()
        parts = [first[length == frames, None] + torch.arange(frames) for frames in lengths]
        frame = torch.unique(
            torch.cat([torch.zeros(0, dtype=torch.long), *map(torch.flatten, parts)])
        )
        frames = frame_scores(
            person_frame_scores(
                torch.from_numpy(self.score[near]),
                torch.searchsorted(frame, first) + number * len(frame),
                length,
                len(frame) * len(people),
            ),
            torch.arange(len(frame)).repeat(len(people)),
            people.repeat_interleave(len(frame)),
            len(frame),
            empty_score=-math.inf,
        )
        due = (frame > self.judged) & (frame <= until)
        return frame[due], frames.person[due], frames.score[due]

    def closed(self) -> Alert:
        alert = self.alert
        assert alert is not None
        self.alert, alert.state = None, "closed"
        return alert


def read_events(path: Path) -> list[Alert]:
    """Reads the alerts of a file: closed ones, and open ones that have no end in the file.

    Args:
        path: A file of lines of ``gepc-geo watch``.

    Raises:
        InputError: The file does not exist or a line is not an alert.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} must have lines of gepc-geo watch, got an error: {error}"
        ) from None
    events: dict[tuple[str, int], Alert] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                alert = Alert.from_json(line)
            except InputError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
            # The closed alert follows the open alert.
            events[alert.camera, alert.start] = alert
    return list(events.values())
