"""Computes the parts of windows that scoring modes need."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch_geometric.data import Batch

from gepc_geo.density.alterations import alterations
from gepc_geo.density.normality import Parts
from gepc_geo.training.network import Network, window_residual
from gepc_geo.training.precision import autocast
from gepc_geo.windows.pipeline import InputPipeline, Inputs

#: The part that each scoring mode needs.
PART_OF_MODE = {
    "nearest": "window",
    "altered": "altered",
    "assignment": "log_p",
    "max": "log_p",
    "latent": "latent",
    "reconstruction": "residual",
}


class Encoder:
    """Computes parts (:data:`~gepc_geo.density.normality.Parts`) from batches of windows.

    Args:
        pipeline: A fitted pipeline.
        network: The trained network; ``None``: window modes alone.
    """

    def __init__(self, pipeline: InputPipeline, network: Network | None) -> None:
        self.pipeline, self.network = pipeline, network

    def __call__(self, batch: Batch, choice: int, modes: Sequence[str]) -> Parts:
        """Parts of the windows of a batch.

        Args:
            batch: The windows.
            choice: Number of the augmentation that is applied to all of them.
            modes: Scoring modes; other parts are not computed.
        """
        choices = torch.full((batch.num_graphs,), choice, device=batch.x.device)
        return self.of_inputs(self.pipeline(batch, choices), modes)

    def of_inputs(self, inputs: Inputs, modes: Sequence[str]) -> Parts:
        """As :meth:`__call__`, of standardised windows."""
        needed = {PART_OF_MODE[mode] for mode in modes}
        parts: Parts = {}
        if needed & {"window", "altered"}:
            parts["window"] = inputs.flat()
        if "altered" in needed:
            copies = alterations(inputs, self.pipeline)
            parts["altered"] = torch.stack([copy.flat() for copy in copies], dim=1)
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
