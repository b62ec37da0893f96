"""What densities are of: windows themselves, and what a network makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo.density.alterations import alterations
from gepc_geo.nn import STGCAE, SoftAssignment
from gepc_geo.options import Options
from gepc_geo.training.precision import autocast
from gepc_geo.windows.pipeline import InputPipeline, Inputs

#: What each scoring mode is computed from.
PART_OF_MODE = {
    "nearest": "window",
    "altered": "altered",
    "assignment": "log_p",
    "max": "log_p",
    "latent": "latent",
    "reconstruction": "residual",
}

#: Parts of :math:`N` windows by name, each with a row for each window: ``window``, the input without the
#: confidence :math:`[N, D]`; ``altered``, its altered copies :math:`[N, A, D]`; with a network
#: ``latent`` :math:`[N, D_z]`, ``log_p``, the log soft assignments :math:`[N, K]`, and ``residual``, input less reconstruction :math:`[N, S V C]`, 0 at joints not seen.
Parts = dict[str, Tensor]


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


class Encoder:
    """From batches of windows to the parts that scores are computed from, and no others.

    Args:
        pipeline: A fitted one.
        network: ``None``: there are windows alone.
    """

    def __init__(self, pipeline: InputPipeline, network: Network | None) -> None:
        self.pipeline, self.network = pipeline, network

    def __call__(self, batch: Batch, choice: int, modes: Sequence[str]) -> Parts:
        """Parts of windows with one augmentation applied to each."""
        choices = torch.full((batch.num_graphs,), choice, device=batch.x.device)
        return self.of_inputs(self.pipeline(batch, choices), modes)

    def of_inputs(self, inputs: Inputs, modes: Sequence[str]) -> Parts:
        """Parts of standardised windows: those of the modes."""
        needed = {PART_OF_MODE[mode] for mode in modes}
        parts: Parts = {}
        if needed & {"window", "altered"}:
            parts["window"] = inputs.flat()
        if "altered" in needed:
            copies = alterations(inputs, self.pipeline)
            parts["altered"] = torch.stack([one.flat() for one in copies], dim=1)
        if self.network is None or needed <= {"window", "altered"}:
            return parts
        x = inputs.tensor()
        with autocast(x.device, self.network.precision):
            latent = self.network.model.encode(x)
            if "residual" in needed:
                parts["residual"] = window_residual(self.network.model.decode(latent), x)
        parts["latent"] = latent.float()
        if "log_p" in needed:
            parts["log_p"] = self.network.assignment(parts["latent"])
        return parts


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
