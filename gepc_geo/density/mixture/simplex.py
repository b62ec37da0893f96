"""Log-ratio coordinates of proportions."""

from __future__ import annotations

import torch
from torch import Tensor

#: Log proportions are clamped to this; exp(-30) is negligible and its logarithm is finite.
FLOOR = -30.0


def ilr(log_p: Tensor) -> Tensor:
    r"""Isometric log-ratio coordinates of proportions (Egozcue et al. 2003).

    Proportions sum to one, so their full covariance is singular. Their :math:`K - 1` log-ratio
    coordinates are not constrained. Densities are densities of the coordinates, without a Jacobian.

    Args:
        log_p: Log proportions :math:`(N, K)`, clamped at -30.

    Returns:
        Coordinates :math:`(N, K - 1)`. Their distances equal those of centred log-ratios.
    """
    size = log_p.size(1)
    log_p = log_p.clamp(min=FLOOR)
    # Coordinate i compares the geometric mean of the first i proportions with proportion i + 1.
    i = torch.arange(1, size, dtype=log_p.dtype, device=log_p.device)
    means = log_p.cumsum(1)[:, :-1] / i
    return (i / (i + 1)).sqrt() * (means - log_p[:, 1:])
