"""Gradients of several losses, none of which drowns another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gepc_geo.utils import distributed


def clipped_gradients(
    losses: Sequence[Tensor], parameters: Sequence[torch.nn.Parameter], clip_norm: float
) -> None:
    """Gives each parameter the sum of the losses' gradients, each clipped by itself.

    Clipped together, a loss with a large gradient would take the others' from parameters that it does
    not even reach. Losses share their graph, which is walked through once for each. Where several
    ranks train as one, the gradients clipped are those of the whole batch.

    Args:
        losses: This rank's part of each.
        parameters: What is learned; those that no loss reaches get no gradient.
        clip_norm: Largest norm of a loss's gradient, over all parameters that it reaches.
    """
    sums: list[Tensor | None] = [None] * len(parameters)
    for position, loss in enumerate(losses):
        for parameter in parameters:
            parameter.grad = None
        # In this thread: what compiled networks are set to (:mod:`gepc_geo.training.compiling`) is each thread's own.
        with torch.autograd.set_multithreading_enabled(False):
            loss.backward(retain_graph=position + 1 < len(losses))
        distributed.sum_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
        sums = _added(sums, [parameter.grad for parameter in parameters])
    for parameter, gradient in zip(parameters, sums, strict=True):
        parameter.grad = gradient


def _added(sums: list[Tensor | None], more: list[Tensor | None]) -> list[Tensor | None]:
    """Sums of tensors; of one that is not there the other."""
    both = [
        (one, other)
        for one, other in zip(sums, more, strict=True)
        if one is not None and other is not None
    ]
    # All in a few kernels, not in one for each.
    added = iter(torch._foreach_add(*zip(*both, strict=True)) if both else ())
    return [
        other if one is None else one if other is None else next(added)
        for one, other in zip(sums, more, strict=True)
    ]
