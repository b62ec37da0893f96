"""Alerts of streams: beginnings and ends of alarms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from gepc_geo.errors import InputError
from gepc_geo.evaluation.events import FAULT_NAMES, Event, EventJoiner
from gepc_geo.scoring.aggregation import FAULT, JUDGED, SHORT, STATES, person_frame_scores
from gepc_geo.streaming.scorer import OnlineScores


@dataclass
class Alert:
    """Beginning or end of an event of one camera (:class:`gepc_geo.evaluation.events.Event`).

    Attributes:
        camera: Name of the camera.
        state: ``"open"`` at the beginning, ``"closed"`` at the end of the event.
        start: First frame.
        peak: Frame with the highest score.
        end: Last frame; of an open alert, the last so far.
        person: Person with the highest score.
        score: The highest score.
        people: Ids of all people, highest score first.
        start_s: Time of ``start`` in seconds; ``None`` if unknown.
        peak_s: Time of ``peak``.
        end_s: Time of ``end``.
        joints: Main joints at the peak; empty if unknown.
        quality: Lowest quality of the windows at the peak, from 0 to 1; ``None`` if unknown.
        fault: Worst sign of a tracking fault at the peak; empty without a fault.
        why: What was unusual, in words; empty if unknown.
        id: Name of the event; empty if unknown.
    """

    camera: str
    state: str
    start: int
    peak: int
    end: int
    person: int
    score: float
    people: tuple[int, ...] = ()
    start_s: float | None = None
    peak_s: float | None = None
    end_s: float | None = None
    joints: tuple[str, ...] = ()
    quality: float | None = None
    fault: str = ""
    why: str = ""
    id: str = ""

    @classmethod
    def of(cls, event: Event, state: str) -> Alert:
        """The alert of an event.

        Args:
            event: The event.
            state: ``"open"`` or ``"closed"``.
        """
        start_s, peak_s, end_s = (None if math.isnan(at) else at for at in event.seconds)
        return cls(
            event.clip,
            state,
            event.start,
            event.peak,
            event.end,
            event.person,
            event.score,
            event.people,
            start_s,
            peak_s,
            end_s,
            event.joints,
            None if math.isnan(event.quality) else event.quality,
            event.fault,
            event.why,
            event.id,
        )

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
            needed = {name: values[name] for name in _NEEDED}
            more = {name: values[name] for name in _MORE if name in values}
            alert = cls(**needed, **more)
            alert._check()
            alert.people, alert.joints = tuple(alert.people), tuple(alert.joints)
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
        for name, (said, valid) in _MORE.items():
            if not valid(getattr(self, name)):
                raise ValueError(f"{name} must be {said}, got {getattr(self, name)!r}")


def _is_number(value: object) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))  # type: ignore[arg-type]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _list_of(kind: type) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, (list, tuple)) and all(type(one) is kind for one in value)
    )


# Values that every line of an alert has.
_NEEDED = ("camera", "state", "start", "peak", "end", "person", "score")
# Further values, what they must be, and whether a value is that.
_MORE: dict[str, tuple[str, Callable[[object], bool]]] = {
    "people": ("a list of whole numbers", _list_of(int)),
    "joints": ("a list of names", _list_of(str)),
    **dict.fromkeys(("start_s", "peak_s", "end_s", "quality"), ("a number or null", _is_number)),
    **dict.fromkeys(("fault", "why", "id"), ("text", _is_text)),
}


class AlertTracker:
    """Makes alerts from scores of windows.

    The events are those of :func:`gepc_geo.evaluation.events.events_of` on whole clips, without
    tracking faults. The score of a person in a frame is the mean over the windows that contain the
    frame, for each length, then the mean over the lengths. It is compared with the threshold once
    no later window can contain the frame. Windows with tracking faults give no score.

    Args:
        threshold: The alarm threshold.
        fps: Frames a second.
        mode: Scoring mode.
        faults: Judge windows with tracking faults like all others. (default: ``False``)

    Attributes:
        counts: Number of person-frames that were ``"judged"``, or not because of a ``"tracking
            fault"`` or because their track was ``"too short"``.

    Raises:
        InputError: ``fps`` is not more than 0.
    """

    def __init__(self, threshold: float, fps: float, mode: str, faults: bool = False) -> None:
        if not fps > 0:
            raise InputError(f"fps must be more than 0, got {fps}")
        self.threshold, self.fps, self.mode, self.faults = threshold, fps, mode, faults
        self.counts = dict.fromkeys((STATES[state] for state in (SHORT, FAULT, JUDGED)), 0)
        self._streams: dict[tuple[str, int], _Stream] = {}

    def add(self, scores: OnlineScores) -> list[Alert]:
        """Takes new scores; returns the alerts that open or close."""
        camera = np.array(scores.camera, dtype=np.str_)
        self.counts[STATES[SHORT]] += scores.short
        alerts: list[Alert] = []
        for key, settled in scores.settled.items():
            stream = self._streams.get(key)
            if stream is None:
                stream = self._streams[key] = _Stream(EventJoiner(key[0], self.fps))
            at = np.flatnonzero((camera == key[0]) & (scores.session == key[1]))
            if len(at):
                stream.take(_Windows.of(scores, at, self.mode, self.faults))
            alerts += stream.judge(settled, self.threshold, self.counts)
            if settled is None:
                del self._streams[key]
        return alerts


@dataclass
class _Windows:
    """Windows of one camera.

    Attributes:
        place: First frame, length and person of each window.
        score: Their scores.
        used: Whether they give scores.
        quality: Their quality; NaN if unknown.
        fault: Their worst signs of faults; -1 without a fault.
        joints: Their main joints, a tuple of names each.
        why: What is unusual about them, in words.
    """

    place: np.ndarray
    score: np.ndarray
    used: np.ndarray
    quality: np.ndarray
    fault: np.ndarray
    joints: np.ndarray
    why: np.ndarray

    @classmethod
    def of(cls, scores: OnlineScores, at: np.ndarray, mode: str, faults: bool) -> _Windows:
        """Windows of given positions; with ``faults`` all of them give scores."""
        fault = _filled(scores.fault, len(scores), -1)[at]
        joints = np.empty(len(scores), dtype=object)
        joints[:] = scores.joints or [()] * len(scores)
        return cls(
            np.stack([scores.first[at], scores.length[at], scores.person[at]]),
            scores.scores[mode][at],
            (fault < 0) | faults,
            _filled(scores.quality, len(scores), math.nan)[at],
            fault,
            joints[at],
            np.array(scores.why or [""] * len(scores), dtype=object)[at],
        )

    def subset(self, chosen: np.ndarray) -> _Windows:
        """Windows of a mask or of positions."""
        return _Windows(*(array[..., chosen] for array in vars(self).values()))

    def joined(self, other: _Windows) -> _Windows:
        """These windows, then others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Windows(*(np.concatenate(pair, axis=-1) for pair in pairs))


