"""What the autoencoder makes of windows: latents, soft assignments, residuals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo.inputs import InputPipeline
from gepc_geo.nn import STGCAE, SoftAssignment
from gepc_geo.options import Options
from gepc_geo.precision import autocast
from gepc_geo.skeleton import Skeleton


class Encoded(NamedTuple):
    r"""What the network makes of :math:`N` windows.

    Attributes:
        latent: :math:`z`, :math:`[N, D]`.
        log_p: Log soft assignments, :math:`[N, K]`.
        residual: Input less reconstruction, :math:`[N, T V C]`; 0 at joints that were not seen.
        window: The input without the confidence, :math:`[N, T V C]`.
    """

    latent: Tensor
    log_p: Tensor
    residual: Tensor
    window: Tensor


def window_residual(reconstruction: Tensor, x: Tensor) -> Tensor:
    r"""What is left of a window's seen joints: input :math:`[B, T, V, C + 1]` -> :math:`[B, T V C]`."""
    seen = x[..., -1:] > 0
    return torch.where(seen, x[..., :-1] - reconstruction.float(), 0.0).flatten(1)


def autoencoder(options: Options, skeleton: Skeleton, channels: int) -> STGCAE:
    """The network that options ask for; of the input's channels all but the confidence come out."""
    return STGCAE(
        channels,
        skeleton.num_joints,
        options.length,
        adj=skeleton.adjacency(),
        out_channels=channels - 1,
        hidden=options.hidden,
        encoder_channels=options.encoder_channels,
        strides=options.strides,
        decoder_channels=options.decoder_channels,
        branches=options.branches,
        attention=options.attention,
        kernel_size=options.kernel_size,
        dropout=options.dropout,
    )


def encode_input(
    model: STGCAE, assignment: SoftAssignment, x: Tensor, precision: str = "fp32"
) -> Encoded:
    r"""Encodes and reconstructs one batch of the network's input :math:`[B, T, V, C]`."""
    with autocast(x.device, precision):
        reconstruction, latent = model(x)
    latent = latent.float()
    residual = window_residual(reconstruction, x)
    return Encoded(latent, assignment(latent), residual, x[..., :-1].flatten(1))


@torch.no_grad()
def latents(
    model: STGCAE, pipeline: InputPipeline, batches: Iterable[Batch], precision: str = "fp32"
) -> Tensor:
    r"""Latents :math:`[N, D]` of all windows of some batches, in order; nothing is decoded."""
    parts = [torch.zeros(0, model.latent_dim, device=pipeline.mean.device)]
    for batch in batches:
        x = pipeline.tensor(batch)
        with autocast(x.device, precision):
            parts.append(model.encode(x).float())
    return torch.cat(parts)
