"""The losses of section 3.3 and 3.5 of the paper.

Of several ranks that train together (:mod:`gepc_geo.nn.reduce`) each gets its term of the mean over the
global batch: the loss is the sum of these terms.
"""

from __future__ import annotations

from torch import Tensor

from gepc_geo.nn import reduce


def reconstruction_loss(reconstruction: Tensor, x: Tensor, seen: Tensor | None = None) -> Tensor:
    r"""Mean squared error :math:`L_{rec}` (section 3.5).

    Args:
        reconstruction: :math:`(B, T, V, C)`.
        x: What was to be reconstructed, :math:`(B, T, V, C)`.
        seen: :math:`(B, T, V)`, true where a joint was seen: interpolated positions are no truth.
            Default: all.
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
    """
    return reduce.mean((q.xlogy(q) - q * log_p).sum(1))
