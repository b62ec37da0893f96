"""Windows of tracks as a PyG data set, by index arithmetic over filled tracks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data, Dataset

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.checksums import checksum
from gepc_geo.windows.filling import FilledTracks, fill


class PoseWindows(Dataset):
    r"""Windows of one or several lengths over tracks, as a PyG data set without copies.

    In each piece of a track (see :func:`fill`), windows of each length start every ``stride``
    frames, and the last one ends with the piece. A piece shorter than the shortest length gives one
    *padded* window of that length: the piece in the middle, with its first and last frames
    repeated. Longer lengths have no padded windows. Windows are ordered by length.

    An item is a :class:`~torch_geometric.data.Data` with ``x`` :math:`[V, T, C']` (coordinates,
    confidence, features), the skeleton's ``edge_index``, ``edge_type`` and ``edge_weight``, and
    ``window`` (its position in this data set), ``clip``, ``track``, ``frame``, ``padded``
    (each :math:`[1]`) and ``image_size`` :math:`[1, 2]`.

    Args:
        tracks: The poses.
        length: Frames in a window, :math:`T`, or several such lengths.
        stride: Frames between the starts of windows.
        max_gap: Largest number of consecutive missing frames to interpolate; a longer gap splits a
            track.

    Attributes:
        lengths: The lengths, ascending.
        table: The filled rows, :class:`FilledTracks`; shared by all subsets.
        piece: :math:`[W]` int64, position of the window's piece in the table.
        first: :math:`[W]` int64, row of the window's first frame; below ``low`` if padded.
        size: :math:`[W]` int64, frames of the window.

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
                raise InputError(f"{name} must be at least 1 frame, got {value}")
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
        """Windows over a filled table; arguments as the attributes of the class."""
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
            InputError: Windows of several lengths.
        """
        if len(self.lengths) > 1:
            text = ", ".join(map(str, self.lengths))
            raise InputError(f"windows must have one length, got {text} frames")
        return self.lengths[0]

    def of_length(self, length: int) -> PoseWindows:
        """The windows of one length, over the same table."""
        return self.of_lengths((length,))

    def of_lengths(self, lengths: tuple[int, ...]) -> PoseWindows:
        """The windows of given lengths, over the same table."""
        part = self.subset(np.isin(self.size, lengths))
        part.lengths = lengths
        return part

    @property
    def low(self) -> np.ndarray:
        """:math:`[W]` int64, first row of the piece."""
        return self.table.piece[self.piece]

    @property
    def high(self) -> np.ndarray:
        """:math:`[W]` int64, last row of the piece.

        Frame ``t`` of the window is row ``clip(first + t, low, high)``.
        """
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
        """Number of windows and checksum of their poses and places; equal for equal data only."""
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
        r"""Table rows of the frames of windows of one length: :math:`[..., T]` int64."""
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
        """Windows at positions, in a slice or of a boolean mask, over the same table."""
        chosen = np.arange(len(self))[index]
        part = copy.copy(self)
        part.piece, part.first, part.size = (
            array[chosen] for array in (self.piece, self.first, self.size)
        )
        return part

    def without_padded(self) -> PoseWindows:
        """The windows that are not padded, over the same table."""
        return self.subset(~self.padded)

    def index_select(self, idx: Any) -> PoseWindows:
        """:meth:`subset`, which PyG calls for ``windows[idx]`` unless ``idx`` is a number."""
        if isinstance(idx, Tensor):
            idx = idx.cpu().numpy()
        return self.subset(idx)


def _cut(
    piece: np.ndarray, length: int, stride: int, padded: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Piece and first row of each window of a length; shorter pieces only if ``padded``."""
    size = np.diff(piece)
    spare = np.maximum(size - length, 0)
    count = np.where(padded | (size >= length), -(-spare // stride) + 1, 0)
    owner = np.repeat(np.arange(len(size)), count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    start = np.minimum(number * stride, spare[owner])
    return owner, piece[owner] + start - np.maximum(length - size, 0)[owner] // 2
