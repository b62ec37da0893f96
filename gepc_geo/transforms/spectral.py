r"""The lowest frequencies of pose windows: a fixed cosine transform over time.

High frequencies of tracked poses and boxes are mostly the detector's noise; a few low ones hold the movement.
Each transform works alike on one window (``x`` :math:`[V, T, C]`) and on a batch (:math:`[B V, T, C]`), on the
tensor's device, and is differentiable.
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
    r"""Replaces the frames of each channel by their lowest DCT-II coefficients.

    The coefficients are the orthonormal ones divided by :math:`\sqrt T`:

    .. math::

        X_k = \frac{a_k}{T} \sum_{t=0}^{T-1} x_t \cos \frac{\pi k (t + 1/2)}{T},
        \qquad a_0 = 1, \quad a_k = \sqrt 2 \text{ for } k > 0

    So :math:`X_0` is the mean, the sum of all :math:`X_k^2` is the mean of :math:`x_t^2`, and the same
    movement has about the same numbers in windows of any length.

    Args:
        num_coefficients: How many coefficients are kept, :math:`K`.
        constant: Keep :math:`X_0`; without it the next :math:`K` are kept, which do not depend on where
            the window is. (default: :obj:`True`)

    Shapes:
        - **input:** ``x`` :math:`(V, T, C)`
        - **output:** ``x`` :math:`(V, K, C)`

    Raises:
        InputError: ``num_coefficients`` is below 1, or the window is too short to have as many.
    """

    def __init__(self, num_coefficients: int, constant: bool = True) -> None:
        if num_coefficients < 1:
            raise InputError(f"num_coefficients is {num_coefficients}, expected at least 1")
        self.num_coefficients, self.constant = num_coefficients, constant

    def forward(self, data: Data) -> Data:
        data.x = spectrum(data.x, self.num_coefficients, self.constant)
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_coefficients}, constant={self.constant})"


@functional_transform("pose_from_spectrum")
class FromSpectrum(BaseTransform):
    r"""Gives the window that has the coefficients of :class:`ToSpectrum`, and 0 for all others.

    Args:
        length: Frames of the window, :math:`T`; may differ from those of the original.
        constant: Whether the first coefficient is :math:`X_0`; else that is 0, too.
            (default: :obj:`True`)

    Shapes:
        - **input:** ``x`` :math:`(V, K, C)`
        - **output:** ``x`` :math:`(V, T, C)`

    Raises:
        InputError: ``length`` is below 1, or there are more coefficients than a window of it has.
    """

    def __init__(self, length: int, constant: bool = True) -> None:
        if length < 1:
            raise InputError(f"window length is {length}, expected at least 1 frame")
        self.length, self.constant = length, constant

    def forward(self, data: Data) -> Data:
        data.x = from_spectrum(data.x, self.length, self.constant)
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.length}, constant={self.constant})"


def spectrum(x: Tensor, num_coefficients: int, constant: bool = True) -> Tensor:
    r"""The coefficients of :class:`ToSpectrum` of series :math:`[*, T, C]`: :math:`[*, K, C]`."""
    frames = x.size(-2)
    basis = dct_matrix(frames, num_coefficients, constant, x.dtype, x.device) / math.sqrt(frames)
    if x.dim() != 3:
        return basis @ x
    # One product for each series: in a single large one rounding depends on what lies beside it.
    return torch.bmm(basis.expand(x.size(0), -1, -1), x)


def from_spectrum(x: Tensor, length: int, constant: bool = True) -> Tensor:
    r"""The series :math:`[*, T, C]` of :class:`FromSpectrum` with coefficients :math:`[*, K, C]`."""
    basis = dct_matrix(length, x.size(-2), constant, x.dtype, x.device)
    return basis.T @ x * math.sqrt(length)


@functools.lru_cache(maxsize=64)
def dct_matrix(
    length: int, num_coefficients: int, constant: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    r"""The first rows of the orthonormal DCT-II.

    The same call gives the same tensor, which is not to be changed.

    Args:
        length: Frames, :math:`T`.
        num_coefficients: Rows, :math:`K`.
        constant: Begin with the row of the mean, else with the next.
        dtype: Of the result.
        device: Of the result.

    Returns:
        :math:`[K, T]`.

    Raises:
        InputError: ``num_coefficients`` is more than the length has.
    """
    most = length if constant else length - 1
    if num_coefficients > most:
        raise InputError(
            f"num_coefficients is {num_coefficients}, expected at most {most} of {length} frames"
            + ("" if constant else " without the constant")
        )
    # A tensor made in inference mode could not be kept for a later backward pass.
    with torch.inference_mode(False):
        time = torch.arange(length, dtype=torch.float64) + 0.5
        order = torch.arange(num_coefficients, dtype=torch.float64) + (length - most)
        scale = ((1 + (order > 0).to(order.dtype)) / length).sqrt()
        basis = scale[:, None] * torch.cos(math.pi / length * order[:, None] * time)
        return basis.to(device, dtype)
