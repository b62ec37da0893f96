"""Batch normalisation with channels last, over the nodes that are there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.BatchNorm2d):
    r"""Batch normalisation over the last dimension of :math:`(B, T, V, C)` (or :math:`(N, T, C)`).

    With a mask, nodes that are missing have no say in the statistics, which are sums weighted by
    it: no boolean indexing, so nothing is read back from the device. Fewer than two values of a
    channel have no variance: such a batch is normalised by the running statistics and leaves them
    alone.

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

    def _forward_masked(self, x: Tensor, mask: Tensor) -> Tensor:
        # Sums of half precision numbers need more digits than these have.
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        there = mask[:, None, :, None].to(y.dtype)  # [B, 1, V, 1]
        count = there.sum() * x.size(1)
        mean = (y * there).sum((0, 1, 2)) / count.clamp(min=1)
        var = ((y - mean).square() * there).sum((0, 1, 2)) / count.clamp(min=1)
        enough = count > 1
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            # None, as torch.optim.swa_utils sets it: the mean over all batches.
            share = 1 / (self.num_batches_tracked + 1) if self.momentum is None else self.momentum
            momentum = share * enough.to(self.running_mean.dtype)
            self.running_mean.lerp_(mean.to(momentum.dtype), momentum)
            self.running_var.lerp_(unbiased.to(momentum.dtype), momentum)
            self.num_batches_tracked.add_(enough)
        mean = torch.where(enough, mean, self.running_mean)
        var = torch.where(enough, var, self.running_var)
        scale = self.weight * (var + self.eps).rsqrt()
        return ((y - mean) * scale + self.bias).to(x.dtype)
