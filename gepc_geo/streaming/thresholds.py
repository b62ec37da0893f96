"""The alarm threshold for an accepted rate of false alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.alarms import Alarm, Series, alarm_runs, closed_scores
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.scorer import WindowScores


def clip_series(detector: GEPC, tracks: PoseTracks, mode: str, quiet: bool = True) -> list[Series]:
    """Frame scores of every clip (:func:`gepc_geo.evaluation.tables.frame_level`).

    Args:
        detector: A fitted detector that scores windows.
        tracks: Poses.
        mode: Scoring mode.
        quiet: Show no progress. (default: ``True``)

    Raises:
        InputError: A clip has no frame rate, or the detector scores clips.
    """
    check_fps(tracks)
    scored = detector.window_scores(tracks, (mode,), padded=False, quiet=quiet)
    return series_of(detector, scored, tracks, mode)


def series_of(detector: GEPC, scored: WindowScores, tracks: PoseTracks, mode: str) -> list[Series]:
    """As :func:`clip_series`, from scores of windows; the frame rate may be unknown."""
    scores = frame_level(detector, scored, tracks, ScoreOptions(mode=mode)).score.numpy()
    parts = np.split(scores, tracks.frame_offset[1:-1])
    return [Series(part, float(fps)) for part, fps in zip(parts, tracks.fps, strict=True)]


def check_fps(tracks: PoseTracks) -> None:
    """Checks that every clip has a frame rate.

    Raises:
        InputError: A clip has none; the message names the first.
    """
    unknown = np.isnan(tracks.fps)
    if unknown.any():
        name = tracks.clip_names[int(unknown.argmax())]
        raise InputError(
            f"clip {name!r} must have a frame rate (--fps) to count alarms an hour, got none"
        )


def check_hours(hours: float, per_hour: float) -> None:
    """Checks that normal poses are long enough for a rate of false alarms.

    Args:
        hours: Hours of normal poses.
        per_hour: Accepted false alarms an hour.

    Raises:
        InputError: ``per_hour`` is not more than 0, or it allows no false alarm in ``hours``.
    """
    if not 0 < per_hour < math.inf:
        raise InputError(f"false alarms per hour must be more than 0, got {per_hour}")
    if hours * per_hour < 1:
        more = f" (or accept {math.ceil(1 / hours)} or more an hour)" if hours > 0 else ""
        raise InputError(
            f"the normal poses must be at least {1 / per_hour:.3g} hours long for {per_hour:g} "
            f"false alarms an hour, got {hours:.3g} hours{more}"
        )


def choose_threshold(series: Sequence[Series], per_hour: float) -> float:
    """The lowest alarm threshold from which on false alarms are rare enough.

    Args:
        series: Frame scores of normal poses.
        per_hour: Accepted false alarms an hour.
    """
    allowed = math.floor(per_hour * sum(clip.hours for clip in series) + 1e-9)
    scores, peaks, valleys = [], [], []
    for clip in series:
        closed = closed_scores(clip)
        before = np.concatenate([[-np.inf], closed[:-1]])
        # A run begins here at thresholds above the previous score and up to this one.
        rising = closed > before
        scores.append(closed)
        peaks.append(closed[rising])
        valleys.append(before[rising])
    top, bottom = np.sort(np.concatenate(peaks)), np.sort(np.concatenate(valleys))
    level = np.unique(np.concatenate(scores))
    count = (len(top) - np.searchsorted(top, level)) - (
        len(bottom) - np.searchsorted(bottom, level)
    )
    too_many = np.flatnonzero(count > allowed)
    if not len(too_many):
        return float(level[0])
    # Between the highest score with too many alarms and the next score.
    last = int(too_many[-1])
    if last + 1 == len(level):
        return float(np.nextafter(level[last], np.inf))
    return float(level[last] + (level[last + 1] - level[last]) / 2)


def false_alarms(series: Sequence[Series], threshold: float) -> int:
    """The number of alarms in frame scores of normal poses."""
    return sum(len(alarm_runs(clip, threshold)) for clip in series)


def choose_alarm(series: Sequence[Series], mode: str, per_hour: float) -> Alarm:
    """Chooses the alarm threshold on normal poses, and measures its rate on held-out clips.

    For the rate, a threshold that is chosen on one half of the clips is used on the other half.
    Halves are every other clip, or the first and second half of a single clip.

    Args:
        series: Frame scores of each clip, from :func:`clip_series`.
        mode: Scoring mode of the scores.
        per_hour: Accepted false alarms an hour.

    Raises:
        InputError: As :func:`check_hours`.
    """
    series = [clip for clip in series if len(clip.scores)]
    hours = sum(clip.hours for clip in series)
    check_hours(hours, per_hour)
    parts = series
    if len(series) == 1:
        (clip,) = series
        parts = [Series(half, clip.fps) for half in np.array_split(clip.scores, 2)]
    halves = (parts[::2], parts[1::2])
    alarms = sum(
        false_alarms(held_out, choose_threshold(chosen_on, per_hour))
        for chosen_on, held_out in (halves, halves[::-1])
    )
    return Alarm(choose_threshold(series, per_hour), mode, per_hour, hours, alarms, hours)
