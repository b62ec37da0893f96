"""Shards: consecutive whole clips, for one process or for one pass in limited memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks


@dataclass(frozen=True)
class Shard:
    """Shard ``number`` (from 1) of ``count`` shards of the clips."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parses ``"I/N"``.

        Raises:
            InputError: Another form, or not 1 <= I <= N.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise InputError(
                f"shard must be I/N with I from 1 to N, such as 1/8 to 8/8, got {text!r}"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def part(self, number: int, count: int) -> Shard:
        """Shard ``number`` (from 1) of the ``count`` shards that this one is divided into."""
        return Shard((self.number - 1) * count + number, self.count * count)

    def clips(self, tracks: PoseTracks) -> tuple[int, int]:
        """The range of the shard's clips: first, and one after the last."""
        borders = np.array([self.number - 1, self.number])
        first, last = _borders(tracks, self.count, borders).tolist()
        return first, last


def split_clips(tracks: PoseTracks, count: int) -> np.ndarray:
    r"""Borders of ``count`` shards with about equal numbers of person-frames.

    A clip belongs to the shard that contains the middle of its person-frames. A shard therefore
    exceeds an equal share by at most one clip; with few clips, some shards are empty.

    Args:
        tracks: The poses.
        count: Number of shards.

    Returns:
        :math:`[count + 1]` int64: shard ``i`` is clips ``borders[i]`` to ``borders[i + 1]``.
    """
    return _borders(tracks, count, np.arange(count + 1))


def _borders(tracks: PoseTracks, count: int, numbers: np.ndarray) -> np.ndarray:
    """The borders with these numbers, of ``count`` shards."""
    rows = np.searchsorted(tracks.clip, np.arange(tracks.num_clips + 1))
    # In whole numbers (twice the middle, times count), so that all machines agree.
    middle = (rows[:-1] + rows[1:]) * count
    borders = np.searchsorted(middle, 2 * tracks.num_frames * numbers)
    return np.where(numbers == 0, 0, np.where(numbers == count, tracks.num_clips, borders))


def clip_range(tracks: PoseTracks, first: int, last: int) -> PoseTracks:
    """Selects consecutive clips without copying.

    Args:
        tracks: The poses.
        first: Position of the first clip.
        last: One after the position of the last clip.

    Returns:
        The clips; their arrays are views.
    """
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
