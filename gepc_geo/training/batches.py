"""The batches of a training: which windows a step sees, and how they are augmented.

All random numbers of a step come from the seed, the stage and the step's number alone.
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
        pipeline: Makes the network's input of a batch.
        loader: The training windows, on the device.
        batch_size: Windows of a global batch, which several ranks share.
        random_state: The seed.
    """

    def __init__(
        self, pipeline: InputPipeline, loader: WindowLoader, batch_size: int, random_state: int
    ) -> None:
        self.pipeline, self.loader = pipeline, loader
        self.batch_size, self.random_state = batch_size, random_state

    def order(self, stage: str, step: int, total: int | None) -> Iterator[Tensor]:
        """Positions of the windows of each global batch; every epoch has a permutation of its own.

        Args:
            stage: The training stage.
            step: The first step.
            total: Steps of the stage; ``None``: without end.
        """
        count = len(self.loader.windows)
        per_epoch = count // self.batch_size
        while total is None or step < total:
            epoch, skip = divmod(step, per_epoch)
            # Drawn on the CPU: a run resumed on another device sees the same order.
            order = torch.randperm(count, generator=self.generator(stage, 1, epoch))
            # There it stays: which lengths the windows have is looked up on the host.
            order = order[: per_epoch * self.batch_size]
            for index in order.split(self.batch_size)[skip:]:
                if step == total:
                    return
                yield index
                step += 1

    def first(self) -> Tensor:
        """A batch of the network's input, of the first windows as they are."""
        index = torch.arange(self.batch_size)
        choice = torch.zeros_like(index).to(self.loader.device)
        return self.pipeline.mixed_lengths(self.loader, index, choice)

    def input(self, index: Tensor, stage: str, step: int) -> tuple[Tensor, Tensor]:
        """This rank's windows of a global batch, and the network's input of them, augmented."""
        mine, device = distributed.share(len(index)), self.loader.device
        # Drawn for the global batch: however many ranks share it, a window is augmented the same.
        choice = torch.randint(self.pipeline.augment.num_choices, (len(index),), device=device)
        if not distributed.is_first():
            # Dropout is all that is random from here on.
            torch.manual_seed(self._entropy(stage, 2, step, distributed.rank()))
        x = self.pipeline.mixed_lengths(self.loader, index[mine], choice[mine])
        return index[mine].to(device), x

    def seed(self, stage: str, step: int) -> None:
        """Seeds torch's generator for a step."""
        torch.manual_seed(self._entropy(stage, 2, step))

    def generator(self, stage: str, *key: int) -> torch.Generator:
        """A generator on the CPU for a use of random numbers, which ``key`` names."""
        return torch.Generator().manual_seed(self._entropy(stage, *key))

    def _entropy(self, stage: str, *key: int) -> int:
        # Done is a stage too: nothing random happens in it.
        number = (*STAGES, "done").index(stage)
        sequence = np.random.SeedSequence([self.random_state, number, *key])
        words = sequence.generate_state(2, np.uint32)
        return int(words[0]) << 31 ^ int(words[1])
