"""Checks of layer arguments; :func:`check_range` alone reads values from the device."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from gepc_geo.errors import InputError


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raises :class:`~gepc_geo.errors.InputError` unless a value is a whole number >= ``least``."""
    # Under tracing, sizes are symbolic integers.
    if isinstance(value, bool) or not isinstance(value, (Integral, torch.SymInt)):
        raise InputError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")


def check_tensor(name: str, value: object) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless a value is a tensor."""
    if not isinstance(value, Tensor):
        raise InputError(f"{name} must be a tensor, got {type(value).__name__}")


def check_features(x: object, channels: int, dims: tuple[int, ...], shapes: str) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless ``x`` holds node features.

    Args:
        x: Argument of the layer.
        channels: Size of the last dimension.
        dims: Allowed numbers of dimensions.
        shapes: Allowed shapes, as text for the message.
    """
    if not isinstance(x, Tensor):
        raise InputError(f"x must be a tensor {shapes}, got {type(x).__name__}")
    if x.dim() not in dims or x.size(-1) != channels:
        raise InputError(f"x must be {shapes} with C = {channels}, got {list(x.shape)}")
    if not x.is_floating_point():
        raise InputError(f"x must hold floating point numbers, got {x.dtype}")


def indices(name: str, values: object) -> Tensor:
    """Casts whole numbers to ``torch.long``: smaller types overflow in index arithmetic.

    Raises:
        InputError: ``values`` is not a tensor of whole numbers.
    """
    check_tensor(name, values)
    assert isinstance(values, Tensor)
    if values.dtype == torch.bool or values.is_floating_point() or values.is_complex():
        raise InputError(f"{name} must hold whole numbers (torch.long), got {values.dtype}")
    return values.long()


def check_length(name: str, values: Tensor, count: int, noun: str) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless there is one value for each noun."""
    if values.dim() != 1 or values.size(0) != count:
        raise InputError(
            f"{name} must be [{count}], the number of {noun}, got {list(values.shape)}"
        )


def check_range(name: str, values: Tensor, stop: int) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless values are from 0 to ``stop - 1``."""
    if values.numel():
        for value in map(int, values.aminmax()):
            if not 0 <= value < stop:
                raise InputError(f"{name} must be from 0 to {stop - 1}, got {value}")
