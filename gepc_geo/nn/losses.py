"""Losses of sections 3.3 and 3.5 of the paper.

In distributed training (:mod:`gepc_geo.nn.reduce`) each rank computes its part of the mean
over the global batch; the loss is the sum over ranks.
"""

from __future__ import annotations

from torch import Tensor

from gepc_geo.nn import reduce


def reconstruction_loss(reconstruction: Tensor, x: Tensor, seen: Tensor | None = None) -> Tensor:
    r"""Mean squared error :math:`L_{rec}` (section 3.5).

    Args:
        reconstruction: Output of the decoder, :math:`(B, T, V, C)`.
        x: Input of the encoder, :math:`(B, T, V, C)`.
        seen: True where a joint was detected, :math:`(B, T, V)`; interpolated joints do not count.
            (default: all joints count)

    Returns:
        A scalar.
    """
    square = (reconstruction - x).square().mean(-1)
    if seen is None:
        return reduce.mean(square)
    weight = seen.to(square.dtype)
    return (square * weight).sum() / reduce.total(weight.sum()).clamp(min=1)


def clustering_loss(log_p: Tensor, q: Tensor) -> Tensor:
    r"""Mean over samples of :math:`KL(q_i \Vert p_i)` (eq. 2).

    Args:
        log_p: Log soft assignments, :math:`(B, K)`.
        q: Targets, :math:`(B, K)`.

    Returns:
        A scalar.
    """
    return reduce.mean((q.xlogy(q) - q * log_p).sum(1))
