"""Adaptation of a detector to new normal poses or to false alarms."""

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
from gepc_geo.evaluation.alarms import Alarm, Series, alarm_threshold
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.scoring.metrics import runs
from gepc_geo.scoring.scorer import WindowScorer, WindowScores
from gepc_geo.streaming.alerts import Alert
from gepc_geo.streaming.thresholds import check_fps, choose_threshold, series_of
from gepc_geo.windows.dataset import PoseWindows


@dataclass
class Recall:
    """Recall of labelled events.

    Attributes:
        found: Number of runs of abnormal frames with an alarmed frame.
        events: Number of runs of abnormal frames.
    """

    found: int
    events: int

    def __str__(self) -> str:
        """The recall in words."""
        return f"{self.found / self.events:.3f} ({self.found} of {self.events} events)"


def adapt_to_poses(detector: GEPC, tracks: PoseTracks) -> GEPC:
    """Adapts a detector to new normal poses, for instance of a new camera.

    For windows of each length, reference set, classifier, mixtures, calibration and thresholds are
    updated; an autoencoder is not. Calibration and thresholds need scores of new windows: each half
    of the clips (of a single clip, each half of its time) is scored with the reference windows of
    the other half, and with a classifier that was not trained on the person. Threshold and alarm
    threshold do not fall, so that false alarms do not become more frequent on old cameras.

    Args:
        detector: A fitted detector that scores windows.
        tracks: Normal poses.

    Returns:
        The adapted detector; ``detector`` does not change.

    Raises:
        InputError: The poses have no full window or are of another kind than the detector's, or the
            detector has an alarm threshold and a clip has no frame rate.
    """
    _check(detector)
    alarm = Alarm.of(detector)
    if alarm is not None:
        check_fps(tracks)
    learned = detector.pipeline_.windows(tracks, detector.options_.stride).without_padded()
    if not len(learned):
        raise InputError(
            f"the new poses must have a window of {detector.lengths_[0]} frames, got shorter tracks"
        )
    additions = additions_by_length(detector.scorer_, learned)
    adapted = _adapted(detector, additions)
    # The distribution of the old scores is that with the old reference set. A larger reference set
    # lowers almost all scores, so the old distribution is a safe estimate.
    scored = adapted.extend_calibration(*held_out_scores(detector, tracks, additions))
    if alarm is not None:
        all_series = series_of(adapted, scored, tracks, alarm.mode)
        series = [all_series[clip] for clip in np.unique(tracks.clip)]
        adapted.alarm_ = _without_rate(_raised(alarm, series)).to_dict()
    return adapted


def adapt_to_events(detector: GEPC, tracks: PoseTracks, events: Sequence[Alert]) -> GEPC:
    """Adapts a detector to false alarms: the events raise no alarm with the new detector.

    The windows of all people that overlap the events become normal; other windows do not. If an
    event still reaches the alarm threshold, the threshold rises above its score.

    Args:
        detector: A fitted detector that scores windows, with an alarm threshold
            (:func:`gepc_geo.streaming.thresholds.choose_alarm`).
        tracks: The poses of the events; names of clips are names of cameras.
        events: The false alarms; an open alert ends at its last frame.

    Returns:
        The adapted detector; ``detector`` does not change.

    Raises:
        InputError: The detector has no alarm threshold, there are no events, or an event has an
            unknown camera, frames outside its clip, or no full window.
    """
    _check(detector)
    alarm = Alarm.of(detector)
    if alarm is None:
        raise InputError("the run must have an alarm threshold (gepc-geo calibrate), got none")
    if not events:
        raise InputError("events must be lines of gepc-geo watch, got none")
    tracks = _event_clips(tracks, events)
    clip_of_camera = {name: clip for clip, name in enumerate(tracks.clip_names)}
    for event in events:
        length = int(tracks.clip_length[clip_of_camera[event.camera]])
        if not 0 <= event.start <= event.end < length:
            raise InputError(
                f"an event in clip {event.camera!r} must have frames from 0 to {length - 1}, got "
                f"{event.start} to {event.end}"
            )
    windows = detector.windows(tracks).without_padded()
    first, last = windows.frame, windows.frame + windows.size - 1
    marked = np.zeros(len(windows), dtype=bool)
    for event in events:
        inside = windows.clip == clip_of_camera[event.camera]
        inside &= (first <= event.end) & (last >= event.start)
        if not inside.any():
            raise InputError(
                f"frames {event.start} to {event.end} of clip {event.camera!r} must have windows, "
                "got none: the poses must be those that raised the alarm"
            )
        marked |= inside
    adapted = _adapted(detector, additions_by_length(detector.scorer_, windows.subset(marked)))
    raw = adapted.scorer_.raw(windows)
    at = torch.from_numpy(np.flatnonzero(marked)).to(adapted.scorer_.device)
    adapted.extend_calibration(
        windows.subset(marked), {mode: score[at] for mode, score in raw.items()}
    )
    scored = adapted.scorer_.from_raw(windows, raw)
    highest = float(_peaks(adapted, scored, tracks, events, alarm.mode).max())
    if highest >= alarm.threshold:
        # The margin covers the rounding of other batches.
        alarm = replace(alarm, threshold=highest + 1e-3 * max(1.0, abs(highest)))
    adapted.alarm_ = _without_rate(alarm).to_dict()
    return adapted


