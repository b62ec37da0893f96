"""Data in parts of whole clips, for machines that share the work and to keep memory flat."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks


@dataclass(frozen=True)
class Shard:
    """One of several parts: part ``number`` (from 1) of ``count``."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard written as ``"I/N"``.

        Raises:
            InputError: Another form, or not 1 <= I <= N.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise InputError(
                f"shard is {text!r}, expected I/N with I from 1 to N, such as 1/8 to 8/8"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def part(self, number: int, count: int) -> Shard:
        """One of several shards, with numbers from 1, that together are this one."""
        return Shard((self.number - 1) * count + number, self.count * count)

    def clips(self, tracks: PoseTracks) -> tuple[int, int]:
        """The shard's first clip and the one after its last."""
        borders = np.array([self.number - 1, self.number])
        first, last = _borders(tracks, self.count, borders).tolist()
        return first, last


def split_clips(tracks: PoseTracks, count: int) -> np.ndarray:
    r"""Borders :math:`[count + 1]` of parts of whole clips, in order, even in person-frames.

    A clip belongs to the part in whose even share of all person-frames its middle lies, so no part
    is larger than that share and a clip; of few clips some parts are empty.
    """
    return _borders(tracks, count, np.arange(count + 1))


def _borders(tracks: PoseTracks, count: int, numbers: np.ndarray) -> np.ndarray:
    """Some of the borders of ``count`` parts, by number from 0 to ``count``."""
    rows = np.searchsorted(tracks.clip, np.arange(tracks.num_clips + 1))
    # Twice the middle of each clip, times count: whole numbers, the same on every machine.
    middle = (rows[:-1] + rows[1:]) * count
    borders = np.searchsorted(middle, 2 * tracks.num_frames * numbers)
    return np.where(numbers == 0, 0, np.where(numbers == count, tracks.num_clips, borders))


def clip_range(tracks: PoseTracks, first: int, last: int) -> PoseTracks:
    """The clips from ``first`` up to but not ``last``; arrays are views, nothing is copied."""
    rows = slice(*np.searchsorted(tracks.clip, [first, last]))
    frames = slice(*tracks.frame_offset[[first, last]])
    labels = tracks.frame_labels
    return replace(
        tracks,
        keypoints=tracks.keypoints[rows],
        confidence=tracks.confidence[rows],
        features=None if tracks.features is None else tracks.features[rows],
        frame=tracks.frame[rows],
        track=tracks.track[rows],
        clip=tracks.clip[rows] - first,
        clip_names=tracks.clip_names[first:last],
        clip_length=tracks.clip_length[first:last],
        image_size=tracks.image_size[first:last],
        fps=tracks.fps[first:last],
        camera=tracks.camera[first:last],
        clip_label=tracks.clip_label[first:last],
        clip_split=tracks.clip_split[first:last],
        frame_labels=None if labels is None else labels[frames],
    )
