"""Thresholds and tail probabilities of a scorer, from scores of normal windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.options import WINDOW_MODES
from gepc_geo.scoring.aggregation import person_frames
from gepc_geo.scoring.learning import Learned
from gepc_geo.scoring.scorer import WindowScorer, WindowScores
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows

# Held-out windows of a length that scores are calibrated on: more of them make no tail better known.
_CALIBRATED = 30_000


@dataclass
class Calibration:
    """How scores of normal behaviour are distributed, by mode.

    Attributes:
        thresholds: The score that a share ``contamination`` of held-out normal windows exceeds.
        most_normal: The lowest score of training windows.
        person: Tail probabilities of people's scores of frames, which are means over windows, so that
            their spread is smaller than that of windows.
    """

    thresholds: dict[str, float]
    most_normal: dict[str, float]
    person: dict[str, TailCalibrator]

    @classmethod
    def of(
        cls,
        scorer: WindowScorer,
        learned: Learned,
        held_out: PoseWindows,
        contamination: float,
        quiet: bool = True,
    ) -> Calibration:
        """Calibrates a scorer, and measures its scores.

        Window modes are calibrated on training and held-out windows: each training window is scored
        without its own person. Other modes are calibrated on held-out windows, and on training windows
        where a length has no held-out ones (a handful of tracks).

        Args:
            scorer: Its ``normality`` is calibrated here.
            learned: Where that comes from, with scores of the training windows.
            held_out: Windows of people who were not trained on; of many as many people count, evenly
                chosen, as have about 30,000 windows of each length.
            contamination: The option.
            quiet: Show no progress.
        """
        held_out = _some_people(held_out)
        mine = held_out.subset(distributed.share(len(held_out)))
        with distributed.raise_on_all_ranks():
            raw = scorer.raw(mine, quiet=quiet, person=mine.person + learned.people)
        raw = {mode: distributed.gather(score) for mode, score in raw.items()}
        for length, normality in scorer.normality.items():
            known = _of_length(held_out, raw, length)
            trained = _of_length(learned.windows, learned.scores, length)
            normality.calibrate(
                {
                    mode: torch.cat([trained[mode], score])
                    if mode in WINDOW_MODES or not len(score)
                    else score
                    for mode, score in known.items()
                }
            )
        normal = scorer.comparable(learned.windows, learned.scores)
        windows, scores = learned.windows, normal
        if len(held_out):
            windows, scores = held_out, scorer.comparable(held_out, raw)
        return cls(
            thresholds={
                # torch.quantile takes no more than 16 million values.
                mode: float(np.quantile(score.cpu().numpy(), 1 - contamination))
                for mode, score in scores.items()
            },
            most_normal={mode: float(score.min()) for mode, score in normal.items()},
            person={
                mode: TailCalibrator().fit(covered(windows, score))
                for mode, score in scores.items()
            },
        )

    def extended(self, scored: WindowScores, contamination: float) -> Calibration:
        """That of old and new normal windows: thresholds are the higher of the old and the new ones.

        Args:
            scored: New ones, not padded.
            contamination: The option.
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
                mode: old.extended(covered(windows, torch.as_tensor(scores[mode])))
                for mode, old in self.person.items()
            },
        )

    def frame_threshold(self, mode: str, contamination: float) -> float:
        """The score that a share ``contamination`` of held-out normal people's frames exceeds."""
        return self.person[mode].quantile(1 - contamination)

    def to(self, device: torch.device) -> Calibration:
        """Moves everything to a device."""
        for calibrator in self.person.values():
            calibrator.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and strings only."""
        person = {mode: one.state_dict() for mode, one in self.person.items()}
        return {"thresholds": self.thresholds, "most_normal": self.most_normal, "person": person}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Calibration:
        """Rebuilds what :meth:`state_dict` gave."""
        return cls(
            {mode: float(value) for mode, value in state["thresholds"].items()},
            {mode: float(value) for mode, value in state["most_normal"].items()},
            {mode: TailCalibrator.from_state_dict(one) for mode, one in state["person"].items()},
        )


def covered(windows: PoseWindows, score: Tensor) -> Tensor:
    """Person-frame scores of the rows that windows cover."""
    rows = person_frames(windows, score.cpu())
    return rows[~torch.isnan(rows)]


def _some_people(windows: PoseWindows) -> PoseWindows:
    """All windows of as many people, evenly chosen, as have about 30,000 of each length at most."""
    most = _CALIBRATED * len(windows.lengths)
    if len(windows) <= most:
        return windows
    person, count = windows.person, int(windows.person.max()) + 1
    chosen = np.linspace(0, count - 1, max(1, count * most // len(windows))).round()
    return windows.subset(np.isin(person, chosen))


def _of_length(windows: PoseWindows, scores: dict[str, Tensor], length: int) -> dict[str, Tensor]:
    """The scores of the windows of one length."""
    at = torch.from_numpy(np.flatnonzero(windows.size == length))
    return {mode: score[at.to(score.device)] for mode, score in scores.items()}
