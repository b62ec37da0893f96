"""Spatio-temporal graph convolutional autoencoder (sections 3.1 and 3.3 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gepc_geo.errors import InputError
from gepc_geo.nn.block import SpatioTemporalBlock, STBlock
from gepc_geo.nn.checks import check_count
from gepc_geo.nn.dense import DenseSpatialAttentionConv
from gepc_geo.nn.norm import RowNorm
from gepc_geo.nn.stgcn import STGCNBlock

ENCODER = (4, 4, 4, 6, 6, 6, 8, 8, 4)
STRIDES = (1, 1, 2, 1, 1, 3, 1, 1, 1)
DECODER = (4, 8, 8, 6, 6, 6)


class STGCAE(nn.Module):
    r"""Autoencoder of windows: an encoder with temporal strides and an up-sampling decoder.

    Blocks are :class:`STBlock`. With the ``static`` branch alone they are :class:`STGCNBlock`: for
    Kinetics the paper uses ST-GCN, with static adjacencies and without pooling (all ``strides``
    1; section 4.2.3). The output layer is one graph convolution without norm, activation and
    residual.

    Args:
        in_channels: Channels of a joint, :math:`C`.
        num_nodes: Number of joints, :math:`V`.
        window: Frames of a window, :math:`T`; a multiple of the product of ``strides``.
        adj: Adjacency of the skeleton, :math:`(S, V, V)`, a buffer of the model.
        out_channels: Channels to reconstruct. (default: ``in_channels``)
        hidden: Unit of all channel counts. (default: :obj:`8`)
        encoder_channels: Channels of each encoder block, in units of ``hidden``.
            (default: :obj:`(4, 4, 4, 6, 6, 6, 8, 8, 4)`)
        strides: Temporal stride of each encoder block.
            (default: :obj:`(1, 1, 2, 1, 1, 3, 1, 1, 1)`)
        decoder_channels: Channels of each decoder block, in units of ``hidden``. Up-sampling
            reverses the strides, spread over the blocks. (default: :obj:`(4, 8, 8, 6, 6, 6)`)
        branches: Adjacencies of the graph convolutions. (default: all three)
        attention: Attention form of ``inferred``: ``"dot"``, ``"scaled_dot"`` or ``"additive"``.
            (default: :obj:`"dot"`)
        kernel_size: Frames of the temporal kernels; odd. (default: :obj:`9`)
        dropout: Dropout probability of all blocks except the last of the encoder.
            (default: :obj:`0.3`)

    Shapes:
        - **input:** :math:`(B, T, V, C)`
        - **output:** reconstruction :math:`(B, T, V, C_{out})`, latent :math:`(B, D)`

    Raises:
        InputError: ``window`` is not a multiple of the product of ``strides``, another option is
            invalid, or an input does not have the model's frames, nodes and channels.
    """

    adj: Tensor

    def __init__(
        self,
        in_channels: int,
        num_nodes: int,
        window: int,
        *,
        adj: Tensor,
        out_channels: int | None = None,
        hidden: int = 8,
        encoder_channels: Sequence[int] = ENCODER,
        strides: Sequence[int] = STRIDES,
        decoder_channels: Sequence[int] = DECODER,
        branches: Sequence[str] = ("static", "global", "inferred"),
        attention: str = "dot",
        kernel_size: int = 9,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        for name, values in (
            ("in_channels", [in_channels]),
            ("num_nodes", [num_nodes]),
            ("window", [window]),
            ("out_channels", [] if out_channels is None else [out_channels]),
            ("hidden", [hidden]),
            ("encoder_channels", encoder_channels),
            ("strides", strides),
            ("decoder_channels", decoder_channels),
            ("kernel_size", [kernel_size]),
        ):
            for value in values:
                check_count(name, value)
        if len(strides) != len(encoder_channels):
            raise InputError(
                f"strides must have {len(encoder_channels)} numbers, one for each of "
                f"encoder_channels, got {len(strides)}"
            )
        if not decoder_channels:
            raise InputError("decoder_channels must have at least one block, got none")
        if kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be an odd number, got {kernel_size}")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout must be at least 0 and less than 1, got {dropout}")
        if window % math.prod(strides):
            raise InputError(
                f"window must be a multiple of {math.prod(strides)}, the product of the strides, "
                f"got {window}"
            )
        self.in_channels, self.num_nodes, self.window = in_channels, num_nodes, window
        self.out_channels = in_channels if out_channels is None else out_channels
        self.register_buffer("adj", adj.clone())
        self.input_norm = RowNorm(num_nodes * in_channels)
        block: Callable[..., SpatioTemporalBlock]
        if set(branches) == {"static"}:
            block = partial(STGCNBlock, kernel_size=kernel_size)
        else:
            block = partial(
                STBlock,
                num_nodes=num_nodes,
                branches=branches,
                kernel_size=kernel_size,
                attention=attention,
            )
        sizes = [in_channels, *(hidden * size for size in encoder_channels)]
        last = len(encoder_channels) - 1
        self.encoder = nn.ModuleList(
            block(
                sizes[i],
                sizes[i + 1],
                stride=stride,
                # The latent is the input of the clusters: no ReLU and no dropout.
                dropout=dropout if i < last else 0.0,
                act=i < last,
            )
            for i, stride in enumerate(strides)
        )
        self.latent_shape = (window // math.prod(strides), num_nodes, sizes[-1])
        self.latent_dim = math.prod(self.latent_shape)
        sizes = [sizes[-1], *(hidden * size for size in decoder_channels)]
        self.decoder = nn.ModuleList(
            block(sizes[i], sizes[i + 1], dropout=dropout) for i in range(len(decoder_channels))
        )
        self._make_stretches(strides, len(decoder_channels))
        self.output = DenseSpatialAttentionConv(
            sizes[-1],
            self.out_channels,
            num_nodes,
            branches=branches,
            attention=attention,
            norm=False,
            residual=False,
        )

    def _make_stretches(self, strides: Sequence[int], blocks: int) -> None:
        """Registers matrices of linear up-sampling before decoder block i, ``stretch_i`` [T', T].

        A product is deterministic on every device; the backward pass of ``interpolate`` is not.
        """
        frames = self.latent_shape[0]
        for i, factor in enumerate(_spread([s for s in reversed(strides) if s > 1], blocks)):
            if factor > 1:
                identity = torch.eye(frames).unsqueeze(0)
                rows = F.interpolate(identity, scale_factor=factor, mode="linear").squeeze(0)
                self.register_buffer(f"stretch_{i}", rows.t().contiguous(), persistent=False)
                frames *= factor

    def reset_parameters(self) -> None:
        """Initialises all learned weights again."""
        for module in (self.input_norm, *self.encoder, *self.decoder, self.output):
            module.reset_parameters()

    def encode(self, x: Tensor) -> Tensor:
        r"""Encodes windows :math:`(B, T, V, C)` to latents :math:`(B, D)`."""
        expected = (self.window, self.num_nodes, self.in_channels)
        if x.shape[1:] != expected:
            # Without this check, other lengths would decode into a mix of windows.
            raise InputError(f"windows must be {expected} (T, V, C), got {tuple(x.shape[1:])}")
        batch, frames = x.shape[:2]
        flat = x.reshape(batch * frames, -1)
        x = self.input_norm(flat).view(x.shape)
        for block in self.encoder:
            x = block(x, self.adj)
        return x.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        r"""Decodes latents :math:`(B, D)` to reconstructions :math:`(B, T, V, C_{out})`."""
        x = z.view(-1, *self.latent_shape)
        for i, block in enumerate(self.decoder):
            stretch = getattr(self, f"stretch_{i}", None)
            if stretch is not None:
                x = (stretch.to(x.dtype) @ x.flatten(2)).unflatten(2, x.shape[2:])
            x = block(x, self.adj)
        out: Tensor = self.output(x, self.adj)
        return out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns reconstruction and latent."""
        z = self.encode(x)
        return self.decode(z), z


def _spread(factors: Sequence[int], blocks: int) -> list[int]:
    """Up-sampling factor of each block: every other block has one, the last all that remain."""
    ups = [1] * blocks
    for i, factor in enumerate(factors):
        ups[min(2 * i + 1, blocks - 1)] *= factor
    return ups


def count_flops(model: STGCAE) -> dict[str, float]:
    """Counts FLOPs of one window.

    Args:
        model: Autoencoder.

    Returns:
        ``encode``, the forward pass of the encoder, and ``train``, the forward and backward pass
        of encoder and decoder.
    """
    weight = next(model.parameters())
    x = torch.zeros(1, model.window, model.num_nodes, model.in_channels).to(weight)
    training = model.training
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encode(x)
    encode = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        reconstruction, _ = model(x)
        gradients = torch.autograd.grad(reconstruction.sum(), list(model.parameters()))
    del gradients
    model.train(training)
    return {"encode": float(encode), "train": float(counter.get_total_flops())}
