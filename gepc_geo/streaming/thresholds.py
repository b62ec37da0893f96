"""Alarms of scored frames: runs above a threshold, and the threshold for a wanted rate of false ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import grey_closing

from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.tables import ScoreOptions, frame_level
from gepc_geo.options import MODES
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.metrics import runs
from gepc_geo.scoring.scorer import WindowScores


@dataclass(frozen=True)
class Alarm:
    """When a detector raises the alarm, and how that was chosen.

    Attributes:
        threshold: Frame score (the most abnormal person's) from which on a frame is alarmed.
        mode: Scoring mode of the threshold.
        per_hour: False alarms an hour that were asked for.
        hours: Hours of normal poses that it was chosen on.
        held_out_alarms: False alarms on each half of them at the threshold chosen on the other,
            together; ``None`` where nobody has counted since the detector changed.
        held_out_hours: Hours of both halves, likewise.
    """

    threshold: float
    mode: str
    per_hour: float
    hours: float
    held_out_alarms: int | None = None
    held_out_hours: float | None = None

    @property
    def held_out(self) -> str:
        """The rate of false alarms on held-out clips, in words."""
        if self.held_out_alarms is None or not self.held_out_hours:
            return "unknown"
        rate = self.held_out_alarms / self.held_out_hours
        return f"{rate:.3g} an hour ({self.held_out_alarms} in {self.held_out_hours:.3g} hours)"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return asdict(self)

    @classmethod
    def of(cls, detector: GEPC) -> Alarm | None:
        """The one stored in a detector.

        Raises:
            InputError: What is stored is none.
        """
        if detector.alarm_ is None:
            return None
        try:
            stored = cls(**detector.alarm_)
            counted = (stored.held_out_alarms, stored.held_out_hours)
            held_out = [number for number in counted if number is not None]
            numbers = (stored.threshold, stored.per_hour, stored.hours, *held_out)
            sound = stored.mode in MODES and all(math.isfinite(one) for one in numbers)
            sound = sound and len(held_out) != 1
        except TypeError:
            sound = False
        if not sound:
            raise InputError(
                f"the model's alarm is {detector.alarm_!r}, expected what gepc-geo calibrate stores"
            )
        return stored


def alarm_threshold(detector: GEPC) -> tuple[str, float]:
    """Scoring mode and threshold of a detector's alarms.

    Without a stored alarm the threshold is what a share ``contamination`` of held-out normal people's
    frames exceeds.

    Raises:
        InputError: As :meth:`Alarm.of`, or a mode that the detector lacks.
    """
    alarm = Alarm.of(detector)
    if alarm is not None:
        return detector.scoring_mode(alarm.mode), alarm.threshold
    mode = detector.scoring_mode(None)
    return mode, detector.frame_threshold(mode)


@dataclass(frozen=True)
class Series:
    """Frame scores of one clip and its frames a second."""

    scores: np.ndarray
    fps: float

    @property
    def hours(self) -> float:
        """Its length in hours."""
        return len(self.scores) / self.fps / 3600


def merged_gap(fps: float) -> int:
    """The distance of two alarmed frames from which on they are two alarms: a second or more between."""
    return math.ceil(fps) + 1


def alarm_runs(series: Series, threshold: float) -> np.ndarray:
    """Alarms as rows (first frame, frame after the last): ``threshold`` and above, gaps merged."""
    return runs(_closed(series) >= threshold)


def clip_series(detector: GEPC, tracks: PoseTracks, mode: str, quiet: bool = True) -> list[Series]:
    """Frame scores of every clip, as :func:`gepc_geo.evaluation.tables.frame_level` gives them.

    Raises:
        InputError: A clip without frames a second; a detector of whole clips.
    """
    check_fps(tracks)
    scored = detector.window_scores(tracks, (mode,), padded=False, quiet=quiet)
    return series_of(detector, scored, tracks, mode)


def series_of(detector: GEPC, scored: WindowScores, tracks: PoseTracks, mode: str) -> list[Series]:
    """As :func:`clip_series`, of window scores that are there already; frames a second may be NaN."""
    scores = frame_level(detector, scored, tracks, ScoreOptions(mode=mode)).score.numpy()
    parts = np.split(scores, tracks.frame_offset[1:-1])
    return [Series(part, float(fps)) for part, fps in zip(parts, tracks.fps, strict=True)]


def check_fps(tracks: PoseTracks) -> None:
    """Makes sure that every clip's frames a second are known.

    Raises:
        InputError: The first clip without.
    """
    unknown = np.isnan(tracks.fps)
    if unknown.any():
        name = tracks.clip_names[int(unknown.argmax())]
        raise InputError(
            f"clip {name!r} has no frames a second, expected --fps, as alarms are counted by time"
        )


def check_hours(hours: float, per_hour: float) -> None:
    """Makes sure that normal poses are long enough for a rate of false alarms, before they are scored.

    Args:
        hours: Hours of normal poses.
        per_hour: False alarms an hour.

    Raises:
        InputError: ``per_hour`` is not above 0, or ``hours`` are too few for a single one.
    """
    if not 0 < per_hour < math.inf:
        raise InputError(f"false alarms per hour is {per_hour}, expected more than 0")
    if hours * per_hour < 1:
        larger = f", or {math.ceil(1 / hours)} or more an hour" if hours > 0 else ""
        raise InputError(
            f"the normal poses are {hours:.3g} hours long, expected at least {1 / per_hour:.3g} "
            f"for {per_hour:g} false alarms an hour{larger}"
        )


def choose_threshold(series: Sequence[Series], per_hour: float) -> float:
    """The lowest threshold at which, and above which, alarms are no more frequent than wanted.

    Args:
        series: Frame scores of normal behaviour.
        per_hour: False alarms an hour.
    """
    allowed = math.floor(per_hour * sum(one.hours for one in series) + 1e-9)
    everything, peaks, valleys = [], [], []
    for one in series:
        closed = _closed(one)
        before = np.concatenate([[-np.inf], closed[:-1]])
        # A run begins here at thresholds over the frame before and up to this one.
        rising = closed > before
        everything.append(closed)
        peaks.append(closed[rising])
        valleys.append(before[rising])
    top, bottom = np.sort(np.concatenate(peaks)), np.sort(np.concatenate(valleys))
    level = np.unique(np.concatenate(everything))
    count = (len(top) - np.searchsorted(top, level)) - (
        len(bottom) - np.searchsorted(bottom, level)
    )
    too_many = np.flatnonzero(count > allowed)
    if not len(too_many):
        return float(level[0])
    # Between the highest level with too many alarms and the next one.
    last = int(too_many[-1])
    if last + 1 == len(level):
        return float(np.nextafter(level[last], np.inf))
    return float(level[last] + (level[last + 1] - level[last]) / 2)


def false_alarms(series: Sequence[Series], threshold: float) -> int:
    """Alarms in frame scores of normal behaviour."""
    return sum(len(alarm_runs(one, threshold)) for one in series)


def calibrate(series: Sequence[Series], mode: str, per_hour: float) -> Alarm:
    """Chooses a threshold on normal behaviour, and measures on held-out clips what that is worth.

    Every other clip is one half, the rest the other (of a single clip its first and second half).

    Args:
        series: Frame scores of each clip, all normal, from :func:`clip_series`.
        mode: Their scoring mode.
        per_hour: False alarms an hour.

    Raises:
        InputError: As :func:`check_hours`.
    """
    series = [one for one in series if len(one.scores)]
    hours = sum(one.hours for one in series)
    check_hours(hours, per_hour)
    parts = series
    if len(series) == 1:
        (one,) = series
        parts = [Series(half, one.fps) for half in np.array_split(one.scores, 2)]
    halves = (parts[::2], parts[1::2])
    alarms = sum(
        false_alarms(held_out, choose_threshold(chosen_on, per_hour))
        for chosen_on, held_out in (halves, halves[::-1])
    )
    return Alarm(choose_threshold(series, per_hour), mode, per_hour, hours, alarms, hours)


def _closed(series: Series) -> np.ndarray:
    """Scores whose valleys of under a second are filled: their runs are the alarms at any threshold."""
    size = math.ceil(series.fps)
    padded = np.pad(series.scores.astype(np.float64), size, constant_values=-np.inf)
    return grey_closing(padded, size=size, mode="constant", cval=-np.inf)[size:-size]
