"""Trains a network on windows."""

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
    """Trains an autoencoder and a cluster layer with the options of the pipeline.

    Args:
        pipeline: A fitted pipeline, on the loader's device.
        loader: The training windows.
        held_out: Held-out windows, to detect convergence.
        folder: Folder of checkpoint and log. (default: ``None``, nothing is written)
        resume: Continue from the checkpoint of ``folder``, if there is one. (default: ``False``)
        quiet: Show no progress. (default: ``True``)
        tensorboard: Also write TensorBoard events. (default: ``False``)

    Returns:
        The network and its reconstruction share
        (:attr:`~gepc_geo.training.trainer.Trainer.reconstruction_share`).

    Raises:
        InputError: There are more clusters or components than windows, or training fails as in
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
    """Refuses more clusters or components than windows of the rarest length."""
    lengths = windows.lengths
    count = min(int((windows.size == length).sum()) for length in lengths)
    too_large = [name for name in ("clusters", "components") if getattr(options, name) > count]
    if too_large:
        rarest = " of the rarest length" if len(lengths) > 1 else ""
        values = " and ".join(str(getattr(options, name)) for name in too_large)
        raise InputError(
            f"{' and '.join(too_large)} must be at most {count}, the number of training windows"
            f"{rarest}, got {values}"
        )
