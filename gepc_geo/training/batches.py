"""Batches of training windows: the windows of each step, and their augmentation.

The random numbers of a step depend on the seed, the stage and the number of the step alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gepc_geo.utils import distributed
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

STAGES = ("reconstruction", "clustering")


class TrainingBatches:
    """Shuffled and augmented batches of training windows.

    Args:
        pipeline: Converts windows to the input of the network.
        loader: The training windows, on the device.
        batch_size: Windows in a global batch, which all ranks share.
        random_state: The seed.
    """

    def __init__(
        self, pipeline: InputPipeline, loader: WindowLoader, batch_size: int, random_state: int
    ) -> None:
        self.pipeline, self.loader = pipeline, loader
        self.batch_size, self.random_state = batch_size, random_state

    def order(self, stage: str, step: int, total: int | None) -> Iterator[Tensor]:
        """Positions of the windows in each global batch; each epoch has another order.

        Args:
            stage: The training stage.
            step: The first step.
            total: Number of steps of the stage; ``None``: no end.
        """
        count = len(self.loader.windows)
        per_epoch = count // self.batch_size
        while total is None or step < total:
            epoch, skip = divmod(step, per_epoch)
            # Drawn on the CPU, so that a run resumed on another device has the same order.
            order = torch.randperm(count, generator=self.generator(stage, 1, epoch))
            # It stays on the CPU, where the lengths of windows are.
            order = order[: per_epoch * self.batch_size]
            for index in order.split(self.batch_size)[skip:]:
                if step == total:
                    return
                yield index
                step += 1

    def first(self) -> Tensor:
        """The network's input of the first windows, as one batch without augmentation."""
        index = torch.arange(self.batch_size)
        choice = torch.zeros_like(index).to(self.loader.device)
        return self.pipeline.mixed_lengths(self.loader, index, choice)

    def input(self, index: Tensor, stage: str, step: int) -> tuple[Tensor, Tensor]:
        """This rank's windows in a global batch, and the network's input of them, augmented."""
        mine, device = distributed.share(len(index)), self.loader.device
        # Drawn for the global batch, so that augmentation does not depend on the number of ranks.
        choice = torch.randint(self.pipeline.augment.num_choices, (len(index),), device=device)
        if not distributed.is_first():
            # From here on, only dropout is random: each rank drops other values.
            torch.manual_seed(self._entropy(stage, 2, step, distributed.rank()))
        x = self.pipeline.mixed_lengths(self.loader, index[mine], choice[mine])
        return index[mine].to(device), x

    def seed(self, stage: str, step: int) -> None:
        """Seeds torch's generator for a step."""
        torch.manual_seed(self._entropy(stage, 2, step))

    def generator(self, stage: str, *key: int) -> torch.Generator:
        """A CPU generator; different ``key`` give different random numbers."""
        return torch.Generator().manual_seed(self._entropy(stage, *key))

    def _entropy(self, stage: str, *key: int) -> int:
        # The stage after the last, in which nothing is random, also has a number.
        number = (*STAGES, "done").index(stage)
        sequence = np.random.SeedSequence([self.random_state, number, *key])
        words = sequence.generate_state(2, np.uint32)
        return int(words[0]) << 31 ^ int(words[1])
