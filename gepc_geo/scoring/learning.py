"""Fits a model of normal windows of each length; several ranks share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.normality import Normality, combine_views
from gepc_geo.options import WINDOW_MODES
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.scoring.scorer import own_modes, scoring_loader
from gepc_geo.utils import distributed
from gepc_geo.utils.progress import Bar, progress_bar
from gepc_geo.windows.dataset import PoseWindows

#: The most training windows of a length, evenly spaced, that give principal components and the
#: reference set (which is smaller) and whose scores are stored.
SAMPLE = 20_000


@dataclass
class Learned:
    """Models of normal windows, before calibration.

    Attributes:
        normality: A model by length.
        windows: :math:`W` training windows, at most 20,000 of each length.
        scores: Their scores by mode, :math:`[W]`, each without the reference windows of its person.
        people: Number of people in training; held-out people have numbers from here on.
    """

    normality: dict[int, Normality]
    windows: PoseWindows
    scores: dict[str, Tensor]
    people: int


@torch.no_grad()
def learn(
    encoder: Encoder, windows: PoseWindows, held_out: PoseWindows, quiet: bool = True
) -> Learned:
    """Fits a model to windows of each length, in all modes that the options allow.

    Network modes learn from the training windows. Window modes learn from the held-out windows too,
    as they need no network and a small set has few clips.

    Args:
        encoder: Computes parts of windows.
        windows: Training windows of all lengths.
        held_out: Windows of held-out people.
        quiet: Show no progress. (default: ``True``)
    """
    people = int(windows.person.max()) + 1
    normality: dict[int, Normality] = {}
    positions, scores = [], []
    for length in windows.lengths:
        at = np.flatnonzero(windows.size == length)
        fit = _Fit(encoder, windows.of_length(length), held_out.of_length(length), people)
        normality[length], scored = fit.run(quiet)
        positions.append(at[fit.sample])
        scores.append(scored)
    return Learned(normality, windows.subset(np.concatenate(positions)), _cat(scores), people)


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
        #: Positions of the training windows that are stored.
        self.sample = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))
        # The same share of the held-out windows.
        share = len(held_out) * len(self.sample) // count
        self.held_out = held_out.subset(
            np.linspace(0, len(held_out) - 1, share).round().astype(np.int64)
        )

    def run(self, quiet: bool) -> tuple[Normality, dict[str, Tensor]]:
        """The model, and scores of the sample by mode."""
        augment = self.encoder.pipeline.augment
        choices = range(augment.copies(len(self.windows) + len(self.held_out)))
        chosen, device = self.windows.subset(self.sample), self.device
        # Each rank encodes its share of the windows; the first rank fits.
        share, every = _share(chosen), _share(self.windows)
        # Mixtures are fitted to all windows, window modes to the sample.
        more = len(chosen) < len(self.windows) and self.options.needs_network
        total = len(choices) * (len(share) + len(every) * more)
        name = f"encoding windows of {self.windows.length} frames"
        with progress_bar(name, total, "windows", quiet=quiet) as bar:
            sample = [_gather(self._encode(share, choice, bar=bar)) for choice in choices]
            normality = _first(
                lambda: Normality(self.options, self.modes).measure(_cat(sample)), device
            )
            passes = [normality.project(parts) for parts in sample]
            points = _cat(passes)
            if more:
                modes = [mode for mode in self.modes if mode not in WINDOW_MODES]
                points |= _cat(
                    _gather(map(normality.project, self._encode(every, choice, modes, bar)))
                    for choice in choices
                )
        person = torch.as_tensor(chosen.person).to(device)
        window_points = [{mode: points[mode] for mode in WINDOW_MODES}]
        people = [person.repeat(len(choices))]
        if len(self.held_out):
            held_out = torch.as_tensor(self.held_out.person).to(device) + self.people
            window_points += [self._held_out_points(normality, choice) for choice in choices]
            people.append(held_out.repeat(len(choices)))
        normality = _first(
            lambda: normality.fit(points, _cat(window_points), torch.cat(people), quiet), device
        )
        views = [normality.scores(view, person) for view in passes[: augment.num_scored]]
        return normality, {
            mode: combine_views(mode, torch.stack([view[mode] for view in views]))
            for mode in self.modes
        }

    def _held_out_points(self, normality: Normality, choice: int) -> dict[str, Tensor]:
        """Points of the held-out windows in the window modes."""
        part = _share(self.held_out)
        # A rank without windows encodes one, and uses no row of it.
        encoded = self._encode(
            part if len(part) else self.held_out.subset([0]), choice, WINDOW_MODES
        )
        rows = _cat(normality.project(parts) for parts in encoded)
        return {mode: distributed.gather(points[: len(part)]) for mode, points in rows.items()}

    def _encode(
        self,
        windows: PoseWindows,
        choice: int,
        modes: Sequence[str] | None = None,
        bar: Bar | None = None,
    ) -> Iterator[dict[str, Tensor]]:
        for batch in scoring_loader(windows, self.device):
            yield self.encoder(batch, choice, self.modes if modes is None else modes)
            if bar is not None:
                bar.update(len(batch.window))


def _share(windows: PoseWindows) -> PoseWindows:
    """This rank's share of the windows."""
    return windows.subset(distributed.share(len(windows)))


def _cat(parts: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenates the rows of batches by name."""
    batches = list(parts)
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def _gather(parts: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenates the rows of batches of all ranks by name."""
    return {name: distributed.gather(rows) for name, rows in _cat(parts).items()}


def _first(make: Callable[[], Normality], device: torch.device) -> Normality:
    """The result of the first rank, on the devices of all ranks; it is sent from the CPU."""
    if distributed.world() == 1:
        return make()
    return distributed.from_first(lambda: make().to(torch.device("cpu"))).to(device)
