"""Batch normalisation with channels last, with masks of nodes and across ranks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.nn import reduce


class ChannelNorm(nn.BatchNorm2d):
    r"""Batch normalisation over the last dimension of :math:`(B, T, V, C)` (or :math:`(N, T, C)`).

    With a mask, missing nodes do not count: the statistics are sums weighted by the mask. Boolean
    indexing would synchronise the GPU. A batch with fewer than two values of a channel has no
    variance; it is normalised by the running statistics and does not update them.

    In distributed training (:mod:`gepc_geo.nn.reduce`) the statistics, and the gradients
    through them, are those of the global batch.

    Args:
        num_features: Size of the last dimension.

    Shapes:
        - **input:** :math:`(B, T, V, C)` or :math:`(N, T, C)`, mask :math:`(B, V)` *(optional)*
        - **output:** as the input
    """

    momentum: float | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalises each channel."""
        if self.training and mask is not None:
            return self._forward_masked(x, mask)
        if self.training and reduce.world() > 1:
            return _forward_global(self, x)
        # A channels-first view without a copy: PyTorch's kernels for channels-last memory take it
        # as contiguous.
        flat = (x if x.dim() == 4 else x.unsqueeze(0)).permute(0, 3, 1, 2)
        if self.training and x.numel() // self.num_features < 2:
            flat = F.batch_norm(
                flat, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        else:
            flat = super().forward(flat)
        return flat.permute(0, 2, 3, 1).view(x.shape)

    def fold(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        r"""Folds this norm, in evaluation, into the weight :math:`(*, C)` and bias before it."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = -self.running_mean if bias is None else bias - self.running_mean
        return weight * scale, shift * scale + self.bias

    def _forward_masked(self, x: Tensor, mask: Tensor) -> Tensor:
        # Sums of half precision values need float32.
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        there = mask[:, None, :, None].to(y.dtype)  # [B, 1, V, 1]
        count = reduce.total(there.sum() * x.size(1))
        mean = reduce.total((y * there).sum((0, 1, 2))) / count.clamp(min=1)
        square = reduce.total(((y - mean).square() * there).sum((0, 1, 2)))
        var = square / count.clamp(min=1)
        enough = count > 1
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            momentum = _momentum(self) * enough.to(self.running_mean.dtype)
            self.running_mean.lerp_(mean.to(momentum.dtype), momentum)
            self.running_var.lerp_(unbiased.to(momentum.dtype), momentum)
            self.num_batches_tracked.add_(enough)
        mean = torch.where(enough, mean, self.running_mean)
        var = torch.where(enough, var, self.running_var)
        scale = self.weight * (var + self.eps).rsqrt()
        return ((y - mean) * scale + self.bias).to(x.dtype)


class RowNorm(nn.BatchNorm1d):
    r"""``nn.BatchNorm1d`` on :math:`(N, C)`; in training, with the statistics of all ranks."""

    momentum: float | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Normalises each column."""
        if self.training and reduce.world() > 1:
            return _forward_global(self, x)
        return super().forward(x)


def _momentum(norm: ChannelNorm | RowNorm) -> Tensor:
    """Weight of a batch; with a momentum of None (set by SWA), all batches weigh the same."""
    count = norm.num_batches_tracked
    share = (
        1 / (count + 1)
        if norm.momentum is None
        else torch.full_like(count, norm.momentum, dtype=torch.float64)
    )
    return share.to(norm.running_mean.dtype)


def _forward_global(norm: ChannelNorm | RowNorm, x: Tensor) -> Tensor:
    """Normalises the last dimension in training by the statistics of all ranks."""
    rows = x.reshape(-1, x.size(-1))
    out, mean, var, count = _GlobalNorm.apply(  # type: ignore[no-untyped-call]
        rows, norm.weight, norm.bias, norm.eps
    )
    with torch.no_grad():
        unbiased = var * (count / (count - 1))
        momentum = _momentum(norm)
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
        norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), momentum)
        norm.num_batches_tracked.add_(1)
    return out.view(x.shape)


class _GlobalNorm(torch.autograd.Function):
    """Normalises rows [N, C] over all ranks, with one reduction forward and one backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Sums of half precision values need float32.
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, var, count = _pooled(y)
        scale = (var + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, scale, count)
        ctx.mark_non_differentiable(mean, var, count)
        factor = scale * weight
        return torch.addcmul(bias - mean * factor, y, factor).to(x.dtype), mean, var, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, scale, count = ctx.saved_tensors
        gradient = gradient.to(mean.dtype)
        normal = (x - mean).mul_(scale)
        # Sums over the rows of this rank: parameter gradients are summed over ranks later, at once.
        of_bias, of_weight = gradient.sum(0), (gradient * normal).sum(0)
        shift, slope = reduce.total(torch.stack([of_bias, of_weight])) / count
        of_x = torch.addcmul(gradient - shift, normal, -slope).mul_(scale * weight)
        return of_x.to(x.dtype), of_weight, of_bias, None


def _pooled(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [C], variance [C] and number [] of the rows of all ranks."""
    mean = y.mean(0)
    square = (y - mean).square_().sum(0)
    # One row for each rank; this rank fills its own.
    lines = y.new_zeros(reduce.world(), 2 * len(mean) + 1)
    lines[reduce.rank()] = torch.cat([mean, square, y.new_full((1,), len(y))])
    means, squares, counts = reduce.total(lines).split([len(mean), len(mean), 1], dim=1)
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    # Squares around the mean of each rank, plus squares of these means around the common mean.
    square = squares.sum(0) + (counts * (means - mean).square()).sum(0)
    return mean, square / count, count
