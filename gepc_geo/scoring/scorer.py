"""Anomaly scores of windows: of all their views, of every length, in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo.density.normality import Normality, of_views
from gepc_geo.errors import InputError
from gepc_geo.options import COMBINED, WINDOW_MODES
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.utils.progress import progress_bar
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader

# Windows a forward pass takes when nothing is learned; a GPU is not kept busy by as few as a CPU is.
_BATCH = {"cpu": 512, "cuda": 4096}


@dataclass
class WindowScores:
    r"""Anomaly scores of windows; higher is more abnormal.

    Attributes:
        windows: Which windows (clip, person, frames, padding), :math:`W` of them, of one or several
            lengths.
        scores: For each mode :math:`[W]` float64; of several lengths in a unit that all have in common.
    """

    windows: PoseWindows
    scores: dict[str, np.ndarray]


def own_modes(modes: Sequence[str]) -> tuple[str, ...]:
    """The modes with a score of their own that some modes are made of."""
    own = (WINDOW_MODES if mode == COMBINED else (mode,) for mode in modes)
    return tuple(dict.fromkeys(mode for some in own for mode in some))


def all_modes(own: Iterable[str]) -> tuple[str, ...]:
    """The modes that are made of some with a score of their own."""
    own = tuple(own)
    return (COMBINED, *own) if set(WINDOW_MODES) <= set(own) else own


def combined(tails: dict[str, Tensor]) -> Tensor:
    """The mode ``combined``: the mean of the others' tails (:meth:`~gepc_geo.density.normality.Normality.tails`)."""
    return torch.stack([tails[mode] for mode in WINDOW_MODES]).mean(0)


def scoring_loader(windows: PoseWindows, device: torch.device) -> WindowLoader:
    """Windows in batches of the size in which they are scored."""
    return WindowLoader(windows, _BATCH.get(device.type, _BATCH["cpu"]), device=device)


