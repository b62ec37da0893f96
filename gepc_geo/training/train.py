"""From training windows to a trained network."""

from __future__ import annotations

from pathlib import Path

import torch

from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.training.network import Network
from gepc_geo.training.trainer import Trainer
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline


def train_network(
    pipeline: InputPipeline,
    loader: WindowLoader,
    held_out: PoseWindows,
    *,
    folder: Path | None = None,
    resume: bool = False,
    quiet: bool = True,
    tensorboard: bool = False,
) -> tuple[Network, float]:
    """Trains an autoencoder and a cluster layer by the pipeline's options.

    Args:
        pipeline: A fitted one, on the loader's device.
        loader: The training windows.
        held_out: Windows that tell whether the autoencoder has converged.
        folder: Where checkpoint and log go; ``None`` writes nothing.
        resume: Go on from the folder's checkpoint where there is one.
        quiet: Show no progress.
        tensorboard: Also write TensorBoard events.

    Returns:
        The network, and the reconstruction loss of held-out windows at the end of the first stage as a
        share of that of predicting the mean of the training windows.

    Raises:
        InputError: More clusters or components than windows; as
            :meth:`~gepc_geo.training.trainer.Trainer.run`.
    """
    options = pipeline.options
    _check_counts(options, loader.windows)
    with torch.random.fork_rng():
        torch.manual_seed(options.random_state)
        network = Network.of(options, pipeline, loader.device)
    trainer = Trainer(
        network.model,
        network.assignment,
        pipeline,
        loader,
        options,
        held_out=held_out,
        folder=folder,
        quiet=quiet,
        tensorboard=tensorboard,
    )
    trainer.run(resume=resume)
    network.precision = trainer.precision
    return network, trainer.reconstruction_share


def _check_counts(options: Options, windows: PoseWindows) -> None:
    """Raises an InputError for more clusters or components than windows of the rarest length."""
    lengths = windows.lengths
    count = min(int((windows.size == length).sum()) for length in lengths)
    many = [
        f"{name} is {getattr(options, name)}"
        for name in ("clusters", "components")
        if getattr(options, name) > count
    ]
    if many:
        raise InputError(
            f"{' and '.join(many)}, expected at most {count}, the number of training windows"
            f"{' of the rarest length' if len(lengths) > 1 else ''}"
        )
