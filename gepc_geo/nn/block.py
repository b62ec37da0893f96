"""Spatio-temporal blocks (figure 2 of the paper) and the temporal convolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.nn.dense import DenseSpatialAttentionConv
from gepc_geo.nn.norm import ChannelNorm


class TemporalConv(nn.Conv2d):
    r"""Convolution along time on :math:`(B, T, V, C)`, separately for each node."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        # A kernel of one frame strides by slicing: the backward pass of a strided 1x1 convolution
        # over channels-last memory writes out of bounds on two threads (PyTorch 2.13, oneDNN, an
        # odd number of images).
        self.skip = stride if kernel_size == 1 else 1
        super().__init__(
            in_channels,
            out_channels,
            (kernel_size, 1),
            stride=(stride // self.skip, 1),
            padding=(kernel_size // 2, 0),
        )

    def forward(self, x: Tensor, norm: ChannelNorm | None = None) -> Tensor:
        """Convolves, then normalises; in evaluation the norm is folded into the weights."""
        if self.skip > 1:
            x = x[:, :: self.skip].contiguous()
        weight, bias = self.weight, self.bias
        if norm is not None and not norm.training:
            weight, bias = norm.fold(weight.movedim(0, -1), bias)
            weight = weight.movedim(-1, 0)
        # The permuted view is channels-last memory: no copy on the way in or out.
        out = self._conv_forward(x.permute(0, 3, 1, 2), weight, bias)
        out = out.permute(0, 2, 3, 1).contiguous()
        return norm(out) if norm is not None and norm.training else out


class SpatioTemporalBlock(nn.Module):
    r"""Spatial convolution, then temporal convolution, with a residual around both.

    Args:
        spatial: Spatial convolution, called with node features and an adjacency.
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Frames of the temporal kernel.
        stride: Temporal stride.
        dropout: Dropout probability after the temporal convolution.
        act: Whether the block ends with a ReLU.

    Shapes:
        - **input:** :math:`(B, T, V, C_{in})`, adjacency :math:`(S, V, V)`
        - **output:** :math:`(B, T / stride, V, C_{out})`
    """

    def __init__(
        self,
        spatial: nn.Module,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        dropout: float,
        act: bool,
    ) -> None:
        super().__init__()
        self.act, self.dropout = act, dropout
        self.spatial = spatial
        self.spatial_norm = ChannelNorm(out_channels)
        self.temporal = TemporalConv(out_channels, out_channels, kernel_size, stride)
        self.temporal_norm = ChannelNorm(out_channels)
        self.shortcut: TemporalConv | None = None
        self.shortcut_norm: ChannelNorm | None = None
        if in_channels != out_channels or stride != 1:
            self.shortcut = TemporalConv(in_channels, out_channels, 1, stride)
            self.shortcut_norm = ChannelNorm(out_channels)

    def reset_parameters(self) -> None:
        """Initialises all learned weights again."""
        for module in self.children():
            module.reset_parameters()  # type: ignore[operator]

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Runs the block."""
        out = F.relu(self.spatial_norm(self.spatial(x, adj)))
        out = self.temporal(out, self.temporal_norm)
        out = F.dropout(out, self.dropout, self.training)
        if self.shortcut is None or self.shortcut_norm is None:
            out = out + x
        else:
            out = out + self.shortcut(x, self.shortcut_norm)
        return F.relu(out) if self.act else out


class STBlock(SpatioTemporalBlock):
    r"""Spatial attention convolution, then temporal convolution, with a residual (figure 2).

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        num_nodes: Nodes of a graph.
        branches: Adjacencies of the spatial convolution. (default:
            :obj:`("static", "global", "inferred")`)
        kernel_size: Frames of the temporal kernel. (default: :obj:`9`)
        stride: Temporal stride. (default: :obj:`1`)
        dropout: Dropout probability after the temporal convolution. (default: :obj:`0.0`)
        act: Whether the block ends with a ReLU. (default: :obj:`True`)
        attention: Attention form of ``inferred``: ``"dot"``, ``"scaled_dot"`` or ``"additive"``.
            (default: :obj:`"dot"`)

    Shapes:
        - **input:** :math:`(B, T, V, C_{in})`, adjacency :math:`(S, V, V)`
        - **output:** :math:`(B, T / stride, V, C_{out})`
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_nodes: int,
        branches: Sequence[str] = ("static", "global", "inferred"),
        kernel_size: int = 9,
        stride: int = 1,
        dropout: float = 0.0,
        act: bool = True,
        attention: str = "dot",
    ) -> None:
        spatial = DenseSpatialAttentionConv(
            in_channels, out_channels, num_nodes, branches=branches, attention=attention
        )
        super().__init__(spatial, in_channels, out_channels, kernel_size, stride, dropout, act)
