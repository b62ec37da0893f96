"""The network: an autoencoder and its cluster layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo.nn import STGCAE, SoftAssignment
from gepc_geo.options import Options
from gepc_geo.training.precision import autocast
from gepc_geo.windows.pipeline import InputPipeline


@dataclass
class Network:
    """The autoencoder and its cluster layer.

    Attributes:
        model: The autoencoder.
        assignment: The cluster layer.
        precision: ``fp32``, ``tf32`` or ``bf16``. (default: ``fp32``)
    """

    model: STGCAE
    assignment: SoftAssignment
    precision: str = "fp32"

    @classmethod
    def of(cls, options: Options, pipeline: InputPipeline, device: torch.device) -> Network:
        """Makes a network for a pipeline's input, with weights from PyTorch's random generator."""
        model = autoencoder(options, pipeline).to(device)
        assignment = SoftAssignment(options.clusters, model.latent_dim, form=options.assignment)
        return cls(model, assignment.to(device))

    def eval(self) -> Network:
        """Sets evaluation mode; returns the network."""
        self.model.eval()
        self.assignment.eval()
        return self


def window_residual(reconstruction: Tensor, x: Tensor) -> Tensor:
    r"""Input less reconstruction, 0 at unseen joints.

    Args:
        reconstruction: :math:`[B, S, V, C]`.
        x: The input :math:`[B, S, V, C + 1]`, whose last channel is the confidence.

    Returns:
        :math:`[B, S V C]` float32.
    """
    seen = x[..., -1:] > 0
    return torch.where(seen, x[..., :-1] - reconstruction.float(), 0.0).flatten(1)


def autoencoder(options: Options, pipeline: InputPipeline) -> STGCAE:
    """Makes the autoencoder of the options; it reconstructs all channels but the confidence."""
    return STGCAE(
        pipeline.num_channels,
        pipeline.skeleton.num_joints,
        pipeline.num_steps,
        adj=pipeline.skeleton.adjacency(),
        out_channels=pipeline.num_channels - 1,
        hidden=options.hidden,
        encoder_channels=options.encoder_channels,
        strides=options.strides,
        decoder_channels=options.decoder_channels,
        branches=options.branches,
        attention=options.attention,
        kernel_size=options.kernel_size,
        dropout=options.dropout,
    )


@torch.no_grad()
def latents(
    model: STGCAE, pipeline: InputPipeline, batches: Iterable[Batch], precision: str = "fp32"
) -> Tensor:
    r"""Latents of all windows of the batches, in order: :math:`[N, D]` float32."""
    parts = [torch.zeros(0, model.latent_dim, device=pipeline.mean.device)]
    for batch in batches:
        x = pipeline.tensor(batch)
        with autocast(x.device, precision):
            parts.append(model.encode(x).float())
    return torch.cat(parts)
