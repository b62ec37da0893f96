"""People of a stream: their latest rows, and the windows that are complete."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import fill_pieces
from gepc_geo.windows.pipeline import InputPipeline
from gepc_geo.windows.quality import Bodies, overlaps

# A stream restarts when frame numbers jump back by this many frames.
_RESTART = 250
# It also restarts after this many late frames in a row with rising numbers.
_RISING = 10


@dataclass
class Piece:
    r"""Rows of one person, and the complete windows in them.

    Attributes:
        camera: Name of the camera.
        session: Number of restarts of the camera before.
        image_size: :math:`[2]` float32.
        person: Person id.
        frames: Frame numbers, in ascending order.
        rows: A row :math:`[V, C']` for each frame
            (:class:`~gepc_geo.streaming.frames.CheckedFrame`).
        overlap: Sign ``overlap`` of each row (:mod:`gepc_geo.windows.quality`); 0 of rows after the
            windows.
        sparse: Number of the first rows that serve for interpolation alone.
        windows: First frame and length of each window.
    """

    camera: str
    session: int
    image_size: np.ndarray
    person: int
    frames: list[int]
    rows: list[np.ndarray]
    overlap: list[float]
    sparse: int
    windows: list[tuple[int, int]]


@dataclass
class Camera:
    """The state of one camera.

    Attributes:
        name: Name of the camera.
        session: Number of restarts.
        people: The people present, by id.
        latest: The highest frame number.
        image_size: :math:`[2]` float32.
        rising: Late frames in a row with rising numbers.
        highest: The last of these frames.
        short: Person-frames of tracks that ended without a window.
    """

    name: str
    session: int = 0
    people: dict[int, Person] = field(default_factory=dict)
    latest: int = -1
    image_size: np.ndarray = field(default_factory=lambda: np.full(2, np.nan, np.float32))
    rising: int = 0
    highest: int = -1
    short: int = 0

    def restarts(self, frame: int, wait: int) -> bool:
        """Whether a frame restarts the stream."""
        late = frame <= self.latest - wait
        if not late or frame < self.highest - wait:
            self.rising, self.highest = 0, -1
        if late and frame > self.highest:
            self.rising, self.highest = self.rising + 1, frame
        return frame <= self.latest - _RESTART or self.rising >= _RISING

    def settle(self, horizon: int | None, max_gap: int, pipeline: InputPipeline) -> None:
        """Measures which people overlap in the frames up to ``horizon`` (``None``: all).

        All people of these frames are known; frames that were measured before are left out.
        """
        if pipeline.quality is None:
            return
        due = [
            (person.frames[at], number, person, at, start)
            for number, person in self.people.items()
            for at, start in person.settle(horizon, max_gap)
        ]
        if len(due) < 2:
            return
        frame, number, people, places, starts = zip(*due, strict=True)
        rows = np.stack([person.rows[at] for _, _, person, at, _ in due])
        clip, size = np.zeros(len(due), np.int64), self.image_size[None]
        one = _tracks(rows, np.array(frame), np.array(number), clip, size, pipeline)
        table = fill_pieces(one, *[np.zeros(len(due) - 1, dtype=bool)] * 2)
        body = replace(Bodies.of(table, pipeline.quality.bones), start=np.array(starts))
        for person, at, sign in zip(people, places, overlaps(table, body).tolist(), strict=True):
            person.overlap[at] = sign

    def take(
        self, horizon: int | None, lengths: Sequence[int], stride: int, max_gap: int
    ) -> list[Piece]:
        """Removes and returns the windows that end by ``horizon`` (``None``: all)."""
        pieces = []
        for number, person in list(self.people.items()):
            for part in person.take(horizon, lengths, stride, max_gap):
                pieces.append(Piece(self.name, self.session, self.image_size, number, *part))
            self.short, person.short = self.short + person.short, 0
            if not person.frames:
                del self.people[number]
        return pieces


class Person:
    """Rows of one person that later windows need, in order of frames.

    Attributes:
        frames: Frame number of each row.
        rows: The rows.
        overlap: Sign ``overlap`` of each row, 0 before it is measured.
        short: Person-frames of pieces that ended without a window.
    """

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.rows: list[np.ndarray] = []
        self.overlap: list[float] = []
        self.short = 0
        # The last settled frame, and the first frame of its piece.
        self._settled, self._start = -1, -1
        # Number of the first rows that serve for interpolation alone.
        self._sparse = 0
        # Start of the next window in the first piece, by length, after the first window.
        self._next: dict[int, int] = {}

    def insert(self, frame: int, row: np.ndarray) -> bool:
        """Inserts a row; ``False`` if the frame has one already."""
        at = len(self.frames)
        while at and self.frames[at - 1] > frame:
            at -= 1
        if at and self.frames[at - 1] == frame:
            return False
        self.frames.insert(at, frame)
        self.rows.insert(at, row)
        self.overlap.insert(at, 0.0)
        return True

    def settle(self, horizon: int | None, max_gap: int) -> list[tuple[int, int]]:
        """Position of each row that is new up to ``horizon``, and the start of its piece."""
        first = bisect_right(self.frames, self._settled)
        end = len(self.frames) if horizon is None else bisect_right(self.frames, horizon)
        found = []
        for at in range(first, end):
            frame = self.frames[at]
            if self._settled < 0 or frame - self._settled > max_gap + 1:
                self._start = frame
            self._settled = frame
            found.append((at, self._start))
        return found

    def take(
        self, horizon: int | None, lengths: Sequence[int], stride: int, max_gap: int
    ) -> list[tuple[list[int], list[np.ndarray], list[float], int, list[tuple[int, int]]]]:
        """Frames, rows, overlap, number of sparse rows and windows of pieces, up to ``horizon``."""
        pieces = []
        while self.frames:
            size = self._piece_size(max_gap)
            last = self.frames[size - 1]
            closed = horizon is None or horizon - last > max_gap
            # A gap at the end of a window is filled once the row after it is settled.
            at = size if horizon is None else bisect_right(self.frames, horizon, hi=size)
            end = self.frames[at - 1] if at else -1
            windows = [
                (start, length)
                for length in lengths
                for start in self._starts(length, end, last if closed else None, stride)
            ]
            if windows:
                lists = (self.frames[:size], self.rows[:size], self.overlap[:size])
                pieces.append((*lists, self._sparse, windows))
            if not closed:
                # The first frame of the piece is needed until the longest window has started.
                if len(self._next) == len(lengths):
                    self._trim(
                        min(min(start, last - length + 1) for length, start in self._next.items())
                    )
                break
            if not self._next:
                self.short += last - self.frames[0] + 1
            del self.frames[:size], self.rows[:size], self.overlap[:size]
            self._sparse, self._next = 0, {}
        return pieces

    def _starts(self, length: int, end: int, last: int | None, stride: int) -> list[int]:
        """Starts of the next windows up to ``end``; ``last`` is the end of a closed piece."""
        starts = list(range(self._next.get(length, self.frames[0]), end - length + 2, stride))
        if starts:
            self._next[length] = starts[-1] + stride
        if last is not None and length in self._next:
            final = last - length + 1
            # A piece ends with a window.
            if final > self._next[length] - stride:
                starts.append(final)
        return starts

    def _piece_size(self, max_gap: int) -> int:
        """Number of rows before the first gap of more than ``max_gap`` frames."""
        for at in range(self._sparse + 1, len(self.frames)):
            if self.frames[at] - self.frames[at - 1] > max_gap + 1:
                return at
        return len(self.frames)

    def _trim(self, start: int) -> None:
        """Removes rows before ``start``, but the last one and the last one with each joint."""
        old = sum(frame < start for frame in self.frames)
        if old < 2:
            self._sparse = old
            return
        seen = np.stack([row[:, -1] > 0 for row in self.rows[:old]])
        # The maximum of a joint that is never seen is the last row.
        latest = old - 1 - seen[::-1].argmax(0)
        keep = sorted({old - 1, *latest[seen.any(0)].tolist()})
        for rows in (self.frames, self.rows, self.overlap):
            rows[:old] = [rows[at] for at in keep]
        self._sparse = len(keep)


def windows_of(
    pieces: Sequence[Piece], pipeline: InputPipeline, fps: float = math.nan
) -> tuple[PoseWindows, np.ndarray]:
    r"""Fills the gaps of pieces, and makes their windows; each piece is a clip.

    Args:
        pieces: At least one piece.
        pipeline: The pipeline of the detector.
        fps: Frames a second. (default: NaN, unknown)

    Returns:
        The windows, and the sign ``overlap`` of each row of their table, :math:`[R]`.
    """
    size = np.array([len(piece.frames) for piece in pieces])
    rows = np.stack([row for piece in pieces for row in piece.rows])
    position = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
    joined = position[1:] > 0
    inserted = joined & (position[1:] >= np.repeat([piece.sparse for piece in pieces], size)[1:])
    count = len(pieces)
    tracks = _tracks(
        rows,
        np.array([frame for piece in pieces for frame in piece.frames]),
        np.repeat([piece.person for piece in pieces], size),
        np.repeat(np.arange(count), size),
        np.stack([piece.image_size for piece in pieces]),
        pipeline,
        fps,
    )
    table = fill_pieces(tracks, joined, inserted)
    number = np.repeat(np.arange(count), [len(piece.windows) for piece in pieces])
    first, length = np.array([window for piece in pieces for window in piece.windows]).T
    # After its sparse rows a piece has all frames up to its last one.
    final = table.piece[number + 1] - 1
    row = final - table.frame[final] + first
    overlap = np.zeros(len(table.frame))
    # Inserted rows have no seen joint.
    overlap[(table.confidence > 0).any(1)] = [sign for piece in pieces for sign in piece.overlap]
    return PoseWindows.of_table(table, number, row, length), overlap


def _tracks(
    rows: np.ndarray,
    frame: np.ndarray,
    person: np.ndarray,
    clip: np.ndarray,
    image_size: np.ndarray,
    pipeline: InputPipeline,
    fps: float = math.nan,
) -> PoseTracks:
    """Tracks of rows :math:`[F, V, C']` in clips of given image sizes :math:`[N, 2]`."""
    dims, count = pipeline.dims, len(image_size)
    length = np.zeros(count, np.int64)
    np.maximum.at(length, clip, frame + 1)
    return PoseTracks(
        keypoints=rows[..., :dims].copy(),
        confidence=rows[..., -1].copy(),
        features=rows[..., dims:-1].copy() if pipeline.num_features else None,
        frame=frame,
        track=person,
        clip=clip,
        skeleton=pipeline.skeleton,
        clip_names=tuple(map(str, range(count))),
        clip_length=length,
        image_size=image_size,
        fps=np.full(count, fps, np.float32),
        camera=("",) * count,
        clip_label=("",) * count,
        clip_split=("",) * count,
    )