def count_raised(detector: GEPC, tracks: PoseTracks, events: Sequence[Alert]) -> int:
    """The number of events with a frame whose score reaches the alarm threshold.

    Args:
        detector: A fitted detector that scores windows.
        tracks: The poses of the events; names of clips are names of cameras.
        events: Alerts, each within its clip.

    Raises:
        InputError: An event has an unknown camera.
    """
    tracks = _event_clips(tracks, events)
    mode, threshold = alarm_threshold(detector)
    scored = detector.window_scores(tracks, (mode,), padded=False)
    return int((_peaks(detector, scored, tracks, events, mode) >= threshold).sum())


def recall(detector: GEPC, tracks: PoseTracks) -> Recall:
    """The number of labelled events with a frame whose score reaches the alarm threshold.

    Args:
        detector: A fitted detector that scores windows.
        tracks: Poses with frame labels.

    Raises:
        InputError: The poses have no abnormal frames.
    """
    check_tracks(tracks)
    if tracks.frame_labels is None or not (tracks.frame_labels == 1).any():
        raise InputError("the poses must have frames with label abnormal (--labels), got none")
    mode, threshold = alarm_threshold(detector)
    scored = detector.window_scores(tracks, (mode,), padded=False)
    clips = np.split(tracks.frame_labels, tracks.frame_offset[1:-1])
    found = events = 0
    for labels, series in zip(clips, series_of(detector, scored, tracks, mode), strict=True):
        for start, end in runs(labels == 1):
            events += 1
            found += bool((series.scores[start:end] >= threshold).any())
    return Recall(found, events)


def _check(detector: GEPC) -> None:
    check_detector(detector)
    if detector.options_.frames is not None:
        raise InputError(
            "the detector must score windows, got one that scores clips "
            f"(frames {detector.options_.frames})"
        )


def _event_clips(tracks: PoseTracks, events: Sequence[Alert]) -> PoseTracks:
    """The clips of the events."""
    clip_of_camera = {name: clip for clip, name in enumerate(tracks.clip_names)}
    for event in events:
        if event.camera not in clip_of_camera:
            raise InputError(
                "camera of an event must be a clip of the poses, one of "
                f"{', '.join(list(clip_of_camera)[:5])}, got {event.camera!r}"
            )
    return tracks.select(clips=sorted({clip_of_camera[event.camera] for event in events}))


def _peaks(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, events: Sequence[Alert], mode: str
) -> np.ndarray:
    """The highest frame score of each event."""
    clips = dict(zip(tracks.clip_names, series_of(detector, scored, tracks, mode), strict=True))
    return np.array([clips[e.camera].scores[e.start : e.end + 1].max() for e in events])


