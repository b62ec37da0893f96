"""Coordinates for proportions."""

from __future__ import annotations

import torch
from torch import Tensor

#: Log-proportions below this are taken as this: exp(-30) is nothing, and its log still finite.
FLOOR = -30.0


def ilr(log_p: Tensor) -> Tensor:
    r"""Isometric log-ratio coordinates of proportions (Egozcue et al. 2003).

    Proportions sum to one, so a full covariance on them is singular; their :math:`K - 1` log-ratio
    coordinates have no such constraint. No Jacobian is added: densities are densities of the
    coordinates.

    Args:
        log_p: Log proportions :math:`(N, K)`, clamped at -30.

    Returns:
        :math:`(N, K - 1)`, distances equal to those of the centred log-ratios.
    """
    size = log_p.size(1)
    log_p = log_p.clamp(min=FLOOR)
    # Coordinate i compares the geometric mean of the first i parts with part i + 1.
    i = torch.arange(1, size, dtype=log_p.dtype, device=log_p.device)
    means = log_p.cumsum(1)[:, :-1] / i
    return (i / (i + 1)).sqrt() * (means - log_p[:, 1:])
