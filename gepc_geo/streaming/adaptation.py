"""What is normal, learned anew: a new camera, or alarms that were false."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.normality import Normality
from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.scoring.metrics import runs
from gepc_geo.scoring.scorer import WindowScorer, WindowScores
from gepc_geo.streaming.alerts import Alert
from gepc_geo.streaming.thresholds import (
    Alarm,
    Series,
    alarm_threshold,
    check_fps,
    choose_threshold,
    series_of,
)
from gepc_geo.windows.dataset import PoseWindows


@dataclass
class Recall:
    """Events of labelled poses that raised the alarm.

    Attributes:
        found: Runs of abnormal frames with an alarmed frame in them.
        events: All runs of abnormal frames.
    """

    found: int
    events: int

    def __str__(self) -> str:
        return f"{self.found / self.events:.3f} ({self.found} of {self.events} events)"


def adapt_to_poses(detector: GEPC, tracks: PoseTracks) -> GEPC:
    """A detector that takes all behaviour in new poses for normal, too; the old one stays as it is.

    Neighbours, the classifier of altered windows, mixtures, calibration and thresholds are learned anew,
    for windows of each length; an autoencoder is not. New scores for calibration and thresholds are of
    each half of the clips (of a single clip: of its time) by neighbours of the other half, and by a
    classifier trained without the person. Both thresholds are the higher of the old one and
    the one that the new poses need, so that neither the old cameras nor the new one raise more false
    alarms than wanted.

    Args:
        detector: A fitted detector of frames.
        tracks: Normal poses.

    Raises:
        InputError: Poses without a full window or of another kind than the detector's; with a stored
            alarm, clips without frames a second.
    """
    _check(detector)
    alarm = Alarm.of(detector)
    if alarm is not None:
        check_fps(tracks)
    learned = detector.pipeline_.windows(tracks, detector.options_.stride).without_padded()
    if not len(learned):
        raise InputError(
            f"the new poses have no window of {detector.lengths_[0]} frames, expected longer tracks"
        )
    news = _news(detector.scorer_, learned)
    adapted = _adapted(detector, news)
    # Of the old scores only their distributions are known, under the old neighbours. More neighbours make
    # hardly anybody more abnormal, so what comes of them is on the safe side.
    scored = adapted.extend_calibration(*_scored_by_others(detector, tracks, news))
    if alarm is not None:
        every = series_of(adapted, scored, tracks, alarm.mode)
        series = [every[clip] for clip in np.unique(tracks.clip)]
        adapted.alarm_ = _uncounted(_raised(alarm, series)).to_dict()
    return adapted


def adapt_to_events(detector: GEPC, tracks: PoseTracks, events: Sequence[Alert]) -> GEPC:
    """A detector to which some alarms were false: they do not fire any more.

    What everybody did in the frames of the events, and in the windows that reach into them, becomes
    normal; nothing else of the poses does. Where an event still fires after that, the alarm's threshold
    rises above it.

    Args:
        detector: A fitted detector of frames with a stored alarm (:func:`gepc_geo.streaming.thresholds.calibrate`).
        tracks: The poses the alarms were raised on; clips are the events' cameras by name.
        events: Alerts; open ones count up to the end they name.

    Raises:
        InputError: No alarm in the detector, no events, a camera that no clip is, an event that is not
            within its clip or has no full window of anybody.
    """
    _check(detector)
    alarm = Alarm.of(detector)
    if alarm is None:
        raise InputError("the run has no alarm threshold, expected gepc-geo calibrate first")
    if not events:
        raise InputError("there are no events to learn from, expected lines of gepc-geo watch")
    tracks = _event_clips(tracks, events)
    places = {name: clip for clip, name in enumerate(tracks.clip_names)}
    for event in events:
        length = int(tracks.clip_length[places[event.camera]])
        if not 0 <= event.start <= event.end < length:
            raise InputError(
                f"frames {event.start} to {event.end} of an event are not all in clip "
                f"{event.camera!r}, expected frames from 0 to {length - 1}"
            )
    windows = detector.windows(tracks).without_padded()
    first, last = windows.frame, windows.frame + windows.size - 1
    marked = np.zeros(len(windows), dtype=bool)
    for event in events:
        inside = windows.clip == places[event.camera]
        inside &= (first <= event.end) & (last >= event.start)
        if not inside.any():
            raise InputError(
                f"frames {event.start} to {event.end} of clip {event.camera!r} have no window of "
                "anybody, expected the poses on which the alarm was raised"
            )
        marked |= inside
    adapted = _adapted(detector, _news(detector.scorer_, windows.subset(marked)))
    raw = adapted.scorer_.raw(windows)
    at = torch.from_numpy(np.flatnonzero(marked)).to(adapted.scorer_.device)
    adapted.extend_calibration(windows.subset(marked), {mode: one[at] for mode, one in raw.items()})
    scored = adapted.scorer_.of_raw(windows, raw)
    worst = float(_peaks(adapted, scored, tracks, events, alarm.mode).max())
    if worst >= alarm.threshold:
        # Far enough that no rounding of another batch reaches it.
        alarm = replace(alarm, threshold=worst + 1e-3 * max(1.0, abs(worst)))
    adapted.alarm_ = _uncounted(alarm).to_dict()
    return adapted


def count_raised(detector: GEPC, tracks: PoseTracks, events: Sequence[Alert]) -> int:
    """How many events raise a detector's alarm: have a frame that is alarmed.

    Args:
        detector: A fitted detector of frames.
        tracks: The poses the events are of; clips are their cameras by name.
        events: Alerts, each within its clip.

    Raises:
        InputError: A camera that no clip is.
    """
    tracks = _event_clips(tracks, events)
    mode, threshold = alarm_threshold(detector)
    scored = detector.window_scores(tracks, (mode,), padded=False)
    return int((_peaks(detector, scored, tracks, events, mode) >= threshold).sum())


def recall(detector: GEPC, tracks: PoseTracks) -> Recall:
    """How many of the labelled abnormal events raise a detector's alarm.

    Raises:
        InputError: Poses without abnormal frames.
    """
    check_tracks(tracks)
    if tracks.frame_labels is None or not (tracks.frame_labels == 1).any():
        raise InputError(
            "the poses have no abnormal frames, expected labelled anomalies (--labels)"
        )
    mode, threshold = alarm_threshold(detector)
    scored = detector.window_scores(tracks, (mode,), padded=False)
    clips = np.split(tracks.frame_labels, tracks.frame_offset[1:-1])
    found = events = 0
    for labels, one in zip(clips, series_of(detector, scored, tracks, mode), strict=True):
        for start, end in runs(labels == 1):
            events += 1
            found += bool((one.scores[start:end] >= threshold).any())
    return Recall(found, events)


def _check(detector: GEPC) -> None:
    check_detector(detector)
    if detector.options_.frames is not None:
        raise InputError(
            f"this detector scores whole clips (frames {detector.options_.frames}), "
            "expected one that scores windows"
        )


def _event_clips(tracks: PoseTracks, events: Sequence[Alert]) -> PoseTracks:
    """The clips that events are of."""
    places = {name: clip for clip, name in enumerate(tracks.clip_names)}
    for event in events:
        if event.camera not in places:
            raise InputError(
                f"camera {event.camera!r} of an event is no clip of the poses, expected one of "
                f"{', '.join(list(places)[:5])}"
            )
    return tracks.select(clips=sorted({places[event.camera] for event in events}))


def _peaks(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, events: Sequence[Alert], mode: str
) -> np.ndarray:
    """The highest frame score of each event."""
    clips = dict(zip(tracks.clip_names, series_of(detector, scored, tracks, mode), strict=True))
    return np.array([clips[one.camera].scores[one.start : one.end + 1].max() for one in events])


class _News:
    """What new windows of one length add to what is normal among them.

    Args:
        old: What was normal before.
        windows: The new windows.
        points: Their views, from :meth:`~gepc_geo.scoring.scorer.WindowScorer.points`.
    """

    def __init__(self, old: Normality, windows: PoseWindows, points: dict[str, Tensor]) -> None:
        self._old, self.windows, self._points = old, windows, points["nearest"]
        self._views = len(self._points) // len(windows)
        person = torch.as_tensor(windows.person).to(self._points.device)
        self._person = person.repeat(self._views)
        #: The number that person 0 of the new windows has to the classifier of altered windows.
        self.first_person = old.altered.people
        #: What is normal from now on.
        self.normality = old.extended(points, self._person)

    def without_others(self, chosen: np.ndarray) -> Normality:
        """What would be normal if of the new windows the chosen ones (mask) alone were neighbours."""
        normality = copy.copy(self.normality)
        normality.nearest = self._old.nearest
        if chosen.any():
            rows = torch.as_tensor(np.tile(chosen, self._views), device=self._person.device)
            points, person = self._points[rows], self._person[rows]
            normality.nearest = normality.nearest.extended(points, person)
        return normality


def _news(scorer: WindowScorer, windows: PoseWindows) -> dict[int, _News]:
    """What windows add to what is normal, by length."""
    parts = [windows.of_length(length) for length in windows.lengths]
    return {
        part.length: _News(scorer.normality[part.length], part, scorer.points(part))
        for part in parts
        if len(part)
    }


def _adapted(detector: GEPC, news: dict[int, _News]) -> GEPC:
    """The detector with more that is normal, not yet calibrated."""
    return detector.with_normality({length: one.normality for length, one in news.items()})


def _scored_by_others(
    detector: GEPC, tracks: PoseTracks, news: dict[int, _News]
) -> tuple[PoseWindows, dict[str, Tensor]]:
    """New windows and their raw scores, each by what new ones that have nothing to do with it make normal.

    Whoever is among the neighbours is nearer to them than anybody new. A classifier of altered windows
    counts that was trained without the person.
    """
    windows, encoder = detector.windows(tracks).without_padded(), detector.scorer_.encoder
    places, scores = [], []
    for length, new in news.items():
        for here, unrelated in _parts(windows, new.windows):
            judge = WindowScorer(encoder, {length: new.without_others(unrelated)})
            part = windows.subset(here).of_length(length)
            others = [mode for mode in judge.own_modes if mode != "altered"]
            told = judge.raw(part, ["altered"], person=part.person + new.first_person)
            scores.append(judge.raw(part, others) | told)
            places.append(np.flatnonzero(here))
    raw = {mode: torch.cat([one[mode] for one in scores]) for mode in scores[0]}
    return windows.subset(np.concatenate(places)), raw


def _parts(windows: PoseWindows, learned: PoseWindows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Masks of windows, and for each of the learned ones that have no frame or clip in common with it.

    Every other clip is a part; of a single clip what is before its middle, behind it, and across it. Where
    that is too short to be divided, the part is all windows, judged by what was normal before.

    Args:
        windows: Of all lengths.
        learned: Of the length that counts.
    """
    length, clips = learned.length, np.unique(learned.clip)
    counted = windows.size == length
    if len(clips) > 1:
        side, theirs = (np.searchsorted(clips, one.clip) % 2 for one in (windows, learned))
        parts = [(side == number, theirs != number) for number in (0, 1)]
    else:
        middle = int(np.median(learned.frame)) + length // 2
        before, behind = windows.frame + length <= middle, windows.frame >= middle
        first, end = learned.frame, learned.frame + length
        parts = [(before, first >= middle), (behind, end <= middle)]
        far = (end <= middle - length + 1) | (first >= middle + length - 1)
        # Of a short clip hardly anything is far from its middle: by that alone everybody were abnormal.
        if 4 * far.sum() >= len(learned):
            parts.append((~before & ~behind, far))
    parts = [(here & counted, unrelated) for here, unrelated in parts]
    parts = [part for part in parts if part[0].any() and part[1].any()]
    return parts or [(counted, np.zeros(len(learned), dtype=bool))]


def _uncounted(alarm: Alarm) -> Alarm:
    """The alarm without its rate on held-out clips, which was another detector's."""
    return replace(alarm, held_out_alarms=None, held_out_hours=None)


def _raised(alarm: Alarm, series: Sequence[Series]) -> Alarm:
    """The alarm with a threshold that new normal poses keep to, if they are long enough to say."""
    hours = sum(one.hours for one in series)
    if hours * alarm.per_hour < 1:
        return alarm
    threshold = max(alarm.threshold, choose_threshold(series, alarm.per_hour))
    return replace(alarm, threshold=threshold, hours=alarm.hours + hours)
