"""The reconstruction loss of windows that are not trained on, and that of predicting the mean."""

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

# Windows that are looked at again and again, and windows that the mean is taken of: so many at most.
_LOOKED_AT, _AVERAGED = 2_000, 20_000
# A share above it is of an autoencoder that has not learned to reconstruct.
_POOR = 0.5


class Validation:
    r"""Measures an autoencoder on held-out windows, as they are: without augmentation.

    Of many windows 2,000 are looked at, evenly chosen. Several ranks share the work and get the same
    numbers.

    Args:
        model: The autoencoder.
        pipeline: Makes the network's input of a batch.
        loader: The training windows.
        held_out: The others; where there are none, the training windows are looked at.
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
        r""":math:`L_{rec}` (section 3.5 of the paper) in evaluation mode; the model trains on after it."""

        def reconstruct(x: Tensor) -> Tensor:
            with autocast(x.device, precision):
                reconstruction, _ = self.model(x)
            return reconstruction.float()

        self.model.eval()
        loss = self._loss(reconstruct)
        self.model.train()
        return loss

    def loss_of_mean(self) -> float:
        r""":math:`L_{rec}` of predicting, for each frame, joint and channel, the mean of the training windows."""
        mean = self._mean()
        return self._loss(lambda _: mean)

    @torch.no_grad()
    def _loss(self, reconstruct: Callable[[Tensor], Tensor]) -> float:
        sums = torch.zeros(2, dtype=torch.float64, device=self._loader.device)
        for batch in self._loader.batches(_share(self._loader, _LOOKED_AT)):
            x = self.pipeline.tensor(batch)
            seen = x[..., -1] > 0
            square = (reconstruct(x) - x[..., :-1]).square().mean(-1).double()
            sums += torch.stack([torch.where(seen, square, 0.0).sum(), seen.sum().double()])
        error, count = reduce.total(sums).tolist()
        # All ranks go by one number: they must come to the same decision.
        return distributed.from_first(lambda: error / max(count, 1.0))

    @torch.no_grad()
    def _mean(self) -> Tensor:
        """The mean [T, V, C] of (up to 20,000, evenly chosen) training windows over the joints seen."""
        total = count = torch.zeros((), dtype=torch.float64, device=self._training.device)
        for batch in self._training.batches(_share(self._training, _AVERAGED)):
            x = self.pipeline.tensor(batch)
            seen = x[..., -1:] > 0
            total = total + torch.where(seen, x[..., :-1], 0.0).double().sum(0)
            count = count + seen.double().sum(0)
        return (reduce.total(total) / reduce.total(count).clamp(min=1)).float()


def warn_of_poor(share: float, options: Options) -> None:
    """Warns of an autoencoder that has not learned to reconstruct, and says what to change.

    Args:
        share: Its loss on held-out windows, as a share of that of predicting the mean.
        options: Those it was trained with.
    """
    if share > _POOR:
        more = "more patience" if options.budget is None else "a larger budget"
        warn_of_input(
            f"the autoencoder's error on held-out windows is {share:.2f} of that of predicting the mean "
            f"pose, expected at most {_POOR}: {more}, or a higher lr than {options.lr:g}"
        )


def _share(loader: WindowLoader, most: int) -> Tensor:
    """This rank's share of a loader's windows, or of so many of them, evenly chosen."""
    windows = len(loader.windows)
    chosen = torch.linspace(0, windows - 1, min(windows, most), dtype=torch.float64).long()
    return chosen[distributed.share(len(chosen))].to(loader.device)
