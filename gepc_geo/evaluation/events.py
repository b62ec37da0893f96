"""Events: alarms with the people who caused them.

A person's run is a series of person-frames whose scores are at or above the alarm threshold; gaps
under a second are merged. Runs of different people that overlap in time, or are less than a second
apart, are one event of the group. So the events of a clip are its alarms
(:func:`gepc_geo.evaluation.alarms.alarm_runs`).

Person-frames that only windows with tracking faults contain have no score. Their runs are events of
their own, which are marked and come last.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch

from gepc_geo.detector.gepc import GEPC
from gepc_geo.evaluation.alarms import alarm_threshold, merged_gap
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.states import usable_windows
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import FAULT, JUDGED, person_frame_states, person_frames
from gepc_geo.scoring.explanation import NOTHING
from gepc_geo.scoring.joint_shares import joint_shares, main_joints
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import FilledTracks
from gepc_geo.windows.quality import SIGNS, Quality

# Columns of a table that are attributes of events, and their types.
_COLUMNS: dict[str, type] = {
    **dict.fromkeys(("clip", "fault", "near", "why", "id"), np.str_),
    **dict.fromkeys(("person", "start", "peak", "end", "windows"), np.int64),
    **dict.fromkeys(("score", "quality"), np.float64),
}
_ORDER = (
    *("clip", "person", "people", "start", "peak", "end", "start_s", "peak_s", "end_s"),
    *("score", "joints", "quality", "fault", "why", "id", "windows", "near"),
)
#: Names of signs of tracking faults by their positions; the last one, of -1, is that of no fault.
FAULT_NAMES = (*SIGNS, "")
#: Words for what a person did: of the position of the clip, the person's id, first and last frame.
Words = Callable[[int, int, int, int], str]


@dataclass
class PersonRun:
    """Run of one person in an event.

    Attributes:
        person: Id of the person.
        start: First frame.
        peak: Frame with the highest score.
        end: Last frame.
        score: The highest score.
    """

    person: int
    start: int
    peak: int
    end: int
    score: float


@dataclass
class Event:
    """An alarm, and the people who caused it.

    Attributes:
        clip: Name of the clip.
        start: First frame.
        peak: Frame with the highest score.
        end: Last frame.
        person: Person with the highest score.
        score: The highest score.
        id: Name of the event, of letters, digits, ``-``, ``_`` and ``.``: clip, most abnormal
            person of the first frame, and first frame. It does not change while the event goes on.
        runs: Runs of the people, by first frame.
        fps: Frames a second; NaN if unknown.
        joints: Main joints of the most abnormal window of ``person`` at the peak
            (:func:`gepc_geo.scoring.joint_shares.main_joints`).
        quality: Lowest quality of the windows of ``person`` at the peak, also of those that were
            left out; NaN if unknown.
        fault: Worst sign of a tracking fault (:data:`gepc_geo.windows.quality.SIGNS`) of the
            windows that give the score; empty without a fault.
        why: What was unusual, in words; empty if unknown.
        windows: Number of windows of ``person`` that give the score of the peak; 0 if unknown.
        near: Worst sign of a tracking fault of ``person`` within a second of the run with the peak;
            empty without one.
    """

    clip: str
    start: int
    peak: int
    end: int
    person: int
    score: float
    id: str
    runs: list[PersonRun] = field(default_factory=list)
    fps: float = math.nan
    joints: tuple[str, ...] = ()
    quality: float = math.nan
    fault: str = ""
    why: str = ""
    windows: int = 0
    near: str = ""

    @property
    def run(self) -> PersonRun:
        """The run of ``person`` that has the peak."""
        return next(
            run
            for run in self.runs
            if run.person == self.person and run.start <= self.peak <= run.end
        )

    @property
    def people(self) -> tuple[int, ...]:
        """Ids of the people, highest score first."""
        order = sorted(self.runs, key=lambda run: (-run.score, run.peak, run.person))
        return tuple(dict.fromkeys(run.person for run in order))

    @property
    def seconds(self) -> tuple[float, float, float]:
        """Times of ``start``, ``peak`` and ``end`` in the clip; NaN without a frame rate."""
        return self.start / self.fps, self.peak / self.fps, self.end / self.fps


class EventJoiner:
    """Joins person-frames at or above the threshold, in order of frames, to events of one clip.

    Args:
        clip: Name of the clip.
        fps: Frames a second; NaN if unknown: then only consecutive frames are joined.

    Attributes:
        event: The event that later frames may join; ``None`` without one.
    """

    def __init__(self, clip: str, fps: float) -> None:
        self.clip, self.fps = clip, fps
        self.gap = 2 if math.isnan(fps) else merged_gap(fps)
        self.event: Event | None = None
        # The run of each person that later frames may join.
        self._runs: dict[int, PersonRun] = {}

    def add(self, frame: int, people: list[int], scores: list[float]) -> Event | None:
        """Adds a frame; returns the event that ended before it.

        Args:
            frame: Number of the frame, more than that of earlier ones.
            people: The people at or above the threshold, at least one.
            scores: Their scores.
        """
        ended = self.end(frame)
        score = max(scores)
        person = people[scores.index(score)]
        if self.event is None:
            name = event_id(self.clip, person, frame)
            self.event = Event(self.clip, frame, frame, frame, person, score, name, fps=self.fps)
        event = self.event
        event.end = frame
        if score > event.score:
            event.peak, event.person, event.score = frame, person, score
        for one, value in zip(people, scores, strict=True):
            run = self._runs.get(one)
            if run is None or frame - run.end >= self.gap:
                run = self._runs[one] = PersonRun(one, frame, frame, frame, value)
                event.runs.append(run)
            run.end = frame
            if value > run.score:
                run.peak, run.score = frame, value
        return ended

    def end(self, frame: int | None = None) -> Event | None:
        """Ends and returns the event unless a frame from ``frame`` on may join it.

        Args:
            frame: The first frame that may still come. (default: ``None``, none)
        """
        event = self.event
        if event is None or (frame is not None and frame - event.end < self.gap):
            return None
        self.event, self._runs = None, {}
        return event


def event_id(clip: str, person: int, start: int) -> str:
    """The name of an event, which can be a part of an address."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", clip)
    if name != clip:
        # Other clips may have the same letters.
        name += f"_{zlib.crc32(clip.encode('utf-8', 'surrogatepass')):08x}"
    return f"{name}-{person}-{start}"


