"""Words that say what is unusual in windows: measures as percentiles of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gepc_geo.scoring.body_frames import BodyShape
from gepc_geo.scoring.measures import UNITS, measure
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.quality import Quality
from gepc_geo.windows.statistics import quantile

#: Words for windows in which no measure is in the tails of training.
NOTHING = "no single measure is unusual"
# Windows of each length that give quantiles, and the least of them with a known measure.
_SAMPLE, _FEWEST = 5000, 20
# Quantiles of a measure: each percent, the least and the largest value among them.
_KNOTS = 101
# Measures are named outside of the percentiles 2.5 and 97.5, at most so many.
_TAIL, _MOST = 0.95, 3
# Quantile of the extremeness of an event's windows: a measure is named if it is unusual in a
# quarter of them.
_EVENT = 0.75
# Measure, whether low (-1) or high values (1) are meant, and words; ``{than}`` is "than 98 % of
# training". Lines of a block say nearly the same: only the first of them that is unusual is named.
_BLOCKS: tuple[tuple[tuple[str, int, str], ...], ...] = (
    (
        ("speed", -1, "slower {than}"),
        ("speed", 1, "faster {than}"),
        ("across", -1, "moved to the left faster {than}"),
        ("across", 1, "moved to the right faster {than}"),
        ("approach", -1, "moved away from the camera faster {than}"),
        ("approach", 1, "came closer faster {than}"),
        ("sideways", 1, "moved sideways"),
    ),
    (("acceleration", 1, "changed speed more suddenly {than}"),),
    (("turn", 1, "changed direction by {value:.0f} degrees"),),
    (("posture", -1, "body lower {than}"),),
    (("arms_up", 1, "arms above the head"), ("elbow_range", 1, "arms moved more {than}")),
    (
        ("knee_bend", 1, "legs bent more {than}"),
        ("knee_range", -1, "knees moved less {than}"),
        ("knee_range", 1, "knees moved more {than}"),
        ("stride_range", -1, "strides smaller {than}"),
        ("stride_range", 1, "strides larger {than}"),
    ),
    (("dwell", 1, "stood in one place for {value:.0f} {time}"),),
    (("distance", -1, "two people closer than usual ({value:.1f} body heights)"),),
)
_PHRASES = tuple(phrase for block in _BLOCKS for phrase in block)
_GROUP = np.repeat(np.arange(len(_BLOCKS)), [len(block) for block in _BLOCKS])
_AT = np.array([list(UNITS).index(name) for name, _, _ in _PHRASES])
_SIGN = np.array([sign for _, sign, _ in _PHRASES])


class TrainingMeasures:
    r"""The distribution of measures in training.

    Args:
        shape: Proportions of the people.
        lengths: Lengths of windows in frames.
        knots: The quantiles 0, 0.01 to 1 of each length and measure, :math:`[L, M, 101]`; NaN for
            measures with less than 20 known values.
        fps: Frames a second of clips with an unknown rate; NaN: times of all clips are in frames.
    """

    def __init__(
        self, shape: BodyShape, lengths: tuple[int, ...], knots: np.ndarray, fps: float
    ) -> None:
        self.shape, self.lengths, self.knots, self.fps = shape, lengths, knots, fps

    @classmethod
    def of(cls, windows: PoseWindows, fps: float) -> TrainingMeasures:
        """Measures at most 5,000 windows of each length, evenly spaced.

        Args:
            windows: Windows of normal poses.
            fps: Median frames a second of the clips; NaN if unknown.
        """
        shape, lengths = BodyShape.of(windows.table), windows.lengths
        chosen = [np.flatnonzero(windows.size == length) for length in lengths]
        chosen = [
            at[np.linspace(0, len(at) - 1, min(len(at), _SAMPLE)).astype(np.int64)] for at in chosen
        ]
        self = cls(shape, lengths, np.full((len(lengths), len(UNITS), _KNOTS), np.nan), fps)
        sample = windows.subset(np.concatenate(chosen))
        measures = measure(sample, shape, self._rates(sample))
        for at, length in enumerate(lengths):
            for number, name in enumerate(UNITS):
                value = measures[name][sample.size == length]
                value = value[~np.isnan(value)]
                if len(value) >= _FEWEST:
                    self.knots[at, number] = np.quantile(value, np.linspace(0, 1, _KNOTS))
        return self

    def explain(
        self,
        windows: PoseWindows,
        quality: Quality | None = None,
        unknown: Sequence[str] = (),
    ) -> Explanation:
        """Measures windows and compares them with training.

        Args:
            windows: Windows of the lengths of training.
            quality: Their quality; windows with tracking faults are not explained.
                (default: ``None``)
            unknown: Measures that the poses cannot give. (default: ``()``)
        """
        measures = measure(windows, self.shape, self._rates(windows))
        measures |= {name: np.full(len(windows), np.nan) for name in unknown}
        extremeness = np.full((len(UNITS), len(windows)), np.nan)
        for at, length in enumerate(self.lengths):
            chosen = windows.size == length
            for number, name in enumerate(UNITS):
                extremeness[number, chosen] = _extremeness(
                    measures[name][chosen], self.knots[at, number]
                )
        if quality is not None:
            extremeness[:, quality.fault] = np.nan
        unit = "frame" if np.isnan(self.fps) else "second"
        return Explanation(windows, measures, extremeness, unit)

    def _rates(self, windows: PoseWindows) -> np.ndarray:
        """Frames a second of each window; 1 if times are in frames."""
        if np.isnan(self.fps):
            return np.ones(len(windows))
        rate = windows.table.source.fps.astype(np.float64)[windows.clip]
        return np.where(np.isnan(rate), self.fps, rate)

    def state_dict(self) -> dict[str, Any]:
        """The state as tensors and plain values."""
        return {
            "shape": self.shape.state_dict(),
            "lengths": list(self.lengths),
            "names": list(UNITS),
            "knots": torch.from_numpy(self.knots),
            "fps": self.fps,
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> TrainingMeasures | None:
        """Restores the state of :meth:`state_dict`; ``None`` if it has other measures."""
        if state["names"] != list(UNITS):
            return None
        knots = state["knots"]
        return cls(
            BodyShape.from_state_dict(state["shape"]),
            tuple(int(length) for length in state["lengths"]),
            knots.numpy(),
            float(state["fps"]),
        )


@dataclass
class Explanation:
    r"""Measures of :math:`W` windows, as percentiles of training and in words.

    Attributes:
        windows: The windows.
        measures: Values :math:`[W]` float64 by name (:func:`~gepc_geo.scoring.measures.measure`);
            NaN where unknown.
        extremeness: :math:`[M, W]`, the measures from -1 (the least value of training) over 0 (the
            median) to 1 (the largest). Values outside are farther away by their distance to the
            end in units of the distance from the median to the end. NaN where unknown, and for
            windows with tracking faults.
        unit: ``"second"``, or ``"frame"`` if the frame rate of training is unknown.
    """

    windows: PoseWindows
    measures: dict[str, np.ndarray]
    extremeness: np.ndarray
    unit: str = "second"

    def __post_init__(self) -> None:
        # Windows sorted by person, and the middle frame of each.
        clip, track, frame = self.windows.clip, self.windows.track, self.windows.frame
        self._order = np.lexsort((frame, track, clip))
        self._clip, self._track = clip[self._order], track[self._order]
        self._first, self._size = frame[self._order], self.windows.size[self._order]

    @property
    def percentiles(self) -> dict[str, np.ndarray]:
        r"""Percentiles of training :math:`[W]` float64 by name, from 0 to 100; NaN if unknown."""
        return dict(zip(UNITS, 50 + 50 * np.clip(self.extremeness, -1, 1), strict=True))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure."""
        return {name: unit.format(time=self.unit) for name, unit in UNITS.items()}

    def words(self, clip: int, track: int, first: int, last: int) -> str:
        """Says what is unusual about a person from one frame to another.

        Of the windows whose middle frame is there (of those that have any of the frames, if there
        is none), a measure counts as extreme as in the most extreme quarter.

        Args:
            clip: Position of the clip in the clips' names.
            track: Id of the person.
            first: First frame.
            last: Last frame.

        Returns:
            At most three phrases, the most extreme first, separated by ``"; "``;
            ``"no single measure is unusual"``; ``""`` if no window could be measured.
        """
        low, high = np.searchsorted(self._clip, [clip, clip + 1])
        low, high = low + np.searchsorted(self._track[low:high], [track, track + 1])
        start, size = self._first[low:high], self._size[low:high]
        middle = start + size // 2
        chosen = (middle >= first) & (middle <= last)
        if not chosen.any():
            chosen = (start <= last) & (start + size > first)
        index = self._order[low:high][chosen]
        index = index[~np.isnan(self.extremeness[:, index]).all(0)]
        if not len(index):
            return ""
        parts = []
        for at, sign, name in zip(_AT, _SIGN, (phrase[0] for phrase in _PHRASES), strict=True):
            extreme = quantile(sign * self.extremeness[at, index], _EVENT, 0)
            # The stay is known at its end.
            level = 1.0 if name == "dwell" else _EVENT
            parts.append((extreme, sign * quantile(sign * self.measures[name][index], level, 0)))
        extreme, value = np.array(parts).T
        return str(self._texts(extreme[:, None], value[:, None])[0])

    def window_words(self) -> np.ndarray:
        r"""The words of each window, :math:`[W]` text; as :meth:`words`."""
        values = np.stack([self.measures[name] for name in UNITS])
        parts = [(self.extremeness[at], values[at]) for at in _AT]
        extreme, value = (np.stack(part) for part in zip(*parts, strict=True))
        return self._texts(_SIGN[:, None] * extreme, value)

    def _texts(self, extreme: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Words of :math:`N` events from the extremeness and values of phrases, [P, N]."""
        known = ~np.isnan(extreme).all(0)
        strength = np.where(extreme > _TAIL, extreme, 0.0)
        for at in range(1, len(strength)):
            same = np.flatnonzero(_GROUP[:at] == _GROUP[at])
            strength[at, strength[same].any(0)] = 0
        order = np.argsort(-strength, axis=0, kind="stable")[:_MOST]
        text = np.where(known, NOTHING, "").astype(object)
        for event in np.flatnonzero(strength.any(0)).tolist():
            text[event] = "; ".join(
                self._phrase(int(at), extreme[at, event], value[at, event])
                for at in order[:, event]
                if strength[at, event]
            )
        return text.astype(np.str_)

    def _phrase(self, at: int, extreme: float, value: float) -> str:
        """One phrase in words."""
        than = "than ever seen in training"
        if extreme <= 1:
            # Not rounded up to 100 %.
            than = f"than {int(50 + 50 * extreme)} % of training"
        time = "s" if self.unit == "second" else "frames"
        return _PHRASES[at][2].format(than=than, value=value, time=time)


def _extremeness(value: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Values between quantiles of training as :attr:`Explanation.extremeness`."""
    if np.isnan(knots).any():
        return np.full(len(value), np.nan)
    at = np.linspace(-1, 1, len(knots))
    left, right = (np.searchsorted(knots, value, side=side) for side in ("left", "right"))
    # A value that several quantiles share is in the middle of them.
    middle = (at[np.minimum(left, len(at) - 1)] + at[np.maximum(right - 1, 0)]) / 2
    found = np.where(left < right, middle, np.interp(value, knots, at))
    least, median, most = knots[0], knots[len(knots) // 2], knots[-1]
    above = 1 + (value - most) / ((most - median) or 1.0)
    below = -1 - (least - value) / ((median - least) or 1.0)
    found = np.where(value > most, above, np.where(value < least, below, found))
    return np.where(np.isnan(value), np.nan, found)
