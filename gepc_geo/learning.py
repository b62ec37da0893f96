"""Learns from windows of each length what is normal there; several ranks share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gepc_geo import distributed
from gepc_geo.encoding import Encoder
from gepc_geo.normality import Normality, of_views
from gepc_geo.options import Options
from gepc_geo.window_scores import scoring_loader
from gepc_geo.windows import PoseWindows

# Windows whose parts are held at once to measure their principal components.
_SAMPLE = 20_000


@dataclass
class Learned:
    """What is normal among windows of each length.

    Attributes:
        normality: By length, not yet calibrated.
        scores: By length, each mode's scores of the training windows, each without the rows of its own
            person, as somebody new is scored.
    """

    normality: dict[int, Normality]
    scores: dict[int, dict[str, Tensor]]


@torch.no_grad()
def learn(
    encoder: Encoder,
    options: Options,
    modes: Sequence[str],
    windows: PoseWindows,
    held_out: PoseWindows,
) -> Learned:
    """Fits densities to training windows, and neighbours to held-out ones too: of a small set every clip counts.

    Args:
        encoder: Makes of windows what densities are of.
        options: Of the detector.
        modes: Scoring modes.
        windows: Training windows of all lengths.
        held_out: Windows of people that no network was trained on; in the numbers of people they come
            after those of ``windows``.
    """
    learned = Learned({}, {})
    offset = int(windows.person.max()) + 1
    for length in windows.lengths:
        rest = held_out.of_length(length)
        one = _Fit(encoder, options, modes, windows.of_length(length), rest, offset)
        learned.normality[length], learned.scores[length] = one.run()
    return learned


class _Fit:
    """The fit to windows of one length."""

    def __init__(
        self,
        encoder: Encoder,
        options: Options,
        modes: Sequence[str],
        windows: PoseWindows,
        held_out: PoseWindows,
        offset: int,
    ) -> None:
        self.encoder, self.options, self.modes = encoder, options, modes
        self.windows, self.held_out, self.offset = windows, held_out, offset
        self.device = encoder.pipeline.mean.device

    def run(self) -> tuple[Normality, dict[str, Tensor]]:
        """The densities, and scores of the training windows."""
        count, augment = len(self.windows), self.encoder.pipeline.augment
        choices = range(augment.copies(count + len(self.held_out)))
        # Each rank encodes its share of the windows; measured and fitted it is on the first.
        some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
        sample = [
            _gather(self._encode(self.windows.subset(some[distributed.share(len(some))]), choice))
            for choice in choices
        ]
        normality = _first(
            lambda: Normality(self.options, self.modes).measure(_cat(sample)), self.device
        )
        if len(some) == count:
            passes = [normality.project(parts) for parts in sample]
        else:
            mine = self.windows.subset(np.arange(count)[distributed.share(count)])
            passes = [
                _gather(map(normality.project, self._encode(mine, choice))) for choice in choices
            ]
        everything = _cat(passes)
        person = torch.as_tensor(self.windows.person).to(self.device)
        neighbours, whose = [everything["nearest"]], [person.repeat(len(choices))]
        if len(self.held_out):
            theirs = torch.as_tensor(self.held_out.person).to(self.device) + self.offset
            neighbours += [self._neighbours(normality, choice) for choice in choices]
            whose.append(theirs.repeat(len(choices)))
        normality = _first(
            lambda: normality.fit(everything, torch.cat(neighbours), torch.cat(whose)), self.device
        )
        views = [normality.scores(one, person) for one in passes[: augment.num_scored]]
        return normality, {
            mode: of_views(mode, torch.stack([one[mode] for one in views])) for mode in self.modes
        }

    def _neighbours(self, normality: Normality, choice: int) -> Tensor:
        """Held-out windows in the coordinates of neighbours."""
        part = self.held_out.subset(distributed.share(len(self.held_out)))
        # A rank that has none of them encodes one all the same, and takes no row of it.
        encoded = self._encode(part if len(part) else self.held_out.subset([0]), choice)
        rows = [normality.nearest.project(parts["window"]) for parts in encoded]
        return distributed.gather(torch.cat(rows)[: len(part)])

    def _encode(self, windows: PoseWindows, choice: int) -> Iterator[dict[str, Tensor]]:
        for batch in scoring_loader(windows, self.device):
            yield self.encoder(batch, choice, self.modes)


def _cat(parts: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Rows by name of several batches as one."""
    each = list(parts)
    return {name: torch.cat([one[name] for one in each]) for name in each[0]}


def _gather(parts: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Rows by name of several batches of every rank as one."""
    return {name: distributed.gather(rows) for name, rows in _cat(parts).items()}


def _first(make: Callable[[], Normality], device: torch.device) -> Normality:
    """What the first rank makes, on all ranks' devices: the CPU's is what can be sent."""
    if distributed.world() == 1:
        return make()
    return distributed.from_first(lambda: make().to(torch.device("cpu"))).to(device)