class Addition:
    """New normal windows of one length, and the model that is fitted to them too.

    Args:
        old: The old model.
        windows: The new windows.
        points: Their points, from :meth:`~gepc_geo.scoring.scorer.WindowScorer.points`.
    """

    def __init__(self, old: Normality, windows: PoseWindows, points: dict[str, Tensor]) -> None:
        self._old, self.windows, self._points = old, windows, points["nearest"]
        self._views = len(self._points) // len(windows)
        person = torch.as_tensor(windows.person).to(self._points.device)
        self._person = person.repeat(self._views)
        #: Number of person 0 of the new windows in the classifier of altered copies.
        self.first_person = old.altered.people
        #: The new model.
        self.normality = old.extended(points, self._person)

    def with_reference_windows(self, chosen: np.ndarray) -> Normality:
        """The new model, but only the chosen new windows (a mask) are in its reference set."""
        normality = copy.copy(self.normality)
        normality.nearest = self._old.nearest
        if chosen.any():
            rows = torch.as_tensor(np.tile(chosen, self._views), device=self._person.device)
            points, person = self._points[rows], self._person[rows]
            normality.nearest = normality.nearest.extended(points, person)
        return normality


def additions_by_length(scorer: WindowScorer, windows: PoseWindows) -> dict[int, Addition]:
    """Additions of windows by length."""
    parts = [windows.of_length(length) for length in windows.lengths]
    return {
        part.length: Addition(scorer.normality[part.length], part, scorer.points(part))
        for part in parts
        if len(part)
    }


def _adapted(detector: GEPC, additions: dict[int, Addition]) -> GEPC:
    """The detector with the new models, not yet calibrated."""
    return detector.with_normality(
        {length: addition.normality for length, addition in additions.items()}
    )


def held_out_scores(
    detector: GEPC, tracks: PoseTracks, additions: dict[int, Addition]
) -> tuple[PoseWindows, dict[str, Tensor]]:
    """New windows and their raw scores, each with the reference windows of another part.

    A window that is in the reference set, or whose neighbours in time are, has too low a score.
    Mode ``altered`` uses a classifier that was not trained on the person.
    """
    windows, encoder = detector.windows(tracks).without_padded(), detector.scorer_.encoder
    positions, scores = [], []
    for length, addition in additions.items():
        for scored, reference in _parts(windows, addition.windows):
            normality = addition.with_reference_windows(reference)
            scorer = WindowScorer(encoder, {length: normality})
            part = windows.subset(scored).of_length(length)
            other_modes = [mode for mode in scorer.own_modes if mode != "altered"]
            altered = scorer.raw(part, ["altered"], person=part.person + addition.first_person)
            scores.append(scorer.raw(part, other_modes) | altered)
            positions.append(np.flatnonzero(scored))
    raw = {mode: torch.cat([score[mode] for score in scores]) for mode in scores[0]}
    return windows.subset(np.concatenate(positions)), raw


def _parts(windows: PoseWindows, learned: PoseWindows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of masks: windows to score, and learned windows without a clip or frame in common.

    With several clips, every other clip is a part. A single clip has three: windows before its
    middle, after it, and across it. A clip that is too short is one part without learned windows.

    Args:
        windows: Windows of all lengths.
        learned: Windows of one length.
    """
    length, clips = learned.length, np.unique(learned.clip)
    of_length = windows.size == length
    if len(clips) > 1:
        half, learned_half = (np.searchsorted(clips, w.clip) % 2 for w in (windows, learned))
        parts = [(half == number, learned_half != number) for number in (0, 1)]
    else:
        middle = int(np.median(learned.frame)) + length // 2
        before, after = windows.frame + length <= middle, windows.frame >= middle
        first, end = learned.frame, learned.frame + length
        parts = [(before, first >= middle), (after, end <= middle)]
        far = (end <= middle - length + 1) | (first >= middle + length - 1)
        # A short clip has few windows far from its middle; with so few all scores would be high.
        if 4 * far.sum() >= len(learned):
            parts.append((~before & ~after, far))
    parts = [(scored & of_length, reference) for scored, reference in parts]
    parts = [part for part in parts if part[0].any() and part[1].any()]
    return parts or [(of_length, np.zeros(len(learned), dtype=bool))]


def _without_rate(alarm: Alarm) -> Alarm:
    """The alarm threshold without its rate on held-out clips, which was measured before."""
    return replace(alarm, held_out_alarms=None, held_out_hours=None)


def _raised(alarm: Alarm, series: Sequence[Series]) -> Alarm:
    """The alarm threshold, raised if new normal poses need it and are long enough."""
    hours = sum(clip.hours for clip in series)
    if hours * alarm.per_hour < 1:
        return alarm
    threshold = max(alarm.threshold, choose_threshold(series, alarm.per_hour))
    return replace(alarm, threshold=threshold, hours=alarm.hours + hours)
