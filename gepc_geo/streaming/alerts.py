"""Alerts of a stream: who raised the alarm from when to when, as it happens."""

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
    """A run of alarmed frames of one camera, gaps under a second merged.

    Attributes:
        camera: Name of the camera.
        state: ``"open"`` when it begins (then ``end`` is its last frame so far), ``"closed"`` when it
            is over.
        start: Its first frame.
        peak: The frame with the highest score.
        end: Its last frame.
        person: Who had the highest score.
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
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Alert:
        """Reads what :meth:`to_json` wrote.

        Raises:
            InputError: Another line.
        """
        try:
            values = json.loads(line)
            alert = cls(**{name: values[name] for name in cls.__dataclass_fields__})
            alert._check()
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"{line.strip()[:80]!r} is no alert, expected a line of gepc-geo watch: {reason}"
            ) from None
        return alert

    def _check(self) -> None:
        """Raises a ValueError for the first value that no alert has."""
        if not isinstance(self.camera, str):
            raise ValueError(f"camera is {self.camera!r}, no text")
        if self.state not in ("open", "closed"):
            raise ValueError(f"state is {self.state!r}, neither open nor closed")
        for name in ("start", "peak", "end", "person"):
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} is {getattr(self, name)!r}, no whole number")
        if not 0 <= self.start <= self.peak <= self.end:
            raise ValueError(
                f"start, peak and end are {self.start}, {self.peak} and {self.end}, "
                "not in order from 0"
            )
        if type(self.score) not in (int, float) or not math.isfinite(self.score):
            raise ValueError(f"score is {self.score!r}, no finite number")


class AlertTracker:
    """From window scores to alerts: what :func:`gepc_geo.streaming.thresholds.alarm_runs` finds in whole clips.

    A person's score in a frame is the mean over the windows of each length that contain it, and then over
    the lengths; the most abnormal person decides the frame. It is judged when no window to come contains
    it, whatever its length.

    Args:
        threshold: Frame scores from here on are alarmed.
        fps: Frames a second.
        mode: Scoring mode.

    Raises:
        InputError: ``fps`` is not above 0.
    """

    def __init__(self, threshold: float, fps: float, mode: str) -> None:
        if not fps > 0:
            raise InputError(f"fps is {fps}, expected more than 0")
        self.threshold, self.mode = threshold, mode
        self.gap = merged_gap(fps)
        self._streams: dict[tuple[str, int], _Stream] = {}

    def add(self, scores: OnlineScores) -> list[Alert]:
        """Takes the scores of a push; what opened and closed by them."""
        camera = np.array(scores.camera, dtype=np.str_)
        alerts: list[Alert] = []
        for key, settled in scores.settled.items():
            stream = self._streams.setdefault(key, _Stream())
            mine = np.flatnonzero((camera == key[0]) & (scores.session == key[1]))
            if len(mine):
                windows = np.stack(
                    [one[mine] for one in (scores.first, scores.length, scores.person)]
                )
                stream.take(windows, scores.scores[self.mode][mine])
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
    """The windows of one camera that have frames still to be judged, and its open alert."""

    def __init__(self) -> None:
        # First frame, length and person of each, and its score.
        self.windows = np.zeros((3, 0), np.int64)
        self.score = np.zeros(0)
        self.judged = -1
        self.alert: Alert | None = None

    def take(self, windows: np.ndarray, score: np.ndarray) -> None:
        self.windows = np.concatenate([self.windows, windows], axis=1)
        self.score = np.concatenate([self.score, score])

    def judge(self, settled: int | None, threshold: float) -> list[tuple[int, int, float]]:
        """Alarmed frames up to ``settled`` (``None``: all): number, person, score."""
        first, length, _ = self.windows
        last = int((first + length).max(initial=0)) - 1
        until = last if settled is None else min(settled, last)
        if until <= self.judged:
            return []
        frame, person, score = self._worst(until)
        alarmed = score >= threshold
        self.judged = until
        kept = first + length - 1 > until
        self.windows, self.score = self.windows[:, kept], self.score[kept]
        return list(
            zip(
                frame[alarmed].tolist(),
                person[alarmed].tolist(),
                score[alarmed].tolist(),
                strict=True,
            )
        )

    def _worst(self, until: int) -> tuple[Tensor, Tensor, Tensor]:
        """Frame, most abnormal person and score of the frames to be judged that somebody is in."""
        near = np.flatnonzero(self.windows[0] <= until)
        first, length, person = map(torch.from_numpy, self.windows[:, near].copy())
        people, number = person.unique(return_inverse=True)
        # Frames that no window covers are left out: their numbers may have gaps of any size.
        parts = [first[length == one, None] + torch.arange(one) for one in length.unique().tolist()]
        frame = torch.cat([torch.zeros(0, dtype=torch.long), *map(torch.flatten, parts)]).unique()
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
    """The alerts of a file that are over; of those that never were, as they opened.

    Raises:
        InputError: No such file, or a line that is no alert.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read, expected lines of gepc-geo watch: {error}"
        ) from None
    events: dict[tuple[str, int], Alert] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                alert = Alert.from_json(line)
            except InputError as error:
                raise InputError(f"{path}: line {number}: {error}") from None
            # The line of its end comes after that of its beginning.
            events[alert.camera, alert.start] = alert
    return list(events.values())
