"""Tail probabilities and thresholds of a scorer, from scores of normal windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.options import WINDOW_MODES
from gepc_geo.scoring.aggregation import person_frames
from gepc_geo.scoring.learning import Learned
from gepc_geo.scoring.scorer import WindowScorer, WindowScores
from gepc_geo.scoring.uncertainty import Interval
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows

#: The most held-out windows of a length for calibration; more do not improve it.
MOST_WINDOWS = 30_000
# The intervals in a saved model.
_INTERVALS = ("intervals", "person_intervals")


@dataclass
class Calibration:
    """Distribution of normal scores, by mode.

    Attributes:
        thresholds: The score that a share ``contamination`` of held-out normal windows exceeds.
        most_normal: The lowest score of training windows.
        person: Calibration of person-frame scores. They are means over windows, so they vary less
            than scores of windows.
        intervals: Intervals of the thresholds of windows.
        person_intervals: Intervals of the thresholds of person-frames. Both are empty where they
            are unknown: without held-out windows, after an adaptation, and in older models.
    """

    thresholds: dict[str, float]
    most_normal: dict[str, float]
    person: dict[str, TailCalibrator]
    intervals: dict[str, Interval] = field(default_factory=dict)
    person_intervals: dict[str, Interval] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        scorer: WindowScorer,
        learned: Learned,
        held_out: PoseWindows,
        contamination: float,
        quiet: bool = True,
    ) -> Calibration:
        """Calibrates a scorer and chooses thresholds.

        Window modes are calibrated on training and held-out windows; each training window is scored
        without its own person. Network modes are calibrated on held-out windows, or on training
        windows of a length without held-out windows.

        Args:
            scorer: The scorer; its ``normality`` is calibrated in place.
            learned: The fitted models, with scores of training windows.
            held_out: Held-out windows. Those of some people are used: about 30,000 windows of each
                length.
            contamination: Share of the windows above the threshold, from 0 to 1.
            quiet: Show no progress. (default: ``True``)

        Raises:
            InputError: A score is not finite.
        """
        held_out = _limited(held_out)
        share = held_out.subset(distributed.share(len(held_out)))
        with distributed.raise_on_all_ranks():
            raw = scorer.raw(share, quiet=quiet, person=share.person + learned.people)
        raw = {mode: distributed.gather(score) for mode, score in raw.items()}
        for length, normality in scorer.normality.items():
            held_out_scores = _of_length(held_out, raw, length)
            trained = _of_length(learned.windows, learned.scores, length)
            normality.calibrate(
                {
                    mode: torch.cat([trained[mode], score])
                    if mode in WINDOW_MODES or not len(score)
                    else score
                    for mode, score in held_out_scores.items()
                }
            )
        normal = scorer.comparable(learned.windows, learned.scores)
        windows, scores = learned.windows, normal
        if len(held_out):
            windows, scores = held_out, scorer.comparable(held_out, raw)
        calibration = cls(
            thresholds={
                # torch.quantile takes at most 16 million values.
                mode: float(np.quantile(score.cpu().numpy(), 1 - contamination))
                for mode, score in scores.items()
            },
            most_normal={mode: float(score.min()) for mode, score in normal.items()},
            person={
                mode: TailCalibrator().fit(covered_person_frames(windows, score))
                for mode, score in scores.items()
            },
        )
        if len(held_out):
            calibration._measure_intervals(held_out, scores, contamination)
        return calibration

    def _measure_intervals(
        self, windows: PoseWindows, scores: dict[str, Tensor], contamination: float
    ) -> None:
        table = windows.table
        place = np.stack([table.clip, table.track])
        person = np.unique(place, axis=1, return_inverse=True)[1].reshape(-1)
        for mode, score in scores.items():
            found = Interval.of(score.cpu().numpy(), windows.person, contamination)
            self.intervals[mode] = found.around(self.thresholds[mode])
            rows = person_frames(windows, score.cpu()).numpy()
            covered = ~np.isnan(rows)
            found = Interval.of(rows[covered], person[covered], contamination)
            threshold = self.frame_threshold(mode, contamination)
            self.person_intervals[mode] = found.around(threshold)

    def extended(self, scored: WindowScores, contamination: float) -> Calibration:
        """The calibration of old and new normal windows; no threshold falls.

        Args:
            scored: New windows without padded ones, with scores.
            contamination: Share of the windows above the threshold, from 0 to 1.
        """
        windows, scores = scored.windows, scored.scores
        return Calibration(
            thresholds={
                mode: max(old, float(np.quantile(scores[mode], 1 - contamination)))
                for mode, old in self.thresholds.items()
            },
            most_normal={
                mode: min(old, float(scores[mode].min())) for mode, old in self.most_normal.items()
            },
            person={
                mode: old.extended(covered_person_frames(windows, torch.as_tensor(scores[mode])))
                for mode, old in self.person.items()
            },
        )

    def frame_threshold(self, mode: str, contamination: float) -> float:
        """The score that a share ``contamination`` of held-out normal person-frames exceeds."""
        return self.person[mode].quantile(1 - contamination)

    def to(self, device: torch.device) -> Calibration:
        """Moves all tensors to a device."""
        for calibrator in self.person.values():
            calibrator.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """The state as tensors, numbers and strings."""
        return {
            "thresholds": self.thresholds,
            "most_normal": self.most_normal,
            "person": {mode: tails.state_dict() for mode, tails in self.person.items()},
            **{
                name: {mode: found.to_list() for mode, found in getattr(self, name).items()}
                for name in _INTERVALS
            },
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Calibration:
        """Restores a calibration from :meth:`state_dict`."""
        return cls(
            {mode: float(value) for mode, value in state["thresholds"].items()},
            {mode: float(value) for mode, value in state["most_normal"].items()},
            {
                mode: TailCalibrator.from_state_dict(tails)
                for mode, tails in state["person"].items()
            },
            # Older models have no intervals.
            *(
                {mode: Interval.from_list(found) for mode, found in state.get(name, {}).items()}
                for name in _INTERVALS
            ),
        )


def covered_person_frames(windows: PoseWindows, score: Tensor) -> Tensor:
    """Scores of all person-frames that are in a window."""
    scores = person_frames(windows, score.cpu())
    return scores[~torch.isnan(scores)]


def _limited(windows: PoseWindows) -> PoseWindows:
    """All windows of some people, evenly spaced: about 30,000 of each length at most."""
    most = MOST_WINDOWS * len(windows.lengths)
    if len(windows) <= most:
        return windows
    person, count = windows.person, int(windows.person.max()) + 1
    chosen = np.linspace(0, count - 1, max(1, count * most // len(windows))).round()
    return windows.subset(np.isin(person, chosen))


def _of_length(windows: PoseWindows, scores: dict[str, Tensor], length: int) -> dict[str, Tensor]:
    """Scores of the windows of one length."""
    at = torch.from_numpy(np.flatnonzero(windows.size == length))
    return {mode: score[at.to(score.device)] for mode, score in scores.items()}