class WindowScorer:
    """Scores windows by what is normal among windows of their length.

    Args:
        encoder: Makes of windows what densities are of.
        normality: A fitted :class:`~gepc_geo.density.normality.Normality` for each length.
    """

    def __init__(self, encoder: Encoder, normality: dict[int, Normality]) -> None:
        self.encoder, self.normality = encoder, normality

    @property
    def modes(self) -> tuple[str, ...]:
        """The scoring modes."""
        return all_modes(self.own_modes)

    @property
    def own_modes(self) -> tuple[str, ...]:
        """The scoring modes that have a score of their own: all but ``combined``."""
        return next(iter(self.normality.values())).modes

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.encoder.pipeline.mean.device

    @torch.no_grad()
    def __call__(
        self, windows: PoseWindows, modes: Sequence[str] | None = None, quiet: bool = True
    ) -> WindowScores:
        """Scores of windows, all views of a window together.

        Args:
            windows: Of the lengths that there are.
            modes: Some of :attr:`modes`. (default: all)
            quiet: Show no progress.

        Raises:
            InputError: A score that is not a finite number.
        """
        return self.of_raw(windows, self.raw(windows, modes, quiet), modes)

    def of_raw(
        self, windows: PoseWindows, raw: dict[str, Tensor], modes: Sequence[str] | None = None
    ) -> WindowScores:
        """Scores of windows that :meth:`raw` was computed of already, in the same modes."""
        scores = self.comparable(windows, raw, modes)
        return WindowScores(windows, {mode: one.cpu().numpy() for mode, one in scores.items()})

    def comparable(
        self, windows: PoseWindows, raw: dict[str, Tensor], modes: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        r"""Scores [W] that windows of all lengths have in common, by mode.

        Of a single length they are as they are, of several :math:`-\log` of the tail probability among
        normal windows of that length; ``combined`` is always the mean of such.
        """
        modes = all_modes(raw) if modes is None else modes
        alone = len(self.normality) == 1
        if alone and COMBINED not in modes:
            return {mode: raw[mode] for mode in modes}
        tails = {mode: torch.empty_like(one) for mode, one in raw.items()}
        for length, normality in self.normality.items():
            at = torch.from_numpy(np.flatnonzero(windows.size == length)).to(self.device)
            for mode, one in normality.tails({m: score[at] for m, score in raw.items()}).items():
                tails[mode][at] = one
        own = raw if alone else tails
        return {mode: combined(tails) if mode == COMBINED else own[mode] for mode in modes}

    def extend_calibration(self, windows: PoseWindows, raw: dict[str, Tensor]) -> None:
        """Joins scores of further normal windows, from :meth:`raw`, to the calibration of each length."""
        for length in np.unique(windows.size).tolist():
            at = torch.from_numpy(np.flatnonzero(windows.size == length)).to(self.device)
            self.normality[length].extend_calibration({m: one[at] for m, one in raw.items()})

    @torch.no_grad()
    def raw(
        self,
        windows: PoseWindows,
        modes: Sequence[str] | None = None,
        quiet: bool = True,
        person: np.ndarray | None = None,
    ) -> dict[str, Tensor]:
        """Own scores [W] of windows, on the device, in the modes that ``modes`` are made of.

        With ``person`` [W] what was learned of the same person does not count.
        """
        modes = self.own_modes if modes is None else own_modes(modes)
        own = None if person is None else torch.as_tensor(person).to(self.device)
        # All of it beforehand: what a batch leaves behind is put where its large temporaries were, and
        # those of the next do not fit there any more.
        scores = {
            mode: torch.zeros(len(windows), dtype=torch.float64, device=self.device)
            for mode in modes
        }
        with progress_bar("scoring", len(windows), "windows", quiet=quiet) as bar:
            for batch, index, length in self.full_batches(windows):
                # What fills the batch up is cut off below, whosever it is.
                whose = None if own is None else own[batch.window]
                for mode, score in self._of_views(batch, length, modes, whose).items():
                    scores[mode][index] = score[: len(index)]
                bar.update(len(index))
        self._check_finite(windows, scores)
        return scores

    def _of_views(
        self, batch: Batch, length: int, modes: Sequence[str], person: Tensor | None
    ) -> dict[str, Tensor]:
        # All views at once: what is learned is read from memory once for all of them.
        views = self._views(batch, length, modes)
        points = {mode: torch.cat([view[mode] for view in views]) for mode in modes}
        own = None if person is None else person.repeat(len(views))
        scores = self.normality[length].scores(points, own)
        return {
            mode: of_views(mode, one.unflatten(0, (len(views), -1))) for mode, one in scores.items()
        }

    def _views(self, batch: Batch, length: int, modes: Sequence[str]) -> list[dict[str, Tensor]]:
        """Points of each view of some windows."""
        views = [
            self.normality[length].project(self.encoder(batch, choice, modes))
            for choice in range(self.encoder.pipeline.augment.num_scored)
        ]
        # Some parts give points of more modes than one.
        return [{mode: points[mode] for mode in modes} for points in views]

    @torch.no_grad()
    def points(self, windows: PoseWindows) -> dict[str, Tensor]:
        r"""All :math:`A` views of windows of one length in the coordinates of scores, by mode.

        Returns:
            Rows :math:`[A W, d]`, view after view (:meth:`~gepc_geo.density.normality.Normality.project`).
        """
        batches = [
            self._views(batch, windows.length, self.own_modes)
            for batch in scoring_loader(windows, self.device)
        ]
        views = [view for each in zip(*batches, strict=True) for view in each]
        return {mode: torch.cat([view[mode] for view in views]) for mode in self.own_modes}

    @torch.no_grad()
    def few(self, windows: PoseWindows, modes: Sequence[str] | None = None) -> WindowScores:
        r"""Scores of a few windows, at the least cost.

        Unlike in :meth:`__call__` batches are no larger than they must be: what a window is scored with
        changes its score by rounding. Scores that are not finite numbers stay as they are.

        Args:
            windows: Of the lengths that there are.
            modes: Some of :attr:`modes`. (default: all)
        """
        modes = self.modes if modes is None else modes
        own = own_modes(modes)
        raw = {
            mode: torch.zeros(len(windows), dtype=torch.float64, device=self.device) for mode in own
        }
        for batch in scoring_loader(windows, self.device):
            for mode, score in self._of_views(batch, batch.x.size(1), own, None).items():
                raw[mode][batch.window] = score
        return self.of_raw(windows, raw, modes)

    def full_batches(self, windows: PoseWindows) -> Iterator[tuple[Batch, Tensor, int]]:
        """Batches of one size, the positions of the windows that count, which are the first, and their length.

        The last batch of a length is filled with other windows. Kernels are chosen, and split, by the
        size of a batch, and round differently. With one size for all a window has the same score
        whatever is scored with it.
        """
        loader = scoring_loader(windows, self.device)
        for index in loader.split(torch.arange(len(windows), device=self.device)):
            # Positions are not negative: an empty part is none.
            full = torch.cat([index, index[:1].expand(loader.batch_size - len(index))])
            batch = loader.gather(full)
            yield batch, index, batch.x.size(1)

    @torch.no_grad()
    def places(self, windows: PoseWindows) -> tuple[np.ndarray | None, np.ndarray]:
        r"""Where windows of one length lie: among the clusters, and among other windows.

        Args:
            windows: Of poses of the training's skeleton; taken as they are, without augmentation.

        Returns:
            Soft assignments (eq. 1) :math:`[W, K]` (``None`` without a network), and the coordinates in
            which mode ``nearest`` measures distances, :math:`[W, d]`; both float64.
        """
        normality = self.normality[windows.length]
        modes = [mode for mode in ("max", "nearest") if mode in self.modes]
        nearest = [torch.zeros(0, normality.nearest.basis.size(1))]
        clusters = self.encoder.pipeline.options.clusters
        assignment = [] if self.encoder.network is None else [torch.zeros(0, clusters)]
        for batch, index, _ in self.full_batches(windows):
            parts = self.encoder(batch, 0, modes)
            nearest.append(normality.project(parts)["nearest"].double()[: len(index)].cpu())
            if "log_p" in parts:
                assignment.append(parts["log_p"].double().exp()[: len(index)].cpu())
        return (
            torch.cat(assignment).double().numpy() if assignment else None,
            torch.cat(nearest).double().numpy(),
        )

    def _check_finite(self, windows: PoseWindows, scores: dict[str, Tensor]) -> None:
        # Looked at once, not batch for batch: each look waits for the device.
        bad = ~torch.stack([score.isfinite() for score in scores.values()]).all(0)
        if bool(bad.any()):
            first = int(bad.int().argmax())
            name = windows.table.source.clip_names[windows.clip[first]]
            raise InputError(
                f"the score of person {windows.track[first]} from frame {windows.frame[first]} of "
                f"clip {name!r} is not a finite number, expected poses of sizes that occur in training"
            )
