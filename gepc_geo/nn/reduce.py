"""Sums over the ranks that train one network together.

:func:`across_ranks` switches them on. Outside of it every function here is that of one rank,
whatever process group exists: a network in somebody else's group does not communicate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_active = False


@contextmanager
def across_ranks(active: bool) -> Iterator[None]:
    """Inside, norms in training and losses are those of the global batch.

    Args:
        active: Whether the default process group has several ranks that train together.
    """
    global _active
    before, _active = _active, active
    try:
        yield
    finally:
        _active = before


def world() -> int:
    """Number of ranks that train together."""
    return dist.get_world_size() if _active else 1


def rank() -> int:
    """Number of this rank among them, from 0."""
    return dist.get_rank() if _active else 0


class _Total(torch.autograd.Function):
    """A sum over ranks. Its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient)


def total(x: Tensor) -> Tensor:
    """Sum of all ranks' ``x``; differentiable."""
    return _Total.apply(x) if _active else x  # type: ignore[no-untyped-call]


def mean(x: Tensor) -> Tensor:
    """This rank's term of the mean over all ranks' ``x``; the terms sum to the mean."""
    return x.sum() / total(x.new_full((), x.numel())) if _active else x.mean()
