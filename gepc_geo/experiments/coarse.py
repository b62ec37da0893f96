"""Whole clips: some classes are normal, all others are abnormal (section 4.2 of the paper)."""

from __future__ import annotations

import numpy as np

from gepc_geo.experiments.protocol import CLIPS, ClassProtocol, Task
from gepc_geo.experiments.results import Condition


class Coarse(ClassProtocol):
    """Trains on normal clips of the official training half, tests on all clips of the test half."""

    name, level, base = "coarse", "clip", CLIPS
    about = "whole clips, trained on the normal classes of the official training half"

    def task(self, condition: Condition, random_state: int) -> Task:
        """Poses and clip labels; a clip of unknown class has label -1."""
        test = self.half("test")
        labels = np.where(self.normal(condition), 0, np.where(self.abnormal(condition), 1, -1))
        return Task(
            self.tracks.select(clips=self.training_clips(condition, random_state)),
            self.tracks.select(clips=test),
            labels[test].astype(np.int8),
        )

    def training_clips(self, condition: Condition, random_state: int) -> np.ndarray:
        """Mask of the training clips, :math:`[N]` bool."""
        return self.half("train") & self.normal(condition)
