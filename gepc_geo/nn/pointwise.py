"""Linear map shared by all nodes and frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONEDNN = torch.backends.mkldnn.is_available()


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""``F.linear`` on :math:`(*, C)`, two to three times as fast in float32 on the CPU.

    Float32 inputs :math:`(B, T, V, C)` on the CPU go to oneDNN as a 1x1 convolution over
    channels-last memory, without a copy. Its kernels are faster than the matrix product if there
    are many positions and few channels.
    """
    # A compiler chooses its own kernel. For fewer than 16 images PyTorch uses a slow one.
    if (
        torch.compiler.is_compiling()
        or not (ONEDNN and x.is_cpu and x.dtype == torch.float32 and x.dim() == 4)
        or x.size(0) < 16
        or x.numel() == 0
    ):
        return F.linear(x, weight, bias)
    return F.conv2d(x.permute(0, 3, 1, 2), weight[:, :, None, None], bias).permute(0, 2, 3, 1)


class Pointwise(nn.Linear):
    """:class:`torch.nn.Linear` through :func:`pointwise`."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps the last dimension."""
        return pointwise(x, self.weight, self.bias)
