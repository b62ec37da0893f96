"""Reconstruction loss of held-out windows, and the loss of predicting the mean."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gepc_geo.errors import warn_of_input
from gepc_geo.nn import STGCAE, reduce
from gepc_geo.options import Options
from gepc_geo.training.precision import autocast
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

# The most windows of a loss, and of the mean.
_MEASURED, _AVERAGED = 2_000, 20_000
# An autoencoder with a larger share has not learned to reconstruct.
_POOR = 0.5


class Validation:
    r"""Measures losses on held-out windows, without augmentation.

    At most 2,000 windows, evenly spaced, are used. Several ranks share the work and get the same
    numbers.

    Args:
        model: The autoencoder.
        pipeline: Computes the input of the network from a batch.
        loader: The training windows.
        held_out: Held-out windows; without any, training windows are used.
    """

    def __init__(
        self,
        model: STGCAE,
        pipeline: InputPipeline,
        loader: WindowLoader,
        held_out: PoseWindows | None,
    ) -> None:
        self.model, self.pipeline, self._training = model, pipeline, loader
        self._loader = loader
        if held_out is not None and len(held_out):
            self._loader = WindowLoader(held_out, loader.batch_size, device=loader.device)

    def loss(self, precision: str) -> float:
        r""":math:`L_{rec}` (section 3.5 of the paper), without dropout.

        Leaves the model in training mode.

        Args:
            precision: Arithmetic of the network.
        """

        def reconstruct(x: Tensor) -> Tensor:
            with autocast(x.device, precision):
                reconstruction: Tensor = self.model(x)[0]
            return reconstruction.float()

        self.model.eval()
        loss = self._loss(reconstruct)
        self.model.train()
        return loss

    def loss_of_mean(self) -> float:
        r""":math:`L_{rec}` of predicting the mean of the training windows :math:`[T, V, C]`."""
        mean = self._mean()
        return self._loss(lambda _: mean)

    @torch.no_grad()
    def _loss(self, reconstruct: Callable[[Tensor], Tensor]) -> float:
        sums = torch.zeros(2, dtype=torch.float64, device=self._loader.device)
        for batch in self._loader.batches(_share(self._loader, _MEASURED)):
            x = self.pipeline.tensor(batch)
            seen = x[..., -1] > 0
            square = (reconstruct(x) - x[..., :-1]).square().mean(-1).double()
            sums += torch.stack([torch.where(seen, square, 0.0).sum(), seen.sum().double()])
        error, count = reduce.total(sums).tolist()
        # All ranks use the number of the first: they must make the same decision.
        loss: float = distributed.from_first(lambda: error / max(count, 1.0))
        return loss

    @torch.no_grad()
    def _mean(self) -> Tensor:
        """The mean [T, V, C] of training windows (at most 20,000), over seen joints."""
        total = count = torch.zeros((), dtype=torch.float64, device=self._training.device)
        for batch in self._training.batches(_share(self._training, _AVERAGED)):
            x = self.pipeline.tensor(batch)
            seen = x[..., -1:] > 0
            total = total + torch.where(seen, x[..., :-1], 0.0).double().sum(0)
            count = count + seen.double().sum(0)
        return (reduce.total(total) / reduce.total(count).clamp(min=1)).float()


def warn_of_poor(share: float, options: Options) -> None:
    """Warns if the autoencoder has not learned to reconstruct.

    Args:
        share: Its reconstruction share (:class:`~gepc_geo.training.trainer.Trainer`).
        options: The options of the training.
    """
    if share > _POOR:
        more = "more patience" if options.budget is None else "a larger budget"
        warn_of_input(
            f"the autoencoder's error on held-out windows must be at most {_POOR} of the error of "
            f"the mean pose, got {share:.2f}: try {more}, or a higher lr than {options.lr:g}"
        )


def _share(loader: WindowLoader, most: int) -> Tensor:
    """This rank's share of at most ``most`` evenly spaced windows."""
    windows = len(loader.windows)
    chosen = torch.linspace(0, windows - 1, min(windows, most), dtype=torch.float64).long()
    return chosen[distributed.share(len(chosen))].to(loader.device)