def events_of(
    detector: GEPC,
    scored: WindowScores,
    tracks: PoseTracks,
    options: ScoreOptions,
    words: Words | None = None,
) -> list[Event]:
    """The events of poses, highest score first; those near tracking faults come last.

    Events whose person has a tracking fault within a second come after all others, and events that
    are tracking faults themselves after these.

    Without tracking faults they are the alarms of :func:`gepc_geo.evaluation.tables.frame_level`.

    Args:
        detector: A fitted detector that scores windows.
        scored: Window scores of ``tracks``.
        tracks: The poses.
        options: ``mode``, ``padded`` and ``faults`` are used; scores are neither smoothed nor
            corrected.
        words: Explains an event from the position of its clip, the person at the peak, and first
            and last frame of the person's run there. (default: ``None``)

    Raises:
        InputError: The detector lacks the mode.
    """
    mode, threshold = alarm_threshold(detector, options.mode_of(detector))
    windows, quality = scored.windows, scored.quality
    used, fault = usable_windows(windows, quality, options, bool(options.padded))
    state = person_frame_states(windows, used, fault)
    events = []
    for chosen, rows in ((used, state == JUDGED), (fault, state == FAULT)):
        own = np.flatnonzero(chosen)
        part, score = windows.subset(own), scored.scores[mode][own]
        value = person_frames(part, torch.as_tensor(score)).numpy()
        alarmed = np.flatnonzero(rows & (value >= threshold))
        for clip, found in _joined(tracks, windows.table, alarmed, value):
            at = np.flatnonzero(part.clip == clip)
            _describe(detector, part.subset(at), score[at], mode, found, words)
            if quality is not None:
                _judge(windows, quality, chosen, clip, found)
            if quality is not None and chosen is used and not options.faults:
                _look_around(windows, quality, found, clip)
            events += found
    if options.faults:
        return sorted(events, key=lambda event: -event.score)
    return sorted(events, key=lambda event: (event.fault != "", event.near != "", -event.score))


