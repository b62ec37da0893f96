r"""The lowest frequencies of pose windows: a fixed cosine transform over time.

High frequencies of tracked poses and boxes are mostly noise of the detector; a few low ones hold
the movement. Each transform takes one window (``x`` :math:`[V, T, C]`) or a batch
(:math:`[B V, T, C]`), works on the tensor's device, and is differentiable.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from gepc_geo.errors import InputError


@functional_transform("pose_to_spectrum")
class ToSpectrum(BaseTransform):
    r"""Replaces the frames of each channel with their lowest DCT-II coefficients.

    The coefficients are the orthonormal ones divided by :math:`\sqrt T`:

    .. math::

        X_k = \frac{a_k}{T} \sum_{t=0}^{T-1} x_t \cos \frac{\pi k (t + 1/2)}{T},
        \qquad a_0 = 1, \quad a_k = \sqrt 2 \text{ for } k > 0

    :math:`X_0` is the mean, and the sum of all :math:`X_k^2` is the mean of :math:`x_t^2`.
    Coefficients of one movement therefore depend little on the window's length.

    Args:
        num_coefficients: Number of coefficients, :math:`K`.
        constant: Whether :math:`X_0` is included; otherwise the coefficients start at :math:`X_1`
            and do not depend on the window's position. (default: :obj:`True`)

    Shapes:
        - **input:** ``x`` :math:`(V, T, C)`
        - **output:** ``x`` :math:`(V, K, C)`

    Raises:
        InputError: ``num_coefficients`` below 1, or more than the window has.
    """

    def __init__(self, num_coefficients: int, constant: bool = True) -> None:
        if num_coefficients < 1:
            raise InputError(f"num_coefficients must be at least 1, got {num_coefficients}")
        self.num_coefficients, self.constant = num_coefficients, constant

    def forward(self, data: Data) -> Data:
        """Replaces ``x`` with its coefficients."""
        data.x = spectrum(data.x, self.num_coefficients, self.constant)
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_coefficients}, constant={self.constant})"


@functional_transform("pose_from_spectrum")
class FromSpectrum(BaseTransform):
    r"""Inverts :class:`ToSpectrum`; missing coefficients are 0.

    Args:
        length: Frames of the window, :math:`T`; may differ from those of the original.
        constant: Whether the first coefficient is :math:`X_0`; otherwise :math:`X_0` is 0.
            (default: :obj:`True`)

    Shapes:
        - **input:** ``x`` :math:`(V, K, C)`
        - **output:** ``x`` :math:`(V, T, C)`

    Raises:
        InputError: ``length`` below 1, or more coefficients than a window of this length has.
    """

    def __init__(self, length: int, constant: bool = True) -> None:
        if length < 1:
            raise InputError(f"window length must be at least 1 frame, got {length}")
        self.length, self.constant = length, constant

    def forward(self, data: Data) -> Data:
        """Replaces ``x`` with the frames of its coefficients."""
        data.x = from_spectrum(data.x, self.length, self.constant)
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.length}, constant={self.constant})"


def spectrum(x: Tensor, num_coefficients: int, constant: bool = True) -> Tensor:
    r""":class:`ToSpectrum` of series.

    Args:
        x: :math:`[*, T, C]`.
        num_coefficients: :math:`K`.
        constant: As in :class:`ToSpectrum`.

    Returns:
        :math:`[*, K, C]`.
    """
    frames = x.size(-2)
    basis = dct_matrix(frames, num_coefficients, constant, x.dtype, x.device) / math.sqrt(frames)
    if x.dim() != 3:
        return basis @ x
    # A single large product would make rounding depend on the batch.
    return torch.bmm(basis.expand(x.size(0), -1, -1), x)


def from_spectrum(x: Tensor, length: int, constant: bool = True) -> Tensor:
    r""":class:`FromSpectrum` of coefficients.

    Args:
        x: :math:`[*, K, C]`.
        length: :math:`T`.
        constant: As in :class:`FromSpectrum`.

    Returns:
        :math:`[*, T, C]`.
    """
    basis = dct_matrix(length, x.size(-2), constant, x.dtype, x.device)
    return basis.T @ x * math.sqrt(length)


@functools.lru_cache(maxsize=64)
def dct_matrix(
    length: int, num_coefficients: int, constant: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    r"""The first rows of the orthonormal DCT-II.

    The result is cached and must not be modified.

    Args:
        length: Frames, :math:`T`.
        num_coefficients: Rows, :math:`K`.
        constant: Whether the first row is that of the mean.
        dtype: Type of the result.
        device: Device of the result.

    Returns:
        :math:`[K, T]`.

    Raises:
        InputError: More coefficients than the length has.
    """
    limit = length if constant else length - 1
    if num_coefficients > limit:
        raise InputError(
            f"num_coefficients must be at most {limit} with {length} frames"
            + ("" if constant else " without the constant")
            + f", got {num_coefficients}"
        )
    # A tensor made in inference mode could not be reused in a backward pass.
    with torch.inference_mode(False):
        time = torch.arange(length, dtype=torch.float64) + 0.5
        order = torch.arange(num_coefficients, dtype=torch.float64) + (length - limit)
        scale = ((1 + (order > 0).to(order.dtype)) / length).sqrt()
        basis = scale[:, None] * torch.cos(math.pi / length * order[:, None] * time)
        return basis.to(device, dtype)
