"""Networks and losses in plain PyTorch and PyG, independent of files and training."""

from gepc_geo.nn.attention import (
    AdditiveAttention,
    Attention,
    DotProductAttention,
    ScaledDotProductAttention,
)
from gepc_geo.nn.block import STBlock
from gepc_geo.nn.cluster import SoftAssignment, target_distribution
from gepc_geo.nn.conv import SpatialAttentionConv
from gepc_geo.nn.dense import DenseSpatialAttentionConv
from gepc_geo.nn.losses import clustering_loss, reconstruction_loss
from gepc_geo.nn.stgcae import STGCAE, count_flops
from gepc_geo.nn.stgcn import STGCNBlock

__all__ = [
    "STGCAE",
    "AdditiveAttention",
    "Attention",
    "DenseSpatialAttentionConv",
    "DotProductAttention",
    "STBlock",
    "STGCNBlock",
    "ScaledDotProductAttention",
    "SoftAssignment",
    "SpatialAttentionConv",
    "clustering_loss",
    "count_flops",
    "reconstruction_loss",
    "target_distribution",
]
