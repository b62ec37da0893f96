"""Learns from windows of each length what is normal there; several ranks share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.normality import Normality, of_views
from gepc_geo.errors import warn_of_input
from gepc_geo.options import WINDOW_MODES, Options
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.scoring.scorer import scoring_loader
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows

# Windows of a length, evenly chosen: principal components are measured on them, neighbours come from them,
# and they are scored themselves. Neighbours are fewer rows than these have.
_SAMPLE = 20_000
# What a length needs where there are several: people, windows that calibrate, share of the shortest's windows.
_PEOPLE, _KNOWN, _SHARE = 2, 10, 0.1


@dataclass
class Learned:
    """What is normal among windows of each length.

    Attributes:
        normality: By length, not yet calibrated.
        windows: Training windows, of each length at most 20,000.
        scores: Each mode's own scores of them, each without the rows of its own person, as somebody new
            is scored.
    """

    normality: dict[int, Normality]
    windows: PoseWindows
    scores: dict[str, Tensor]


def usable_lengths(windows: PoseWindows, calibration: PoseWindows) -> tuple[int, ...]:
    """The lengths of windows that there are enough of to learn from and to compare scores by.

    Of several lengths each needs windows of 2 people and 10 windows for calibration; a longer one also a
    tenth of the windows that the shortest has. Where the shortest has not, it stays alone. The others are
    named in a warning.

    Args:
        windows: Training windows.
        calibration: Held-out windows; where there are none of a length, the training windows count.
    """
    lengths = windows.lengths
    count = {length: int((windows.size == length).sum()) for length in lengths}

    def usable(length: int) -> bool:
        known = int((calibration.size == length).sum()) or count[length]
        people = len(np.unique(windows.person[windows.size == length]))
        return people >= _PEOPLE and known >= _KNOWN and count[length] >= _SHARE * count[lengths[0]]

    kept = [length for length in lengths if usable(length)]
    if lengths[0] not in kept:
        kept = [lengths[0]]
    lost = [length for length in lengths if length not in kept]
    if lost:
        warn_of_input(
            f"too few people have windows of {' and '.join(map(str, lost))} frames: only those of "
            f"{' and '.join(map(str, kept))} frames are scored, expected longer tracks of more people"
        )
    return tuple(kept)


@torch.no_grad()
def learn(
    encoder: Encoder,
    options: Options,
    modes: Sequence[str],
    windows: PoseWindows,
    held_out: PoseWindows,
) -> Learned:
    """Fits densities to training windows, and scores of windows themselves to held-out ones too.

    Of a small set every clip counts.

    Args:
        encoder: Makes of windows what densities are of.
        options: Of the detector.
        modes: Scoring modes but ``combined``.
        windows: Training windows of all lengths.
        held_out: Windows of people that no network was trained on; in the numbers of people they come
            after those of ``windows``.
    """
    offset = int(windows.person.max()) + 1
    normality: dict[int, Normality] = {}
    places, scores = [], []
    for length in windows.lengths:
        at = np.flatnonzero(windows.size == length)
        rest = held_out.of_length(length)
        fit = _Fit(encoder, options, modes, windows.of_length(length), rest, offset)
        normality[length], scored = fit.run()
        places.append(at[fit.some])
        scores.append(scored)
    return Learned(normality, windows.subset(np.concatenate(places)), _cat(scores))


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
        self.windows, self.offset = windows, offset
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
            theirs = torch.as_tensor(self.held_out.person).to(device) + self.offset
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
