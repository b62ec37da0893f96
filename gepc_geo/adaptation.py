"""What is normal, learned anew with the encoder as it is: a new camera, or alarms that were false."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gepc_geo.alarms import (
    Alarm,
    Series,
    alarm_threshold,
    check_fps,
    choose_threshold,
    series_of,
)
from gepc_geo.alerts import Alert
from gepc_geo.calibration import TailCalibrator
from gepc_geo.detector import GEPC, WindowScores, check_detector
from gepc_geo.errors import InputError
from gepc_geo.memory import kept_memory
from gepc_geo.metrics import runs
from gepc_geo.normality import FUSED, SINGLE, Normality, Points, of_views
from gepc_geo.options import MODES
from gepc_geo.scoring import person_frame_scores
from gepc_geo.tracks import PoseTracks, check_tracks
from gepc_geo.windows import PoseWindows

# Scores that stand for an old distribution, and the most new ones that are weighed against them.
_SCORES = 2000


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


@kept_memory()
def adapt_to_poses(detector: GEPC, tracks: PoseTracks) -> GEPC:
    """A detector that takes all behaviour in new poses for normal, too; the old one stays as it is.

    Neighbours, mixtures, calibration and thresholds are learned anew, the encoder is not. New scores
    for calibration and thresholds are of each half of the clips (of a single clip: of its time) by
    neighbours of the other half. Both thresholds are the higher of the old one and the one that the new
    poses need, so that neither the old cameras nor the new one raise more false alarms than wanted.

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
    windows = detector.pipeline_.windows(tracks, detector.options_.stride).without_padded()
    if not len(windows):
        raise InputError(
            f"the new poses have no window of {detector.options_.length} frames, expected longer tracks"
        )
    points, person = _points(detector, windows)
    adapted = _copy(detector, detector.normality_.extended(points, person))
    scored = _scored_by_others(detector, adapted, tracks, windows, points, person)
    _calibrate(adapted, scored)
    if alarm is not None:
        every = series_of(adapted, scored, tracks, alarm.mode)
        series = [every[clip] for clip in np.unique(tracks.clip)]
        adapted.alarm_ = _uncounted(_raised(alarm, series)).to_dict()
    return adapted


@kept_memory()
def adapt_to_events(detector: GEPC, tracks: PoseTracks, events: Sequence[Alert]) -> GEPC:
    """A detector to which some alarms were false: they do not fire any more.

    What everybody did in the frames of the events, and in the windows that reach into them, becomes
    normal; nothing else of the poses does. Where an event still fires after that, the alarm's threshold
    rises above it.

    Args:
        detector: A fitted detector of frames with a stored alarm (:func:`gepc_geo.alarms.calibrate`).
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
    first, last = windows.frame, windows.frame + windows.length - 1
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
    chosen = windows.subset(np.flatnonzero(marked))
    points, person = _points(detector, chosen)
    adapted = _copy(detector, detector.normality_.extended(points, person))
    scored = adapted.window_scores(tracks, padded=False)
    _calibrate(adapted, _subset(scored, marked))
    # Fused scores, and they alone, depend on the calibration.
    scored.scores["fused"] = _fused(adapted, scored.scores).cpu().numpy()
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
    scored = detector.window_scores(tracks, padded=False)
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
    scored = detector.window_scores(tracks, padded=False)
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


def _copy(detector: GEPC, normality: Normality) -> GEPC:
    """The same detector with other notions of what is normal."""
    other = copy.copy(detector)
    other.normality_ = normality
    return other


@torch.no_grad()
def _points(detector: GEPC, windows: PoseWindows) -> tuple[Points, Tensor]:
    """Windows in the coordinates of scores, under every scored augmentation, and whose each is."""
    parts = [
        detector.normality_.project(encoded)
        for choice in range(detector._choices)
        for encoded in detector._encode(detector._loader(windows), choice)
    ]
    points = Points(*map(torch.cat, zip(*parts, strict=True)))
    person = torch.as_tensor(windows.person).to(points.nearest.device)
    return points, person.repeat(detector._choices)


@torch.no_grad()
def _scored_by_others(
    detector: GEPC,
    adapted: GEPC,
    tracks: PoseTracks,
    learned: PoseWindows,
    points: Points,
    person: Tensor,
) -> WindowScores:
    """New windows, each scored by what learned ones that have nothing to do with it make normal.

    Whoever is among the neighbours is nearer to them than anybody new. What is learned (``points``, from
    :func:`_points`) is not encoded again.
    """
    windows = detector.windows(tracks).without_padded()
    parts = [part for part in _parts(windows, learned) if part[0].any() and part[1].any()]
    if not parts:
        # Too short to be divided: judged by what was normal before.
        parts = [(np.ones(len(windows), dtype=bool), np.zeros(len(learned), dtype=bool))]
    # Both are in the order of the rows that they begin with.
    known = np.isin(windows.first, learned.first)
    place = np.searchsorted(learned.first, windows.first)
    device, copies = person.device, detector._choices
    scores = {
        mode: torch.zeros(len(windows), dtype=torch.float64, device=device) for mode in SINGLE
    }
    for here, unrelated in parts:
        others = torch.as_tensor(np.tile(unrelated, copies), device=device)
        judge = _copy(adapted, copy.copy(adapted.normality_))
        nearest = detector.normality_.nearest
        if unrelated.any():
            nearest = nearest.extended(points.nearest[others], person[others])
        judge.normality_.nearest = nearest
        new, old = np.flatnonzero(here & ~known), np.flatnonzero(here & known)
        rows = torch.as_tensor(place[old], device=device)
        rows = (rows + len(learned) * torch.arange(copies, device=device)[:, None]).view(-1)
        again = judge.normality_.single_scores(Points(*(part[rows] for part in points)))
        for mode, score in judge._single_scores(windows.subset(new), quiet=True).items():
            scores[mode][torch.as_tensor(new, device=device)] = score
            scores[mode][torch.as_tensor(old, device=device)] = of_views(
                mode, again[mode].view(copies, -1)
            )
    scored = WindowScores(windows, {mode: score.cpu().numpy() for mode, score in scores.items()})
    return _subset(scored, np.any([here for here, _ in parts], axis=0))


def _parts(windows: PoseWindows, learned: PoseWindows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Masks of windows, and for each of the learned ones that have no frame or clip in common with it.

    Every other clip is a part; of a single clip what is before its middle, behind it, and across it.
    """
    clips = np.unique(learned.clip)
    if len(clips) > 1:
        side, theirs = (np.searchsorted(clips, one.clip) % 2 for one in (windows, learned))
        return [(side == number, theirs != number) for number in (0, 1)]
    length = windows.length
    middle = int(np.median(learned.frame)) + length // 2
    before, behind = windows.frame + length <= middle, windows.frame >= middle
    first, end = learned.frame, learned.frame + length
    far = (end <= middle - length + 1) | (first >= middle + length - 1)
    parts = [(before, first >= middle), (behind, end <= middle)]
    # Of a short clip hardly anything is far from its middle: by that alone everybody were abnormal.
    if 4 * far.sum() >= len(learned):
        parts.append((~before & ~behind, far))
    return parts


