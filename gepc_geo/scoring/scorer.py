"""Anomaly scores of windows of all lengths, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo.density.normality import Normality, combine_views
from gepc_geo.errors import InputError
from gepc_geo.options import COMBINED, WINDOW_MODES
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.utils.progress import progress_bar
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.quality import Quality

#: Windows in a batch; a GPU needs more than a CPU.
BATCH = {"cpu": 512, "cuda": 4096}


@dataclass
class WindowScores:
    r"""Anomaly scores of windows; higher is more abnormal.

    Attributes:
        windows: The :math:`W` windows.
        scores: Scores by mode, :math:`[W]` float64; comparable between lengths
            (:meth:`WindowScorer.comparable`).
        quality: Quality of the windows; ``None`` if tracking faults are not skipped.
    """

    windows: PoseWindows
    scores: dict[str, np.ndarray]
    quality: Quality | None = None


def own_modes(modes: Sequence[str]) -> tuple[str, ...]:
    """The modes whose scores ``modes`` need: ``nearest`` and ``altered`` replace ``combined``."""
    needed = (WINDOW_MODES if mode == COMBINED else (mode,) for mode in modes)
    return tuple(dict.fromkeys(mode for group in needed for mode in group))


def all_modes(own: Iterable[str]) -> tuple[str, ...]:
    """The modes ``own``, and ``combined`` if it can be computed from them."""
    own = tuple(own)
    return (COMBINED, *own) if set(WINDOW_MODES) <= set(own) else own


def combined(tails: dict[str, Tensor]) -> Tensor:
    """Mode ``combined``: the mean of ``tails`` of the window modes."""
    return torch.stack([tails[mode] for mode in WINDOW_MODES]).mean(0)


def scoring_loader(windows: PoseWindows, device: torch.device) -> WindowLoader:
    """Makes a loader with the batch size of scoring."""
    return WindowLoader(windows, BATCH.get(device.type, BATCH["cpu"]), device=device)


class WindowScorer:
    """Scores windows with the model of normal windows of their length.

    Args:
        encoder: Computes parts of windows.
        normality: A fitted :class:`~gepc_geo.density.normality.Normality` by length.
    """

    def __init__(self, encoder: Encoder, normality: dict[int, Normality]) -> None:
        self.encoder, self.normality = encoder, normality

    @property
    def modes(self) -> tuple[str, ...]:
        """All scoring modes."""
        return all_modes(self.own_modes)

    @property
    def own_modes(self) -> tuple[str, ...]:
        """All scoring modes but ``combined``."""
        return next(iter(self.normality.values())).modes

    @property
    def device(self) -> torch.device:
        """The device that computes."""
        return self.encoder.pipeline.mean.device

    @torch.no_grad()
    def __call__(
        self, windows: PoseWindows, modes: Sequence[str] | None = None, quiet: bool = True
    ) -> WindowScores:
        """Scores windows.

        Args:
            windows: Windows of the lengths of ``normality``.
            modes: Some of :attr:`modes`. (default: all)
            quiet: Show no progress. (default: ``True``)

        Raises:
            InputError: A score is not finite.
        """
        return self.from_raw(windows, self.raw(windows, modes, quiet), modes)

    def from_raw(
        self,
        windows: PoseWindows,
        raw: dict[str, Tensor],
        modes: Sequence[str] | None = None,
        overlap: np.ndarray | None = None,
    ) -> WindowScores:
        """Scores of windows from the result of :meth:`raw` in the same modes.

        Args:
            windows: The windows.
            raw: Their scores.
            modes: Some of :attr:`modes`. (default: all that ``raw`` allows)
            overlap: As in :meth:`~gepc_geo.windows.quality.PoseQuality.windows`.
                (default: ``None``)
        """
        scores = self.comparable(windows, raw, modes)
        return WindowScores(
            windows,
            {mode: score.cpu().numpy() for mode, score in scores.items()},
            self.encoder.pipeline.quality_of(windows, overlap),
        )

    def comparable(
        self, windows: PoseWindows, raw: dict[str, Tensor], modes: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        r"""Scores :math:`[W]` by mode that can be compared between lengths.

        With one length the scores do not change. With several, a score becomes :math:`-\log` of its
        tail probability among normal windows of its length. ``combined`` is always the mean of such
        values.

        Args:
            windows: The windows.
            raw: Their scores, from :meth:`raw`.
            modes: Some of :attr:`modes`. (default: all that ``raw`` allows)
        """
        modes = all_modes(raw) if modes is None else modes
        one_length = len(self.normality) == 1
        if one_length and COMBINED not in modes:
            return {mode: raw[mode] for mode in modes}
        tails = {mode: torch.empty_like(score) for mode, score in raw.items()}
        for length, normality in self.normality.items():
            at = torch.from_numpy(np.flatnonzero(windows.size == length)).to(self.device)
            for mode, tail in normality.tails({m: score[at] for m, score in raw.items()}).items():
                tails[mode][at] = tail
        own = raw if one_length else tails
        return {mode: combined(tails) if mode == COMBINED else own[mode] for mode in modes}

    def extend_calibration(self, windows: PoseWindows, raw: dict[str, Tensor]) -> None:
        """Adds scores of further normal windows, from :meth:`raw`, to the calibration."""
        for length in np.unique(windows.size).tolist():
            at = torch.from_numpy(np.flatnonzero(windows.size == length)).to(self.device)
            part = {mode: score[at] for mode, score in raw.items()}
            self.normality[length] = self.normality[length].with_calibration(part)

    @torch.no_grad()
    def raw(
        self,
        windows: PoseWindows,
        modes: Sequence[str] | None = None,
        quiet: bool = True,
        person: np.ndarray | None = None,
    ) -> dict[str, Tensor]:
        """Scores before calibration, :math:`[W]` float64 on the device, by mode.

        Args:
            windows: Windows of the lengths of ``normality``.
            modes: Some of :attr:`modes`; ``combined`` gives the window modes. (default: all)
            quiet: Show no progress. (default: ``True``)
            person: Person of each window by the numbers of training, :math:`[W]`: a window is
                scored without the reference windows of its own person. (default: ``None``, with
                all)

        Raises:
            InputError: A score is not finite.
        """
        modes = self.own_modes if modes is None else own_modes(modes)
        people = None if person is None else torch.as_tensor(person).to(self.device)
        # Allocated before the loop: results of single batches would fragment the memory.
        scores = {
            mode: torch.zeros(len(windows), dtype=torch.float64, device=self.device)
            for mode in modes
        }
        with progress_bar("scoring", len(windows), "windows", quiet=quiet) as bar:
            for batch, index, length in self.full_batches(windows):
                # Scores of the windows that fill the batch are cut off.
                batch_people = None if people is None else people[batch.window]
                for mode, score in self._score_batch(batch, length, modes, batch_people).items():
                    scores[mode][index] = score[: len(index)]
                bar.update(len(index))
        self._check_finite(windows, scores)
        return scores

    def _score_batch(
        self, batch: Batch, length: int, modes: Sequence[str], person: Tensor | None
    ) -> dict[str, Tensor]:
        # All views at once: the reference set is read from memory once.
        views = self._views(batch, length, modes)
        points = {mode: torch.cat([view[mode] for view in views]) for mode in modes}
        people = None if person is None else person.repeat(len(views))
        scores = self.normality[length].scores(points, people)
        return {
            mode: combine_views(mode, torch.unflatten(score, 0, (len(views), -1)))
            for mode, score in scores.items()
        }

    def _views(self, batch: Batch, length: int, modes: Sequence[str]) -> list[dict[str, Tensor]]:
        """Points of each view of the windows of a batch."""
        views = [
            self.normality[length].project(self.encoder(batch, choice, modes))
            for choice in range(self.encoder.pipeline.augment.num_scored)
        ]
        # A part may give points of several modes.
        return [{mode: points[mode] for mode in modes} for points in views]

    @torch.no_grad()
    def points(self, windows: PoseWindows) -> dict[str, Tensor]:
        r"""Points of all :math:`A` views of windows of one length.

        Args:
            windows: :math:`W` windows.

        Returns:
            Points :math:`[A W, d]` by mode, view after view
            (:meth:`~gepc_geo.density.normality.Normality.project`).
        """
        batches = [
            self._views(batch, windows.length, self.own_modes)
            for batch in scoring_loader(windows, self.device)
        ]
        views = [view for same_view in zip(*batches, strict=True) for view in same_view]
        return {mode: torch.cat([view[mode] for view in views]) for mode in self.own_modes}

    @torch.no_grad()
    def score_few(
        self,
        windows: PoseWindows,
        modes: Sequence[str] | None = None,
        overlap: np.ndarray | None = None,
    ) -> WindowScores:
        r"""Scores a few windows quickly.

        Unlike :meth:`__call__` it does not fill batches, so the rounding of a score depends on the
        other windows, and it does not refuse scores that are not finite.

        Args:
            windows: Windows of the lengths of ``normality``.
            modes: Some of :attr:`modes`. (default: all)
            overlap: As in :meth:`from_raw`. (default: ``None``)
        """
        modes = self.modes if modes is None else modes
        own = own_modes(modes)
        raw = {
            mode: torch.zeros(len(windows), dtype=torch.float64, device=self.device) for mode in own
        }
        for batch in scoring_loader(windows, self.device):
            for mode, score in self._score_batch(batch, batch.x.size(1), own, None).items():
                raw[mode][batch.window] = score
        return self.from_raw(windows, raw, modes, overlap)

    def full_batches(self, windows: PoseWindows) -> Iterator[tuple[Batch, Tensor, int]]:
        """Batches of one size.

        The last batch of a length is filled by repeats of a window. PyTorch chooses kernels, which
        round differently, by the size of a batch; with one size the score of a window does not
        depend on the other windows.

        Args:
            windows: Windows of the lengths of ``normality``.

        Returns:
            Batches, the positions of their first windows without repeats, and their lengths.
        """
        loader = scoring_loader(windows, self.device)
        for index in loader.split(torch.arange(len(windows), device=self.device)):
            full = torch.cat([index, index[:1].expand(loader.batch_size - len(index))])
            batch = loader.gather(full)
            yield batch, index, batch.x.size(1)

    @torch.no_grad()
    def coordinates(self, windows: PoseWindows) -> tuple[np.ndarray | None, np.ndarray]:
        r"""Assignments of windows of one length, and their coordinates in mode ``nearest``.

        Args:
            windows: :math:`W` windows, used without augmentation.

        Returns:
            Soft assignments (eq. 1) :math:`[W, K]` (``None`` without a network), and the
            coordinates in which ``nearest`` measures distances, :math:`[W, d]`; both float64.
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
        # Once for all batches: each read synchronises the GPU.
        bad = ~torch.stack([score.isfinite() for score in scores.values()]).all(0)
        if bool(bad.any()):
            first = int(bad.int().argmax())
            name = windows.table.source.clip_names[windows.clip[first]]
            raise InputError(
                f"the score of person {windows.track[first]} from frame {windows.frame[first]} of "
                f"clip {name!r} must be finite, got NaN or infinity: its poses may have other "
                "sizes than those in training"
            )
