"""Learns from windows of each length what is normal there; several ranks share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.normality import Normality, of_views
from gepc_geo.options import WINDOW_MODES
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.scoring.scorer import own_modes, scoring_loader
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows

# Windows of a length, evenly chosen: principal components are measured on them, neighbours come from them,
# and they are scored themselves. Neighbours are fewer rows than these have.
_SAMPLE = 20_000


@dataclass
class Learned:
    """What is normal among windows of each length.

    Attributes:
        normality: By length, not yet calibrated.
        windows: Training windows, of each length at most 20,000.
        scores: Each mode's own scores of them, each without the rows of its own person, as somebody new
            is scored.
        people: How many people were trained on; those held out are numbered from here on.
    """

    normality: dict[int, Normality]
    windows: PoseWindows
    scores: dict[str, Tensor]
    people: int


@torch.no_grad()
def learn(encoder: Encoder, windows: PoseWindows, held_out: PoseWindows) -> Learned:
    """Fits a model of what is normal to windows of each length, in all modes that the options allow.

    Modes of a network learn from the training windows. The modes of the window itself, which no network
    comes into, learn from the held-out windows too: of a small set every clip counts.

    Args:
        encoder: Makes of windows what densities are of.
        windows: Training windows of all lengths.
        held_out: Windows of people that no network was trained on.
    """
    people = int(windows.person.max()) + 1
    normality: dict[int, Normality] = {}
    places, scores = [], []
    for length in windows.lengths:
        at = np.flatnonzero(windows.size == length)
        rest = held_out.of_length(length)
        fit = _Fit(encoder, windows.of_length(length), rest, people)
        normality[length], scored = fit.run()
        places.append(at[fit.some])
        scores.append(scored)
    return Learned(normality, windows.subset(np.concatenate(places)), _cat(scores), people)


class _Fit:
    """The fit to windows of one length."""

    def __init__(
        self,
        encoder: Encoder,
        windows: PoseWindows,
        held_out: PoseWindows,
        people: int,
    ) -> None:
        self.encoder, self.options = encoder, encoder.pipeline.options
        self.modes = own_modes(self.options.modes)
        self.windows, self.people = windows, people
        self.device = encoder.pipeline.mean.device
        count = len(windows)
        #: Positions of the sample.
        self.some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
        # As large a share of them as of the training windows.
        share = len(held_out) * len(self.some) // count
        self.held_out = held_out.subset(
            np.linspace(0, len(held_out) - 1, share).round().astype(np.int64)
        )

    def run(self) -> tuple[Normality, dict[str, Tensor]]:
        """The densities, and each mode's scores of the sample."""
        augment = self.encoder.pipeline.augment
        choices = range(augment.copies(len(self.windows) + len(self.held_out)))
        chosen, device = self.windows.subset(self.some), self.device
        # Each rank encodes its share of the windows; measured and fitted it is on the first.
        sample = [_gather(self._encode(_mine(chosen), choice)) for choice in choices]
        normality = _first(
            lambda: Normality(self.options, self.modes).measure(_cat(sample)), device
        )
        passes = [normality.project(parts) for parts in sample]
        points = _cat(passes)
        if len(chosen) < len(self.windows) and normality.mixtures:
            # Neighbours are no more than the sample has, mixtures are of all windows.
            mine = _mine(self.windows)
            wide = [mode for mode in self.modes if mode not in WINDOW_MODES]
            points |= _cat(
                _gather(map(normality.project, self._encode(mine, choice, wide)))
                for choice in choices
            )
        person = torch.as_tensor(chosen.person).to(device)
        known, whose = (
            [{mode: points[mode] for mode in WINDOW_MODES}],
            [person.repeat(len(choices))],
        )
        if len(self.held_out):
            theirs = torch.as_tensor(self.held_out.person).to(device) + self.people
            known += [self._others(normality, choice) for choice in choices]
            whose.append(theirs.repeat(len(choices)))
        normality = _first(lambda: normality.fit(points, _cat(known), torch.cat(whose)), device)
        views = [normality.scores(one, person) for one in passes[: augment.num_scored]]
        return normality, {
            mode: of_views(mode, torch.stack([one[mode] for one in views])) for mode in self.modes
        }

    def _others(self, normality: Normality, choice: int) -> dict[str, Tensor]:
        """Held-out windows in the coordinates of the scores of windows themselves."""
        part = _mine(self.held_out)
        # A rank that has none of them encodes one all the same, and takes no row of it.
        encoded = self._encode(
            part if len(part) else self.held_out.subset([0]), choice, WINDOW_MODES
        )
        rows = _cat(normality.project(parts) for parts in encoded)
        return {mode: distributed.gather(one[: len(part)]) for mode, one in rows.items()}

    def _encode(
        self, windows: PoseWindows, choice: int, modes: Sequence[str] | None = None
    ) -> Iterator[dict[str, Tensor]]:
        for batch in scoring_loader(windows, self.device):
            yield self.encoder(batch, choice, self.modes if modes is None else modes)


def _mine(windows: PoseWindows) -> PoseWindows:
    """This rank's share."""
    return windows.subset(distributed.share(len(windows)))


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
