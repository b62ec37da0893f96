"""Batches of windows, gathered on the device without work per window."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from gepc_geo.errors import InputError
from gepc_geo.windows.dataset import PoseWindows

# Batch sizes with cached edges: the full size, an epoch's last, and a few of the caller's.
_CACHED_SIZES = 8


class WindowLoader:
    r"""Iterates over windows in batches that equal the output of PyG's ``DataLoader``.

    The windows' table is copied to the device once (not at all on the host); a batch is one
    indexing operation. All windows of a batch have the same length. Batches are
    :class:`~torch_geometric.data.Batch` objects and support ``to_data_list()`` and ``batch[i]``.
    Batches of one size share their edges, which must not be changed in place.

    Args:
        windows: The windows.
        batch_size: Windows in a batch; the last batch of each length may be smaller.
        shuffle: Whether each epoch has a new random order.
        device: Device of the table and the batches.
        transform: Function applied to each batch, not to each window.
        generator: Random numbers of ``shuffle``; default: torch's global generator.

    Shapes:
        - **output:** ``x`` :math:`[B V, T, C']`, ``edge_index`` :math:`[2, B E]`, ``edge_type`` and
          ``edge_weight`` :math:`[B E]`, ``window``, ``clip``, ``track``, ``frame`` and ``padded``
          :math:`[B]`, ``image_size`` :math:`[B, 2]`, ``batch`` :math:`[B V]`,
          ``ptr`` :math:`[B + 1]`.

    Raises:
        InputError: ``batch_size`` below 1.
    """

    def __init__(
        self,
        windows: PoseWindows,
        batch_size: int,
        shuffle: bool = False,
        device: str | torch.device = "cpu",
        transform: Callable[[Batch], Batch] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1 window, got {batch_size}")
        self.windows = windows
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.device = torch.device(device)
        self.transform = transform
        self.generator = generator
        table = windows.table
        # On the host these share the memory of the table and the windows.
        self._table = torch.from_numpy(table.channels).flatten(0, 1).to(self.device)
        self._image_size = torch.from_numpy(table.source.image_size).to(self.device)
        self._first = torch.from_numpy(windows.first).to(self.device)
        self._piece = torch.from_numpy(windows.piece).to(self.device)
        low, high = table.piece[:-1], table.piece[1:] - 1
        pieces = np.stack([low, high, table.clip[low], table.track[low], table.frame[low]])
        self._pieces = torch.from_numpy(pieces).to(self.device)
        self._steps = torch.arange(max(windows.lengths), device=self.device)
        self._joints = torch.arange(windows.skeleton.num_joints, device=self.device)
        self._edges = tuple(part.to(self.device) for part in windows.skeleton.partition())
        self._templates: dict[int, _Template] = {}

    def __len__(self) -> int:
        """The number of batches."""
        _, count = np.unique(self.windows.size, return_counts=True)
        return int((-(-count // self.batch_size)).sum())

    def __iter__(self) -> Iterator[Batch]:
        count = len(self.windows)
        if self.shuffle:
            source = "cpu" if self.generator is None else self.generator.device
            order = torch.randperm(count, generator=self.generator, device=source)
            order = order.to(self.device)
        else:
            order = torch.arange(count, device=self.device)
        return self.batches(order)

    def batches(self, order: Tensor) -> Iterator[Batch]:
        r"""Iterates over given windows in batches, one length after the other.

        Args:
            order: :math:`[N]` int64, positions in ``windows``, in any order.
        """
        return (self.gather(index) for index in self.split(order))

    def split(self, order: Tensor) -> Iterator[Tensor]:
        r"""The positions of the windows of each batch of :meth:`batches`.

        Args:
            order: :math:`[N]` int64, positions in ``windows``, in any order.
        """
        size = torch.from_numpy(self.windows.size)[order.cpu()] if self._has_lengths else None
        for length in self.windows.lengths:
            part = order if size is None else order[(size == length).to(order.device)]
            # split() of an empty tensor gives one empty part.
            yield from (index for index in torch.split(part, self.batch_size) if len(index))

    @property
    def _has_lengths(self) -> bool:
        return len(self.windows.lengths) > 1

    def gather(self, index: Tensor) -> Batch:
        r"""The batch of given windows, all of one length.

        Args:
            index: :math:`[B]` int64, positions in ``windows``, in any order.
        """
        length = self.windows.lengths[0]
        if self._has_lengths and len(index):
            length = int(self.windows.size[int(index[0])])
        steps = self._steps[:length]
        index = index.to(self.device)
        first = self._first[index]
        low, high, clip, track, frame = self._pieces[:, self._piece[index]].unbind(0)
        rows = (first[:, None] + steps).clamp(low[:, None], high[:, None])
        joints = len(self._joints)
        # Positions [B, V, T] in the table of single joints.
        place = rows[:, None, :] * joints + self._joints[:, None]
        x = self._table.index_select(0, place.view(-1))
        template = self._template(len(index))
        batch = Batch(_base_cls=Data)
        values = {
            "x": x.view(len(index) * joints, length, x.size(-1)),
            **template.edges,
            "window": index,
            "clip": clip,
            "track": track,
            "frame": frame + (first - low).clamp(min=0),
            "padded": high - low + 1 < length,
            "image_size": self._image_size[clip],
            "batch": template.batch,
            "ptr": template.ptr,
        }
        for name, value in values.items():
            batch[name] = value
        batch._num_graphs = len(index)
        batch._slice_dict = template.slices
        batch._inc_dict = template.increments
        return batch if self.transform is None else self.transform(batch)

    def _template(self, size: int) -> _Template:
        """The shared parts of batches of a size; the last sizes are cached."""
        template = self._templates.pop(size, None)
        if template is None:
            template = _Template(size, len(self._joints), self._edges)
            if len(self._templates) == _CACHED_SIZES:
                self._templates.pop(next(iter(self._templates)))
        self._templates[size] = template
        return template


class _Template:
    """The parts of a batch that depend on its size only, equal to those of PyG's ``collate``."""

    def __init__(self, size: int, joints: int, edges: tuple[Tensor, ...]) -> None:
        edge_index, edge_type, edge_weight = edges
        device = edge_index.device
        graph = torch.arange(size, device=device)
        shifted = edge_index[:, None, :] + graph[:, None] * joints
        self.edges = {
            "edge_index": shifted.reshape(2, -1),
            "edge_type": edge_type.repeat(size),
            "edge_weight": edge_weight.repeat(size),
        }
        self.batch = graph.repeat_interleave(joints)
        self.ptr = torch.arange(size + 1, device=device) * joints
        # Slices and increments of each attribute, for separating the batch; they stay on the host.
        counts = torch.arange(size + 1)
        per_window = ("window", "clip", "track", "frame", "padded", "image_size")
        self.slices = {
            "x": counts * joints,
            **{name: counts * edge_index.size(1) for name in self.edges},
            **{name: counts for name in per_window},
        }
        zeros = torch.zeros(size, dtype=torch.long)
        self.increments = {name: zeros for name in self.slices}
        self.increments["edge_index"] = counts[:size] * joints


def to_dense(x: Tensor, num_nodes: int) -> Tensor:
    r"""Node features of a batch of windows, :math:`(B V, T, C)`, as :math:`(B, T, V, C)`."""
    return x.view(-1, num_nodes, *x.shape[1:]).transpose(1, 2)