def _calibrate(detector: GEPC, scored: WindowScores) -> None:
    """Calibration of old and new normal scores; the threshold rises where the new ones need it.

    Of the old scores only their distributions are known, under the old neighbours. More neighbours make
    nobody more abnormal, so what comes of them is on the safe side. Fused scores, which alone depend on
    the calibration, are those of the new one afterwards.
    """
    normality = detector.normality_
    device = next(detector.model_.parameters()).device
    for mode in SINGLE:
        new = torch.as_tensor(scored.scores[mode]).to(device)
        normality.calibrators[mode] = _pooled(normality.calibrators[mode], new)
    scored.scores["fused"] = _fused(detector, scored.scores).cpu().numpy()
    detector.person_calibrators_ = {
        mode: _pooled(
            detector.person_calibrators_[mode],
            _covered(scored.windows, scored.scores[mode]).to(device),
        )
        for mode in MODES
    }
    detector.most_normal_ = {
        mode: min(detector.most_normal_[mode], float(scored.scores[mode].min())) for mode in MODES
    }
    share = 1 - detector.options_.contamination
    detector.thresholds_ = {
        mode: max(old, float(np.quantile(scored.scores[mode], share)))
        for mode, old in detector.thresholds_.items()
    }


def _fused(detector: GEPC, scores: dict[str, np.ndarray]) -> Tensor:
    """The fused scores of windows, from those of the modes they are made of."""
    device = next(detector.model_.parameters()).device
    return detector.normality_.fused_score(
        {mode: torch.as_tensor(scores[mode]).to(device) for mode in FUSED}
    )


def _pooled(old: TailCalibrator, new: Tensor) -> TailCalibrator:
    """A calibrator of an old distribution and new scores, which weigh no more than it."""
    levels = (np.arange(_SCORES) + 0.5) / _SCORES
    known = torch.tensor([old.quantile(float(level)) for level in levels], dtype=torch.float64)
    new = new.double().sort().values
    if len(new) > _SCORES:
        chosen = torch.linspace(0, len(new) - 1, _SCORES, device=new.device).round().long()
        new = new[chosen]
    return TailCalibrator().fit(torch.cat([known.to(new.device), new]))


def _covered(windows: PoseWindows, scores: np.ndarray) -> Tensor:
    """Scores of the person-frames that windows cover."""
    rows = person_frame_scores(
        torch.as_tensor(scores),
        torch.as_tensor(windows.first),
        windows.length,
        len(windows.table.frame),
    )
    return rows[~rows.isnan()]


def _subset(scored: WindowScores, chosen: np.ndarray) -> WindowScores:
    at = np.flatnonzero(chosen)
    return WindowScores(
        scored.windows.subset(at), {mode: score[at] for mode, score in scored.scores.items()}
    )


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
