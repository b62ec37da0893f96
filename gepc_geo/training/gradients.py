"""Gradients of several losses, each clipped separately."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gepc_geo.utils import distributed

#: Largest norm of the gradient of one loss, over all its parameters.
CLIP_NORM = 1.0


def clipped_gradients(losses: Sequence[Tensor], parameters: Sequence[torch.nn.Parameter]) -> None:
    """Sets the gradient of each parameter: the sum of the clipped gradients of all losses.

    If the sum were clipped, a loss with a large gradient would shrink the gradients of parameters
    that it does not depend on. There is a backward pass for each loss. With several ranks, the
    gradients of the whole batch are clipped.

    Args:
        losses: This rank's part of each loss; they share one graph.
        parameters: The parameters; those that no loss depends on get no gradient.
    """
    sums: list[Tensor | None] = [None] * len(parameters)
    for position, loss in enumerate(losses):
        for parameter in parameters:
            parameter.grad = None
        # In this thread: the setting of gepc_geo.training.compiling belongs to a thread.
        with torch.autograd.set_multithreading_enabled(False):
            torch.autograd.backward(loss, retain_graph=position + 1 < len(losses))
        distributed.sum_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        sums = _added(sums, [parameter.grad for parameter in parameters])
    for parameter, gradient in zip(parameters, sums, strict=True):
        parameter.grad = gradient


def _added(sums: list[Tensor | None], more: list[Tensor | None]) -> list[Tensor | None]:
    """Elementwise sums of two lists; ``None`` counts as 0."""
    pairs = [
        (left, right)
        for left, right in zip(sums, more, strict=True)
        if left is not None and right is not None
    ]
    # One call for all tensors: a kernel for each would be slow on a GPU.
    added = iter(torch._foreach_add(*zip(*pairs, strict=True)) if pairs else ())
    return [
        right if left is None else left if right is None else next(added)
        for left, right in zip(sums, more, strict=True)
    ]
