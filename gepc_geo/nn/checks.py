"""Arguments of the layers: kinds of numbers, never their values on the device."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from gepc_geo.errors import InputError


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless a value is a whole number, large enough."""
    # Traced code counts in symbols.
    if isinstance(value, bool) or not isinstance(value, (Integral, torch.SymInt)):
        raise InputError(f"{name} is {value!r}, expected a whole number")
    if value < least:
        raise InputError(f"{name} is {value}, expected at least {least}")


def check_tensor(name: str, value: object) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless a value is a tensor."""
    if not isinstance(value, Tensor):
        raise InputError(f"{name} is a {type(value).__name__}, expected a tensor")


def check_features(x: object, channels: int, dims: tuple[int, ...], shapes: str) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless ``x`` holds node features of a layer.

    Args:
        x: What the layer was given.
        channels: Its last dimension's size.
        dims: How many dimensions it may have.
        shapes: The same in words.
    """
    if not isinstance(x, Tensor):
        raise InputError(f"x is a {type(x).__name__}, expected a tensor {shapes}")
    if x.dim() not in dims or x.size(-1) != channels:
        raise InputError(f"x is {list(x.shape)}, expected {shapes} with C = {channels}")
    if not x.is_floating_point():
        raise InputError(f"x holds {x.dtype}, expected floating point numbers")


def indices(name: str, values: object) -> Tensor:
    """Whole numbers of any size as ``torch.long``: smaller ones overflow where nodes are numbered.

    Raises:
        InputError: No tensor, or one of other numbers.
    """
    check_tensor(name, values)
    assert isinstance(values, Tensor)
    if values.dtype == torch.bool or values.is_floating_point() or values.is_complex():
        raise InputError(f"{name} holds {values.dtype}, expected whole numbers (torch.long)")
    return values.long()
