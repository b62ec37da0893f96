"""Frames of recordings: ShanghaiTech box tracks, official split (section 4.1 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.experiments.protocol import FRAMES, Protocol, Task, fingerprint
from gepc_geo.experiments.results import Condition
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks


@dataclass
class Fine(Protocol):
    """Trains on recordings of normal behaviour, tests on recordings with frame labels.

    Args:
        train: Normal recordings.
        test: Recordings with ``frame_labels``.
        options: The detector's options.

    Raises:
        InputError: The test recordings have no frame labels.
    """

    name, level, base = "fine", "frame", FRAMES
    supervised = False
    about = "frames of recordings, tracked person boxes without key points"
    train: PoseTracks
    test: PoseTracks
    options: Options

    def __post_init__(self) -> None:
        if self.test.frame_labels is None:
            raise InputError("the test recordings must have frame labels, got none")

    @property
    def dims(self) -> int:
        """Number of coordinates of a key point, 2 or 3."""
        return self.train.dims

    def conditions(self) -> list[Condition]:
        """The official split."""
        return [Condition("official")]

    def task(self, condition: Condition, random_state: int) -> Task:
        """All recordings and the frame labels of the test recordings."""
        assert self.test.frame_labels is not None
        return Task(self.train, self.test, self.test.frame_labels)

    def settings(self) -> dict[str, Any]:
        """A checksum of the poses and labels."""
        return {"checksum": fingerprint(self.train, self.test)}
