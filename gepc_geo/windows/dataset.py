"""From tracks with holes to windows: gaps filled in time, then pure index arithmetic."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data, Dataset

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.checksums import checksum


@dataclass(frozen=True, eq=False)
class FilledTracks:
    r"""Tracks cut into pieces without holes: every joint has a position in every row.

    The rows of a piece are consecutive frames of one person. Made by :func:`fill`.

    Attributes:
        channels: :math:`[R, V, C']` float32, a joint's coordinates, confidence and features side by
            side: what windows are gathered from.
        clip: :math:`[R]` int64, position in the source's ``clip_names``.
        track: :math:`[R]` int64, person id.
        frame: :math:`[R]` int64, frame number within the clip.
        piece: :math:`[P + 1]` int64; piece ``p`` is rows ``piece[p]`` to ``piece[p + 1]``.
        source: The tracks they were made of (skeleton, image sizes, names).
    """

    channels: np.ndarray
    clip: np.ndarray
    track: np.ndarray
    frame: np.ndarray
    piece: np.ndarray
    source: PoseTracks

    @property
    def keypoints(self) -> np.ndarray:
        r""":math:`[R, V, C]` float32; joints without confidence are interpolated."""
        return self.channels[..., : self.source.dims]

    @property
    def confidence(self) -> np.ndarray:
        r""":math:`[R, V]` float32; 0 wherever the position is not an observed one."""
        return self.channels[..., self.source.dims]

    @property
    def features(self) -> np.ndarray | None:
        r""":math:`[R, V, D]` float32 or ``None``; interpolated in inserted rows."""
        return None if self.source.features is None else self.channels[..., self.source.dims + 1 :]

    @property
    def num_channels(self) -> int:
        """Coordinates, confidence and features of a joint."""
        return int(self.channels.shape[-1])


def fill(tracks: PoseTracks, max_gap: int = 3) -> FilledTracks:
    r"""Fills the holes of tracks by linear interpolation in time; nothing filled has confidence.

    - A row in which no joint has confidence counts as a missing frame.
    - Up to ``max_gap`` missing frames in a row are inserted; a longer gap splits the track.
    - A joint without confidence is interpolated between the piece's frames in which it has some;
      before the first and after the last of those it stays where it was seen.
    - A joint never seen in a piece is put at the mean of the frame's other joints.

    Values at joints without confidence are never used. Features of rows that exist are kept.

    Args:
        tracks: :math:`F` person-frames.
        max_gap: Missing frames in a row to interpolate, at most.

    Raises:
        InputError: ``max_gap`` below 0.
    """
    if max_gap < 0:
        raise InputError(f"max_gap is {max_gap}, expected 0 or more frames")
    tracks = _without_empty_rows(tracks)
    joined = _same_track(tracks) & (np.diff(tracks.frame) <= max_gap + 1)
    return fill_pieces(tracks, joined, joined)


def fill_pieces(tracks: PoseTracks, joined: np.ndarray, inserted: np.ndarray) -> FilledTracks:
    r"""Fills the holes of pieces that are known already, as :func:`fill` does.

    Args:
        tracks: :math:`F` person-frames with confidence in some joint each.
        joined: :math:`[F - 1]` bool, whether a row and the next are of one piece.
        inserted: :math:`[F - 1]` bool, whether the frames missing between them become rows, too;
            only where they are joined.
    """
    rows = tracks.num_frames
    # Every row is followed by the frames that are missing up to the next row of its piece.
    count = np.ones(rows, dtype=np.int64)
    count[:-1][inserted] = np.diff(tracks.frame)[inserted]
    place = np.concatenate([[0], np.cumsum(count)])
    left = np.repeat(np.arange(rows), count)
    offset = np.arange(place[-1]) - place[left]
    starts = np.flatnonzero(np.concatenate([np.ones(min(rows, 1), dtype=bool), ~joined]))
    piece = np.append(place[starts], place[-1])
    frame = tracks.frame[left] + offset
    dims = tracks.dims
    channels = np.empty(
        (len(left), tracks.num_joints, dims + 1 + tracks.num_features), dtype=np.float32
    )
    channels[..., :dims] = tracks.keypoints[left]
    channels[..., dims] = tracks.confidence[left]
    new = np.flatnonzero(offset)
    channels[new, :, dims] = 0
    _fill_joints(channels[..., :dims], channels[..., dims], frame, piece)
    if tracks.features is not None:
        features = channels[..., dims + 1 :]
        features[...] = tracks.features[left]
        weight = (offset[new] / count[left[new]])[:, None, None]
        after = tracks.features[left[new] + 1]
        features[new] = (1 - weight) * features[new] + weight * after
    return FilledTracks(
        channels=channels,
        clip=tracks.clip[left],
        track=tracks.track[left],
        frame=frame,
        piece=piece,
        source=tracks,
    )


def resample_clips(tracks: PoseTracks, frames: int) -> PoseTracks:
    r"""Stretches each person's track to ``frames`` frames (clip-level sets, paper section 4.2).

    Joints are filled over the whole track as :func:`fill` does, whatever the gaps; then positions,
    confidence and features are interpolated linearly between the rows before and after each new
    frame. So a joint has no confidence where it had none on both sides, and every new row has some.
    A track of one frame repeats it.

    Args:
        tracks: Tracks of any length.
        frames: Frames of every track (and clip) of the result.

    Returns:
        The same clips, all ``frames`` long, without frame labels and frame rates, which have lost
        their meaning; people in whom no joint ever has confidence are gone.

    Raises:
        InputError: ``frames`` below 1.
    """
    if frames < 1:
        raise InputError(f"frames is {frames}, expected at least 1")
    full = _without_empty_rows(tracks)
    start = full.track_starts
    bounds = np.append(start, full.num_frames)
    keypoints = full.keypoints.copy()
    _fill_joints(keypoints, full.confidence, full.frame, bounds)
    end = bounds[1:] - 1
    # All tracks' times laid end to end, in whole frames, so that one search finds every neighbour.
    span = full.frame[end] - full.frame[start]
    base = np.concatenate([[0], np.cumsum(span + 1)])[:-1]
    time = full.frame + np.repeat(base - full.frame[start], np.diff(bounds))
    number = np.arange(frames)
    # frames - 1 steps over the span; a single new frame is the track's first.
    exact = number * span[:, None] / max(frames - 1, 1) + base[:, None]
    whole = number * span[:, None] // max(frames - 1, 1) + base[:, None]
    before = np.searchsorted(time, whole, side="right") - 1
    after = np.minimum(before + 1, end[:, None])
    step = np.maximum(time[after] - time[before], 1)
    weight = ((exact - time[before]) / step).reshape(-1, 1)
    before, after = before.reshape(-1), after.reshape(-1)

    def between(array: np.ndarray) -> np.ndarray:
        w = weight if array.ndim == 2 else weight[..., None]
        return ((1 - w) * array[before] + w * array[after]).astype(np.float32)

    return tracks.with_(
        keypoints=between(keypoints),
        confidence=between(full.confidence),
        features=None if full.features is None else between(full.features),
        clip=np.repeat(full.clip[start], frames),
        track=np.repeat(full.track[start], frames),
        frame=np.tile(number, len(start)),
        clip_length=np.full(tracks.num_clips, frames),
        fps=None,
        frame_labels=None,
    )


class PoseWindows(Dataset):
    r"""Windows of one or several lengths over tracks, as a PyG data set; nothing is copied until asked for.

    In each piece of a track (see :func:`fill`) windows of each length start every ``stride`` frames, and
    the piece's last frames are always a window too. A piece shorter than the shortest length gives one
    *padded* window of that length, with the piece in its middle and its first and last frames repeated;
    longer lengths have none there. All windows of a length come before those of the next longer one.

    An item is a :class:`~torch_geometric.data.Data` with ``x`` :math:`[V, T, C']` (coordinates,
    confidence, features), the skeleton's ``edge_index``, ``edge_type`` and ``edge_weight``, and
    ``window`` (its position in this data set), ``clip``, ``track``, ``frame``, ``padded``
    (each :math:`[1]`) and ``image_size`` :math:`[1, 2]`.

    Args:
        tracks: The poses.
        length: Frames in a window, :math:`T`, or several such lengths.
        stride: Frames between the starts of windows.
        max_gap: Missing frames in a row to interpolate; a longer gap splits a track.

    Attributes:
        lengths: The lengths, rising.
        table: The filled rows, :class:`FilledTracks`; shared by all subsets.
        piece: :math:`[W]` int64, which of the table's pieces the window lies in.
        first: :math:`[W]` int64, row of the window's first frame; below ``low`` if padded.
        size: :math:`[W]` int64, the window's frames. This, ``first`` and ``piece`` are all that is held of
            a window.

    Raises:
        InputError: A length or ``stride`` below 1, ``max_gap`` below 0.
    """

    def __init__(
        self,
        tracks: PoseTracks,
        length: int | Sequence[int] = 12,
        stride: int = 1,
        max_gap: int = 3,
    ) -> None:
        lengths = (length,) if isinstance(length, int) else tuple(sorted(set(length)))
        for name, value in (("window length", min(lengths)), ("window stride", stride)):
            if value < 1:
                raise InputError(f"{name} is {value}, expected at least 1 frame")
        self.stride, table = stride, fill(tracks, max_gap)
        parts = [_cut(table.piece, length, stride, length == lengths[0]) for length in lengths]
        self._set(
            table,
            lengths,
            np.concatenate([piece for piece, _ in parts]),
            np.concatenate([first for _, first in parts]),
            np.repeat(lengths, [len(piece) for piece, _ in parts]),
        )

    @classmethod
    def of_table(
        cls, table: FilledTracks, piece: np.ndarray, first: np.ndarray, size: np.ndarray
    ) -> PoseWindows:
        """Windows of pieces that were filled already, wherever they begin; arguments as the attributes."""
        self = cls.__new__(cls)
        self._set(table, tuple(np.unique(size).tolist()), piece, first, size)
        return self

    def _set(
        self,
        table: FilledTracks,
        lengths: tuple[int, ...],
        piece: np.ndarray,
        first: np.ndarray,
        size: np.ndarray,
    ) -> None:
        super().__init__()
        self.lengths, self.table = lengths, table
        self.skeleton = table.source.skeleton
        self._edges = self.skeleton.partition()
        self.piece, self.first, self.size = piece, first, size

    @property
    def length(self) -> int:
        """Frames of all windows.

        Raises:
            InputError: There are windows of several lengths.
        """
        if len(self.lengths) > 1:
            text = ", ".join(map(str, self.lengths))
            raise InputError(f"windows have {text} frames, expected all of one length")
        return self.lengths[0]

    def of_length(self, length: int) -> PoseWindows:
        """The windows of one of the lengths, over the same table."""
        return self.of_lengths((length,))

    def of_lengths(self, lengths: tuple[int, ...]) -> PoseWindows:
        """The windows of some of the lengths, over the same table."""
        part = self.subset(np.isin(self.size, lengths))
        part.lengths = lengths
        return part

    @property
    def low(self) -> np.ndarray:
        """:math:`[W]` int64, first row of the piece."""
        return self.table.piece[self.piece]

    @property
    def high(self) -> np.ndarray:
        """:math:`[W]` int64, last row of the piece; frame ``t`` of the window is row
        ``clip(first + t, low, high)``."""
        return self.table.piece[self.piece + 1] - 1

    @property
    def clip(self) -> np.ndarray:
        """:math:`[W]` int64, position in the clips' names."""
        return self.table.clip[self.low]

    @property
    def track(self) -> np.ndarray:
        """:math:`[W]` int64, person id."""
        return self.table.track[self.low]

    @property
    def person(self) -> np.ndarray:
        """:math:`[W]` int64, a number for each person of each clip, the same in every subset."""
        start = self.table.piece[:-1]
        pairs = np.stack([self.table.clip[start], self.table.track[start]])
        _, number = np.unique(pairs, axis=1, return_inverse=True)
        return number.reshape(-1)[self.piece]

    @property
    def frame(self) -> np.ndarray:
        """:math:`[W]` int64, number of the window's first real frame."""
        return self.table.frame[np.maximum(self.first, self.low)]

    @property
    def padded(self) -> np.ndarray:
        """:math:`[W]` bool, whether the piece is shorter than a window."""
        return self.high - self.low + 1 < self.size

    def fingerprint(self) -> dict[str, int]:
        """The number of windows, and a checksum of their poses and places: data with both are the same."""
        places = (self.clip, self.track, self.frame)
        return {"windows": len(self), "checksum": checksum(*places, self.table.keypoints)}

    def len(self) -> int:
        """The number of windows, :math:`W`."""
        return len(self.first)

    @property
    def num_channels(self) -> int:
        """Channels of ``x``: coordinates, confidence, features."""
        return self.table.num_channels

    def rows(self, index: Any = slice(None)) -> np.ndarray:
        r"""The table's rows of frames of some windows, all of one length: :math:`[..., T]` int64."""
        length = int(np.max(self.size[index], initial=self.lengths[0]))
        piece = self.piece[index][..., None]
        low, end = self.table.piece[piece], self.table.piece[piece + 1]
        return np.clip(self.first[index][..., None] + np.arange(length), low, end - 1)

    def get(self, idx: int) -> Data:
        """One window as a graph."""
        edge_index, edge_type, edge_weight = self._edges
        rows, table = self.rows(idx), self.table
        low, end = table.piece[self.piece[idx] : self.piece[idx] + 2]
        clip = int(table.clip[low])
        return Data(
            x=torch.from_numpy(table.channels[rows].transpose(1, 0, 2).copy()),
            edge_index=edge_index,
            edge_type=edge_type,
            edge_weight=edge_weight,
            window=torch.tensor([idx]),
            clip=torch.tensor([clip]),
            track=torch.tensor([int(table.track[low])]),
            frame=torch.tensor([int(table.frame[rows[0]])]),
            padded=torch.tensor([bool(end - low < self.size[idx])]),
            image_size=torch.from_numpy(table.source.image_size[clip : clip + 1].copy()),
        )

    def subset(self, index: Any) -> PoseWindows:
        """Some windows over the same table: positions, a slice or a boolean mask."""
        chosen = np.arange(len(self))[index]
        part = copy.copy(self)
        part.piece, part.first, part.size = (
            array[chosen] for array in (self.piece, self.first, self.size)
        )
        return part

    def without_padded(self) -> PoseWindows:
        """The windows of pieces that are long enough, over the same table."""
        return self.subset(~self.padded)

    def index_select(self, idx: Any) -> PoseWindows:
        """What ``windows[idx]`` gives for anything but a number: :meth:`subset`."""
        if isinstance(idx, Tensor):
            idx = idx.cpu().numpy()
        return self.subset(idx)


