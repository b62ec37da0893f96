"""The network that is trained: an autoencoder and its cluster layer."""

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
        precision: ``fp32``, ``tf32`` or ``bf16``.
    """

    model: STGCAE
    assignment: SoftAssignment
    precision: str = "fp32"

    @classmethod
    def of(cls, options: Options, pipeline: InputPipeline, device: torch.device) -> Network:
        """Networks for a pipeline's input, weights drawn from torch's generator."""
        model = autoencoder(options, pipeline).to(device)
        assignment = SoftAssignment(options.clusters, model.latent_dim, form=options.assignment)
        return cls(model, assignment.to(device))

    def eval(self) -> Network:
        """Both in evaluation mode."""
        self.model.eval()
        self.assignment.eval()
        return self


def window_residual(reconstruction: Tensor, x: Tensor) -> Tensor:
    r"""What is left of a window's seen joints: input :math:`[B, S, V, C + 1]` -> :math:`[B, S V C]`."""
    seen = x[..., -1:] > 0
    return torch.where(seen, x[..., :-1] - reconstruction.float(), 0.0).flatten(1)


def autoencoder(options: Options, pipeline: InputPipeline) -> STGCAE:
    """The network that options ask for; of the input's channels all but the confidence come out."""
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
    r"""Latents :math:`[N, D]` of all windows of some batches, in order; nothing is decoded."""
    parts = [torch.zeros(0, model.latent_dim, device=pipeline.mean.device)]
    for batch in batches:
        x = pipeline.tensor(batch)
        with autocast(x.device, precision):
            parts.append(model.encode(x).float())
    return torch.cat(parts)
