"""The base class and arithmetic of the transforms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton


class PoseTransform(BaseTransform):
    """A transform with a skeleton and a number of coordinates."""

    def __init__(self, skeleton: Skeleton, dims: int) -> None:
        if dims not in (2, 3):
            raise InputError(f"dims must be 2 or 3 coordinates, got {dims}")
        self.skeleton, self.dims = skeleton, dims

    def _split(self, data: Data) -> tuple[Tensor, Tensor]:
        """Coordinates [B, V, T, dims] and confidence [B, V, T] of a window (B = 1) or a batch."""
        x = data.x.unflatten(0, (-1, self.skeleton.num_joints))
        return x[..., : self.dims], x[..., self.dims]

    def _with(self, data: Data, coordinates: Tensor) -> Data:
        """Sets the coordinates, in a new ``x``, and returns ``data``."""
        data.x = join_channels(coordinates.flatten(0, 1), data.x[..., self.dims :])
        return data

    def __repr__(self) -> str:
        options = {"skeleton": self.skeleton.name, **self._options()}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in options.items())})"

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims}


def join_channels(*parts: Tensor) -> Tensor:
    """Concatenates channels [..., C], each contiguous: operations over frames run much faster."""
    return torch.cat([part.movedim(-1, 0) for part in parts]).movedim(0, -1)


def mean_position(coordinates: Tensor, weight: Tensor, over: tuple[int, ...]) -> Tensor:
    """Weighted mean of positions.

    Args:
        coordinates: :math:`[..., C]`.
        weight: :math:`[...]`; the mean is plain where all weights are 0.
        over: The dimensions, which get size 1.
    """
    weight = weight[..., None]
    weight = torch.where(weight.sum(over, keepdim=True) > 0, weight, 1.0)
    return (weight * coordinates).sum(over, keepdim=True) / weight.sum(over, keepdim=True)


def weighted(value: Tensor, weight: Tensor, over: tuple[int, ...]) -> Tensor:
    """:func:`mean_position` of scalars, with the dimensions ``over`` removed."""
    return mean_position(value[..., None], weight, over).squeeze((*over, -1))


def turned(coordinates: Tensor, confidence: Tensor, matrix: Tensor) -> Tensor:
    """Applies a matrix about each window's centre.

    Args:
        coordinates: :math:`[B, V, T, C]`.
        confidence: :math:`[B, V, T]`, weights of the centre.
        matrix: :math:`[B, C, C]`.
    """
    offset = coordinates - mean_position(coordinates, confidence, (1, 2))
    # The change is added, so that the identity changes nothing. A matrix product might run in
    # reduced precision, but pixels need all digits.
    change = matrix - torch.eye(matrix.size(-1), dtype=matrix.dtype, device=matrix.device)
    change = change[:, None, None]
    parts = [(change[..., row, :] * offset).unbind(-1) for row in range(matrix.size(-1))]
    return coordinates + torch.stack([torch.stack(part).sum(0) for part in parts]).movedim(0, -1)
