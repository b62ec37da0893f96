"""Block of ST-GCN (Yan et al., AAAI 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from gepc_geo.errors import InputError
from gepc_geo.nn.block import SpatioTemporalBlock
from gepc_geo.nn.checks import check_count, check_features, check_tensor
from gepc_geo.nn.pointwise import Pointwise
from gepc_geo.nn.spatial import sum_relations


class SpatialConv(nn.Module):
    r"""Spatial graph convolution of ST-GCN.

    .. math::
        \mathbf{Y} = \sum_s \mathbf{A}_s^{\top} (\mathbf{X} \mathbf{W}_s + \mathbf{b}_s)

    One 1x1 convolution computes the terms of all partition subsets. The source is `"Spatial
    Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition"
    <https://arxiv.org/abs/1801.07455>`_.

    Args:
        in_channels: Size of each input node feature.
        out_channels: Size of each output node feature.
        num_relations: Number of partition subsets, :math:`S`. (default: :obj:`3`)

    Shapes:
        - **input:** :math:`(B, T, V, C_{in})`, adjacency :math:`(S, V, V)`, indexed (subset,
          source, target)
        - **output:** :math:`(B, T, V, C_{out})`

    Raises:
        InputError: A size is not a whole number of at least 1, or an input does not fit the sizes.
    """

    def __init__(self, in_channels: int, out_channels: int, num_relations: int = 3) -> None:
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("num_relations", num_relations),
        ):
            check_count(name, value)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.num_relations = num_relations
        self.mix = Pointwise(in_channels, num_relations * out_channels)

    def reset_parameters(self) -> None:
        """Initialises all learned weights again."""
        self.mix.reset_parameters()

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Runs the layer."""
        check_features(x, self.in_channels, (4,), "[B, T, V, C]")
        check_tensor("adj", adj)
        shape = [self.num_relations, x.size(2), x.size(2)]
        if list(adj.shape) != shape:
            raise InputError(f"adj must be {shape} (S, V, V), got {list(adj.shape)}")
        return sum_relations(self.mix(x), adj)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, "
            f"num_relations={self.num_relations})"
        )


class STGCNBlock(SpatioTemporalBlock):
    r"""Block of ST-GCN: spatial graph convolution, then temporal convolution, with a residual.

    The order is :class:`SpatialConv`, batch normalisation, ReLU, temporal convolution, batch
    normalisation, dropout, residual, ReLU. If shapes differ, the residual is a 1x1 convolution with
    stride and batch normalisation. The source is `"Spatial Temporal Graph Convolutional Networks
    for Skeleton-Based Action Recognition" <https://arxiv.org/abs/1801.07455>`_ (Yan et al., AAAI
    2018).

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        num_relations: Number of partition subsets, :math:`S`. (default: :obj:`3`)
        kernel_size: Frames of the temporal kernel. (default: :obj:`9`)
        stride: Temporal stride. (default: :obj:`1`)
        dropout: Dropout probability after the temporal convolution. (default: :obj:`0.0`)
        act: Whether the block ends with a ReLU. (default: :obj:`True`)

    Shapes:
        - **input:** :math:`(B, T, V, C_{in})`, adjacency :math:`(S, V, V)`
        - **output:** :math:`(B, T / stride, V, C_{out})`

    Raises:
        InputError: A size is not a whole number of at least 1, or an input does not fit the sizes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_relations: int = 3,
        kernel_size: int = 9,
        stride: int = 1,
        dropout: float = 0.0,
        act: bool = True,
    ) -> None:
        spatial = SpatialConv(in_channels, out_channels, num_relations)
        super().__init__(spatial, in_channels, out_channels, kernel_size, stride, dropout, act)
