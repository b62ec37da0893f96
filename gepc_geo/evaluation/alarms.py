"""Alarms of frames: runs of scores at or above the alarm threshold."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import grey_closing

from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.options import MODES
from gepc_geo.scoring.metrics import runs


@dataclass(frozen=True)
class Alarm:
    """The alarm threshold of a detector, and how it was chosen.

    Attributes:
        threshold: The lowest score of an alarmed frame.
        mode: Scoring mode of the threshold.
        per_hour: Accepted false alarms an hour.
        hours: Hours of normal poses that it was chosen on.
        held_out_alarms: False alarms in both halves of these poses, each at a threshold that was
            chosen on the other half; ``None`` if the detector has changed since.
        held_out_hours: Hours of both halves; ``None`` if the detector has changed since.
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
        """The values by name."""
        return asdict(self)

    @classmethod
    def of(cls, detector: GEPC) -> Alarm | None:
        """The alarm threshold of a detector; ``None`` if none was chosen.

        Raises:
            InputError: The stored values are not valid.
        """
        if detector.alarm_ is None:
            return None
        try:
            stored = cls(**detector.alarm_)
            rate = (stored.held_out_alarms, stored.held_out_hours)
            held_out = [number for number in rate if number is not None]
            numbers = (stored.threshold, stored.per_hour, stored.hours, *held_out)
            valid = stored.mode in MODES and all(map(math.isfinite, numbers))
            valid = valid and len(held_out) != 1
        except TypeError:
            valid = False
        if not valid:
            raise InputError(
                "the alarm of the model must have the values that gepc-geo calibrate stores, got "
                f"{detector.alarm_!r}"
            )
        return stored


def alarm_threshold(detector: GEPC, mode: str | None = None) -> tuple[str, float]:
    """Scoring mode and alarm threshold of a detector.

    Without a chosen alarm threshold, or with another mode than that of the chosen one, it is the
    score that a share ``contamination`` of held-out normal person-frames exceeds.

    Args:
        detector: A fitted detector.
        mode: Scoring mode. (default: ``None``, that of the chosen alarm threshold, or else the
            detector's)

    Raises:
        InputError: As :meth:`Alarm.of`, or the detector lacks the mode.
    """
    alarm = Alarm.of(detector)
    if alarm is not None and mode in (None, alarm.mode):
        return detector.scoring_mode(alarm.mode), alarm.threshold
    mode = detector.scoring_mode(mode)
    return mode, detector.frame_threshold(mode)


@dataclass(frozen=True)
class Series:
    """Frame scores of one clip.

    Attributes:
        scores: Scores of the frames.
        fps: Frames a second; NaN if unknown.
    """

    scores: np.ndarray
    fps: float

    @property
    def hours(self) -> float:
        """Length of the clip in hours."""
        return len(self.scores) / self.fps / 3600


def merged_gap(fps: float) -> int:
    """The least distance in frames of two alarmed frames of different alarms: over a second."""
    return math.ceil(fps) + 1


def alarm_runs(series: Series, threshold: float) -> np.ndarray:
    """Alarms as rows (first frame, frame after the last), :math:`[N, 2]`."""
    return runs(closed_scores(series) >= threshold)


def closed_scores(series: Series) -> np.ndarray:
    """Scores with valleys of under a second filled, so that runs above a threshold are alarms."""
    size = math.ceil(series.fps)
    padded = np.pad(series.scores.astype(np.float64), size, constant_values=-np.inf)
    closed: np.ndarray = grey_closing(padded, size=size, mode="constant", cval=-np.inf)
    return closed[size:-size]
