"""The maximum of each group and its position."""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import torch_scatter
except (ImportError, OSError):
    # Not installed, or built for another PyTorch: the sort below gives the same result.
    torch_scatter = None


def scatter_max_arg(src: Tensor, index: Tensor, dim_size: int) -> tuple[Tensor, Tensor]:
    r"""The largest value of each group and its first position in ``src``.

    Uses ``torch_scatter.scatter_max`` on the CPU if it is installed, else a stable sort: on a GPU
    torch-scatter may be built without CUDA, and returns the position of any of the equal values.

    Args:
        src: Values :math:`(N)`; no NaN.
        index: Group of each value, :math:`(N)`, 0 to ``dim_size - 1``.
        dim_size: Number of groups.

    Returns:
        Maxima :math:`(G)` and positions :math:`(G)`; minus infinity and -1 for empty groups.
    """
    if torch_scatter is not None and src.is_cpu:
        value, position = torch_scatter.scatter_max(src, index, dim=0, dim_size=dim_size)
        position = torch.where(position == len(src), -1, position)
    else:
        # Sorted by group, then by descending value: the first entry of a group is its maximum.
        order = src.argsort(descending=True, stable=True)
        order = order[index[order].argsort(stable=True)]
        group = index[order]
        first = torch.ones_like(group, dtype=torch.bool)
        first[1:] = group[1:] != group[:-1]
        position = torch.full((dim_size,), -1, dtype=torch.long, device=src.device)
        position[group[first]] = order[first]
        value = src.new_zeros(dim_size)
        if len(src):
            value = src[position.clamp(min=0)]
    return torch.where(position < 0, -torch.inf, value), position