def _cut(
    piece: np.ndarray, length: int, stride: int, padded: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Piece and first row of each window of a length; of shorter pieces only where they are padded."""
    size = np.diff(piece)
    spare = np.maximum(size - length, 0)
    count = np.where(padded | (size >= length), -(-spare // stride) + 1, 0)
    of = np.repeat(np.arange(len(size)), count)
    number = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    start = np.minimum(number * stride, spare[of])
    return of, piece[of] + start - np.maximum(length - size, 0)[of] // 2


def _without_empty_rows(tracks: PoseTracks) -> PoseTracks:
    """Without the person-frames in which no joint has confidence."""
    seen = np.flatnonzero((tracks.confidence > 0).any(axis=1))
    return tracks if len(seen) == tracks.num_frames else tracks.rows(seen)


def _same_track(tracks: PoseTracks) -> np.ndarray:
    """Whether each row and the next are of the same person: [F - 1] bool."""
    return (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0)


def _fill_joints(
    keypoints: np.ndarray, confidence: np.ndarray, time: np.ndarray, piece: np.ndarray
) -> None:
    """Interpolates, in place, key points [R, V, C] of joints without confidence in their piece.

    Every piece (start rows, [P + 1]) must have a joint with confidence somewhere; ``time`` rises
    within a piece.
    """
    rows, joints = confidence.shape
    piece_of_row = np.repeat(np.arange(len(piece) - 1), np.diff(piece))
    lost = np.zeros((rows, joints), dtype=bool)
    for joint in range(joints):
        seen = confidence[:, joint] > 0
        hole, known = np.flatnonzero(~seen), np.flatnonzero(seen)
        if not len(hole):
            continue
        if not len(known):
            lost[:, joint] = True
            continue
        # The number of seen rows so far is the position in `known` of the next one.
        rank = np.cumsum(seen)[hole]
        before = known[np.maximum(rank - 1, 0)]
        after = known[np.minimum(rank, len(known) - 1)]
        here = piece_of_row[hole]
        has_before = (rank > 0) & (piece_of_row[before] == here)
        has_after = (rank < len(known)) & (piece_of_row[after] == here)
        # At the ends of a piece the one neighbour there is stands for both.
        before, after = np.where(has_before, before, after), np.where(has_after, after, before)
        span = np.maximum(time[after] - time[before], 1)
        weight = np.where(has_before & has_after, (time[hole] - time[before]) / span, 0.0)[:, None]
        keypoints[hole, joint] = (1 - weight) * keypoints[before, joint] + weight * keypoints[
            after, joint
        ]
        lost[hole, joint] = ~(has_before | has_after)
    part = np.flatnonzero(lost.any(axis=1))
    away = lost[part][..., None]
    total = np.where(away, 0.0, keypoints[part]).sum(axis=1, keepdims=True)
    mean = total / np.maximum((~away).sum(axis=1, keepdims=True), 1)
    keypoints[part] = np.where(away, mean, keypoints[part])
