"""The E step of clustering: targets of all training windows (section 3.3 of the paper)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gepc_geo.density.kmeans import kmeans
from gepc_geo.nn import STGCAE, SoftAssignment, target_distribution
from gepc_geo.training.network import latents
from gepc_geo.utils import distributed
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline


class Expectation:
    r"""Targets :math:`q` (eq. 3) of the training windows.

    Args:
        model: The autoencoder.
        assignment: The cluster layer.
        pipeline: Computes the input of the network from a batch.
        loader: The training windows; several ranks encode them together.
        form: The option ``target``: ``paper`` or ``dec``.

    Attributes:
        targets: :math:`q`, :math:`[N, K]`; ``None`` before the first E step.
        labels: The most probable cluster of each window, :math:`[N]`; ``None`` before that.
    """

    def __init__(
        self,
        model: STGCAE,
        assignment: SoftAssignment,
        pipeline: InputPipeline,
        loader: WindowLoader,
        form: str,
    ) -> None:
        self.model, self.assignment = model, assignment
        self.pipeline, self.loader, self.form = pipeline, loader, form
        self.targets: Tensor | None = None
        self.labels: Tensor | None = None

    def start(self, precision: str, generator: torch.Generator) -> None:
        r"""Initialises :math:`\theta` by k-means on the latents of all training windows."""
        latent = self.assignment.standardize(distributed.gather(self._latents(precision)))
        clusters = kmeans(latent, self.assignment.num_clusters, generator=generator)
        self.assignment.start(latent, clusters.centers, clusters.labels)
        distributed.copy_first(self.assignment.state_dict().values())

    @torch.no_grad()
    def update(self, precision: str) -> float | None:
        """Updates the targets; returns the share of labels that changed, at first ``None``."""
        log_p = distributed.gather(self.assignment(self._latents(precision)))
        self.targets = target_distribution(log_p, self.form)
        labels, before = log_p.argmax(1), self.labels
        self.labels = labels
        return None if before is None else (labels != before).float().mean().item()

    def state(self) -> dict[str, Any]:
        """Targets and labels for a checkpoint."""
        return {"targets": self.targets, "labels": self.labels}

    def load(self, state: dict[str, Any]) -> None:
        """Restores the result of :meth:`state`."""
        device = self.loader.device
        for name in ("targets", "labels"):
            setattr(self, name, None if state[name] is None else state[name].to(device))

    def _latents(self, precision: str) -> Tensor:
        """Latents of this rank's share of the training windows, in evaluation mode."""
        self.model.eval()
        count, device = len(self.loader.windows), self.loader.device
        index = torch.arange(count, device=device)[distributed.share(count)]
        latent = latents(self.model, self.pipeline, self.loader.batches(index), precision)
        self.model.train()
        return latent
