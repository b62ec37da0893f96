"""Batch normalisation with channels last, over the nodes that are there, on all ranks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo import distributed


class ChannelNorm(nn.BatchNorm2d):
    r"""Batch normalisation over the last dimension of :math:`(B, T, V, C)` (or :math:`(N, T, C)`).

    With a mask, nodes that are missing have no say in the statistics, which are sums weighted by
    it: no boolean indexing, so nothing is read back from the device. Fewer than two values of a
    channel have no variance: such a batch is normalised by the running statistics and leaves them
    alone.

    Where several ranks train as one (:mod:`gepc_geo.distributed`), the statistics are those of the
    global batch, gradients through them included.

    Args:
        num_features: Size of the last dimension.

    Shapes:
        - **input:** :math:`(B, T, V, C)` or :math:`(N, T, C)`, mask :math:`(B, V)` *(optional)*
        - **output:** as the input
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalises each channel."""
        if self.training and (mask is not None or distributed.world() > 1):
            return _normalize(self, x, mask)
        # Viewed channels-first without a copy: PyTorch's kernels for the channels-last memory
        # format then see contiguous channels.
        flat = (x if x.dim() == 4 else x.unsqueeze(0)).permute(0, 3, 1, 2)
        if self.training and x.numel() // self.num_features < 2:
            flat = F.batch_norm(
                flat, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        else:
            flat = super().forward(flat)
        return flat.permute(0, 2, 3, 1).view(x.shape)

    def fold(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        r"""Weight :math:`(*, C)` and bias of a linear map with this norm, in evaluation, after it."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = -self.running_mean if bias is None else bias - self.running_mean
        return weight * scale, shift * scale + self.bias


class RowNorm(nn.BatchNorm1d):
    r"""``nn.BatchNorm1d`` of rows :math:`(N, C)`, whose statistics are those of all ranks' rows."""

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Normalises each column."""
        if self.training and distributed.world() > 1:
            return _normalize(self, x)
        return super().forward(x)


def _normalize(norm: ChannelNorm | RowNorm, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Training's normalisation of the last dimension, out of sums."""
    # Sums of half precision numbers need more digits than these have.
    y = x.to(torch.promote_types(x.dtype, torch.float32))
    mean, var, count = _pooled(*(_statistics(y) if mask is None else _masked_statistics(y, mask)))
    enough = count > 1
    with torch.no_grad():
        unbiased = var * (count / (count - 1).clamp(min=1))
        momentum = norm.momentum * enough.to(norm.running_mean.dtype)
        norm.running_mean.lerp_(mean.to(momentum.dtype), momentum)
        norm.running_var.lerp_(unbiased.to(momentum.dtype), momentum)
        norm.num_batches_tracked.add_(enough)
    mean = torch.where(enough, mean, norm.running_mean)
    var = torch.where(enough, var, norm.running_var)
    scale = norm.weight * (var + norm.eps).rsqrt()
    return ((y - mean) * scale + norm.bias).to(x.dtype)


def _statistics(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance [C] of the last dimension, and how many values each is of []."""
    var, mean = torch.var_mean(y, tuple(range(y.dim() - 1)), correction=0)
    return mean, var, y.new_full((), y.numel() // y.size(-1))


def _masked_statistics(y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`_statistics`, of the nodes in the mask alone."""
    there = mask[:, None, :, None].to(y.dtype)  # [B, 1, V, 1]
    count = there.sum() * y.size(1)
    mean = (y * there).sum((0, 1, 2)) / count.clamp(min=1)
    var = ((y - mean).square() * there).sum((0, 1, 2)) / count.clamp(min=1)
    return mean, var, count


def _pooled(mean: Tensor, var: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The statistics of all ranks' values from those of each, in one message; differentiable."""
    if distributed.world() == 1:
        return mean, var, count
    # A row for each rank, of which it fills its own.
    rows = mean.new_zeros(distributed.world(), 2 * len(mean) + 1)
    rows[distributed.rank()] = torch.cat([mean, var, count.view(1)])
    means, variances, counts = distributed.total(rows).split([len(mean), len(mean), 1], dim=1)
    count = counts.sum()
    weight = counts / count.clamp(min=1)
    mean = (weight * means).sum(0)
    # Around their own means, and of these around the common one.
    var = (weight * (variances + (means - mean).square())).sum(0)
    return mean, var, count
