"""The people of a stream: rows that windows to come are made of, and the windows that are complete."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import fill_pieces
from gepc_geo.windows.pipeline import InputPipeline

# A frame so many frames behind its camera's latest one is no late one: the camera began anew.
_RESTART = 250
# Neither is one that ends so long a run of rising late ones.
_RISING = 10


@dataclass
class Piece:
    r"""Rows of one person, and the windows in them that became complete.

    Attributes:
        camera: Name of the camera.
        session: How often the camera had begun anew before.
        image_size: :math:`[2]` float32.
        person: Person id.
        frames: Numbers of the frames, rising.
        rows: A row :math:`[V, C']` for each (:class:`~gepc_geo.streaming.frames.CheckedFrame`).
        sparse: So many of the first rows are there only to interpolate from.
        windows: First frame and length of each window.
    """

    camera: str
    session: int
    image_size: np.ndarray
    person: int
    frames: list[int]
    rows: list[np.ndarray]
    sparse: int
    windows: list[tuple[int, int]]


@dataclass
class Camera:
    """Who is in a camera's picture."""

    name: str
    session: int = 0
    people: dict[int, Person] = field(default_factory=dict)
    latest: int = -1
    image_size: np.ndarray = field(default_factory=lambda: np.full(2, np.nan, np.float32))
    # Late frames in a row that each had a higher number than those before, and the last of them.
    rising: int = 0
    highest: int = -1

    def begins_anew(self, frame: int, wait: int) -> bool:
        """Whether a frame is the first of a count begun anew: far behind, or the end of late ones that rise."""
        late = frame <= self.latest - wait
        if not late or frame < self.highest - wait:
            self.rising, self.highest = 0, -1
        if late and frame > self.highest:
            self.rising, self.highest = self.rising + 1, frame
        return frame <= self.latest - _RESTART or self.rising >= _RISING

    def take(
        self, horizon: int | None, lengths: Sequence[int], stride: int, max_gap: int
    ) -> list[Piece]:
        """The windows that end by ``horizon`` (``None``: all); rows that no other needs are forgotten."""
        pieces = []
        for number, person in list(self.people.items()):
            for part in person.take(horizon, lengths, stride, max_gap):
                pieces.append(Piece(self.name, self.session, self.image_size, number, *part))
            if not person.frames:
                del self.people[number]
        return pieces


class Person:
    """The rows of one person that windows to come are made of, in order of frames."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.rows: list[np.ndarray] = []
        # Rows at the front that are there only to interpolate from.
        self._sparse = 0
        # By length, where the next window of the first piece starts, once one was taken.
        self._next: dict[int, int] = {}

    def insert(self, frame: int, row: np.ndarray) -> bool:
        """Puts a row in its place; ``False``: there is one already."""
        at = len(self.frames)
        while at and self.frames[at - 1] > frame:
            at -= 1
        if at and self.frames[at - 1] == frame:
            return False
        self.frames.insert(at, frame)
        self.rows.insert(at, row)
        return True

    def take(
        self, horizon: int | None, lengths: Sequence[int], stride: int, max_gap: int
    ) -> list[tuple[list[int], list[np.ndarray], int, list[tuple[int, int]]]]:
        """Pieces with the windows that end by ``horizon``: frames, rows, how many are sparse, windows."""
        pieces = []
        while self.frames:
            size = self._piece_size(max_gap)
            last = self.frames[size - 1]
            closed = horizon is None or horizon - last > max_gap
            # A gap at a window's end is filled once the row behind it is settled, too.
            at = size if horizon is None else bisect_right(self.frames, horizon, hi=size)
            end = self.frames[at - 1] if at else -1
            windows = [
                (start, length)
                for length in lengths
                for start in self._starts(length, end, last if closed else None, stride)
            ]
            if windows:
                pieces.append((self.frames[:size], self.rows[:size], self._sparse, windows))
            if not closed:
                # Until the longest has begun, the piece's first frame is needed.
                if len(self._next) == len(lengths):
                    self._trim(min(min(at, last - n + 1) for n, at in self._next.items()))
                break
            del self.frames[:size], self.rows[:size]
            self._sparse, self._next = 0, {}
        return pieces

    def _starts(self, length: int, end: int, last: int | None, stride: int) -> list[int]:
        """Where the next windows of a length start that end by ``end``; ``last``: the piece ends there."""
        starts = list(range(self._next.get(length, self.frames[0]), end - length + 2, stride))
        if starts:
            self._next[length] = starts[-1] + stride
        if last is not None and length in self._next:
            final = last - length + 1
            # The last frames of a piece are always a window.
            if final > self._next[length] - stride:
                starts.append(final)
        return starts

    def _piece_size(self, max_gap: int) -> int:
        """Rows before the first gap that is too long."""
        for at in range(self._sparse + 1, len(self.frames)):
            if self.frames[at] - self.frames[at - 1] > max_gap + 1:
                return at
        return len(self.frames)

    def _trim(self, start: int) -> None:
        """Forgets rows before ``start`` but the last, and the last that had each joint."""
        old = sum(frame < start for frame in self.frames)
        if old < 2:
            self._sparse = old
            return
        seen = np.stack([row[:, -1] > 0 for row in self.rows[:old]])
        # Of a joint that was never seen every row is the last.
        latest = old - 1 - seen[::-1].argmax(0)
        keep = sorted({old - 1, *latest[seen.any(0)].tolist()})
        self.frames[:old] = [self.frames[at] for at in keep]
        self.rows[:old] = [self.rows[at] for at in keep]
        self._sparse = len(keep)


def windows_of(pieces: Sequence[Piece], pipeline: InputPipeline) -> PoseWindows:
    """The windows of pieces, whose holes are filled; each piece is a clip.

    Args:
        pieces: At least one.
        pipeline: Of the detector that they are for.
    """
    size = np.array([len(one.frames) for one in pieces])
    rows = np.stack([row for one in pieces for row in one.rows])
    number = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
    joined = number[1:] > 0
    inserted = joined & (number[1:] >= np.repeat([one.sparse for one in pieces], size)[1:])
    dims, count = pipeline.dims, len(pieces)
    tracks = PoseTracks(
        keypoints=rows[..., :dims].copy(),
        confidence=rows[..., -1].copy(),
        features=rows[..., dims:-1].copy() if pipeline.num_features else None,
        frame=np.array([frame for one in pieces for frame in one.frames]),
        track=np.repeat([one.person for one in pieces], size),
        clip=np.repeat(np.arange(count), size),
        skeleton=pipeline.skeleton,
        clip_names=tuple(map(str, range(count))),
        clip_length=np.array([one.frames[-1] + 1 for one in pieces]),
        image_size=np.stack([one.image_size for one in pieces]),
        fps=np.full(count, np.nan, np.float32),
        camera=("",) * count,
        clip_label=("",) * count,
        clip_split=("",) * count,
    )
    table = fill_pieces(tracks, joined, inserted)
    piece = np.repeat(np.arange(count), [len(one.windows) for one in pieces])
    first, length = np.array([window for one in pieces for window in one.windows]).T
    # Behind the sparse rows a piece is consecutive up to its last one.
    final = table.piece[piece + 1] - 1
    place = final - table.frame[final] + first
    return PoseWindows.of_table(table, piece, place, length)