def event_table(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, options: ScoreOptions
) -> dict[str, np.ndarray]:
    """Columns of :func:`events_of` by name; several people or joints are separated by spaces."""
    explanation = detector.explain(tracks, scored)
    words = None if explanation is None else explanation.words
    events = events_of(detector, scored, tracks, options, words)
    seconds = np.array([event.seconds for event in events]).reshape(-1, 3)
    columns: dict[str, np.ndarray] = {
        name: np.array([getattr(event, name) for event in events], dtype)
        for name, dtype in _COLUMNS.items()
    }
    columns["people"] = _texts(" ".join(map(str, event.people)) for event in events)
    columns["joints"] = _texts(" ".join(event.joints) for event in events)
    columns |= {f"{name}_s": seconds[:, at] for at, name in enumerate(("start", "peak", "end"))}
    return {name: columns[name] for name in _ORDER}


def sort_events(columns: dict[str, np.ndarray], faults: bool = False) -> dict[str, np.ndarray]:
    """The rows of a table of events of several clips, in the order of :func:`events_of`.

    Args:
        columns: The table.
        faults: Whether tracking faults are judged. (default: ``False``)
    """
    order = np.lexsort((-columns["score"], columns["near"] != "", columns["fault"] != ""))
    if faults:
        order = np.argsort(-columns["score"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


# -- inner -----------------------------------------------------------------------------------------


def _joined(
    tracks: PoseTracks, table: FilledTracks, rows: np.ndarray, value: np.ndarray
) -> Iterator[tuple[int, list[Event]]]:
    """Events of the rows of a table by clip."""
    rows = rows[np.lexsort((table.track[rows], table.frame[rows], table.clip[rows]))].tolist()
    for clip, own in groupby(rows, key=lambda row: int(table.clip[row])):
        joiner = EventJoiner(tracks.clip_names[clip], float(tracks.fps[clip]))
        events = []
        for frame, group in groupby(own, key=lambda row: int(table.frame[row])):
            here = list(group)
            people, scores = table.track[here].tolist(), value[here].tolist()
            events.append(joiner.add(frame, people, scores))
        events.append(joiner.end())
        yield clip, [event for event in events if event is not None]


def _describe(
    detector: GEPC,
    windows: PoseWindows,
    score: np.ndarray,
    mode: str,
    events: list[Event],
    words: Words | None,
) -> None:
    """Sets joints and words of the events of a clip from the most abnormal windows at the peaks."""
    at_peak = _at_peaks(windows, events)
    best = np.array([at[score[at].argmax()] for at in at_peak])
    part = windows.subset(best)
    shares = joint_shares(detector.scorer_, part, mode)
    for number, event in enumerate(events):
        event.joints = main_joints(shares[number], windows.skeleton.joints)
        event.windows = len(at_peak[number])
        if words is not None:
            clip, run = int(part.clip[number]), event.run
            event.why = words(clip, event.person, run.start, run.end)
            if event.why == NOTHING:
                # Something that lasts a moment may be unusual.
                event.why = words(clip, event.person, event.peak, event.peak)


def _look_around(windows: PoseWindows, quality: Quality, events: list[Event], clip: int) -> None:
    """Sets the tracking faults near the events of a clip."""
    fault = np.flatnonzero(quality.fault & (windows.clip == clip))
    part, value, sign = windows.subset(fault), quality.value[fault], quality.sign[fault]
    for event in events:
        gap = windows.lengths[0] if math.isnan(event.fps) else merged_gap(event.fps)
        here = part.track == event.person
        here &= part.frame <= event.run.end + gap
        here &= part.frame + part.size > event.run.start - gap
        if here.any():
            event.near = FAULT_NAMES[sign[here][value[here].argmin()]]


def _judge(
    windows: PoseWindows, quality: Quality, chosen: np.ndarray, clip: int, events: list[Event]
) -> None:
    """Sets quality and fault of the events of a clip; chosen windows give the scores."""
    here = np.flatnonzero(windows.clip == clip)
    for event, at in zip(events, _at_peaks(windows.subset(here), events), strict=True):
        own = here[at][chosen[here[at]]]
        event.quality = float(quality.value[here[at]].min())
        event.fault = FAULT_NAMES[quality.sign[own[quality.value[own].argmin()]]]


def _at_peaks(windows: PoseWindows, events: list[Event]) -> list[np.ndarray]:
    """Positions of the windows of the person at each peak that contain the peak."""
    track, first = windows.track, windows.frame
    last = windows.table.frame[np.minimum(windows.first + windows.size - 1, windows.high)]
    return [
        np.flatnonzero((track == e.person) & (first <= e.peak) & (last >= e.peak)) for e in events
    ]


def _texts(texts: Iterable[str]) -> np.ndarray:
    return np.array(list(texts), dtype=np.str_)