def _filled(values: np.ndarray, count: int, missing: float) -> np.ndarray:
    """Values of windows, or the same value for all windows if there are none."""
    return values if len(values) == count else np.full(count, missing)


class _Stream:
    """Windows of one session with frames that are not judged yet, and the open event."""

    def __init__(self, joiner: EventJoiner) -> None:
        self.windows: _Windows | None = None
        self.judged = -1
        self._joiner = joiner

    def take(self, windows: _Windows) -> None:
        self.windows = windows if self.windows is None else self.windows.joined(windows)

    def judge(self, settled: int | None, threshold: float, counts: dict[str, int]) -> list[Alert]:
        """Judges frames up to ``settled`` (``None``: all) and counts their people."""
        alerts: list[Alert] = []
        until = -1
        if self.windows is not None:
            first, length, _ = self.windows.place
            last = int((first + length).max(initial=0)) - 1
            until = last if settled is None else min(settled, last)
        if self.windows is not None and until > self.judged:
            frame, person, score = self._person_frames(self.windows, until)
            counts[STATES[JUDGED]] += int((~np.isnan(score)).sum())
            counts[STATES[FAULT]] += int(np.isnan(score).sum())
            alarmed = np.flatnonzero(score >= threshold).tolist()
            for number, group in groupby(alarmed, key=lambda at: int(frame[at])):
                at = list(group)
                alerts += self._alarmed(number, person[at].tolist(), score[at].tolist())
            self.judged = until
            self.windows = self.windows.subset(first + length - 1 > until)
        ended = self._joiner.end(None if settled is None else settled + 1)
        return alerts if ended is None else [*alerts, Alert.of(ended, "closed")]

    def _alarmed(self, frame: int, people: list[int], scores: list[float]) -> list[Alert]:
        before = self._joiner.event
        ended = self._joiner.add(frame, people, scores)
        event = self._joiner.event
        assert event is not None and self.windows is not None
        if event.peak == frame:
            self._describe(event, self.windows)
        alerts = [] if ended is None else [Alert.of(ended, "closed")]
        return alerts if event is before else [*alerts, Alert.of(event, "open")]

    def _describe(self, event: Event, windows: _Windows) -> None:
        """Sets joints, words, quality and fault of an event from the windows at its peak."""
        first, length, person = windows.place
        here = (first <= event.peak) & (event.peak < first + length) & (person == event.person)
        part = windows.subset(here & windows.used)
        highest = int(part.score.argmax())
        event.joints, event.why = part.joints[highest], str(part.why[highest])
        event.quality = float(windows.quality[here].min())
        event.fault = FAULT_NAMES[int(part.fault[part.quality.argmin()])]

    def _person_frames(
        self, windows: _Windows, until: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame, person and score of person-frames up to ``until``; NaN: only faults.

        They are sorted by frame, then person.
        """
        near = windows.subset(windows.place[0] <= until)
        first, length, person = map(torch.from_numpy, near.place.copy())
        people, number = torch.unique(person, return_inverse=True)
        # Only frames in windows: there may be gaps of any size between them.
        lengths = torch.unique(length).tolist()
        parts = [first[length == frames, None] + torch.arange(frames) for frames in lengths]
        frame = torch.unique(
            torch.cat([torch.zeros(0, dtype=torch.long), *map(torch.flatten, parts)])
        )
        row = torch.searchsorted(frame, first) + number * len(frame)
        scores, there = (
            person_frame_scores(
                torch.from_numpy(near.score[chosen]),
                row[chosen],
                length[chosen],
                len(frame) * len(people),
            ).view(len(people), len(frame))
            for chosen in (near.used, np.ones_like(near.used))
        )
        due = (frame > self.judged) & (frame <= until)
        at, who = torch.nonzero((~there.isnan() & due).T, as_tuple=True)
        return frame[at].numpy(), people[who].numpy(), scores[who, at].numpy()


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
