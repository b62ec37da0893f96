"""The skeleton-trajectory model of Morais et al. (CVPR 2019) as a detector on windows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo.baselines.base import OptionsEstimator
from gepc_geo.baselines.mped_rnn import MPEDRNN, Skeletons, decompose
from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.refitting import refitted
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader, to_dense
from gepc_geo.windows.pipeline import InputPipeline

# Windows a forward pass takes when nothing is learned.
_SCORE_BATCH = 512
# Enough windows for quantiles to a percent or two.
_STATISTICS_WINDOWS = 5_000
# Of what a channel is scaled by, the least share of its component's mean.
_LEAST_SPREAD = 0.1
# Below this (shares of a box or an image; pixels) a spread is rounding noise.
_NO_SPREAD = 1e-4


class SkeletonTrajectories(OptionsEstimator):
    r"""Message-passing encoder-decoder network on trajectories of 2D skeletons.

    Morais et al., *Learning Regularity in Skeleton Trajectories for Anomaly Detection in Videos*
    (CVPR 2019): skeletons are split into their box and the joints within it, a recurrent network
    reconstructs the first two thirds of a window and predicts the rest of it
    (:class:`~gepc_geo.baselines.mped_rnn.MPEDRNN`), and what it gets wrong in the image is the score.
    Joints without confidence weigh nothing in the boxes, the losses and the score.

    Args:
        options: ``window``, ``frames``, ``stride``, ``score_stride`` and ``max_gap`` make the
            windows; ``batch_size``, ``budget``, ``lr`` and ``random_state`` the training (Adam at a constant
            rate, as published; without a budget 200,000 passes). The others are not looked at.
            (default: all defaults)

    Attributes:
        supervised: It learns from no classes.
        levels: What it is meant to score.
        model\_: The trained network.
        losses\_: :math:`[S]` float32, the loss of each training step.
    """

    supervised: ClassVar[bool] = False
    levels: ClassVar[tuple[str, ...]] = ("clip", "frame")

    def fit(
        self, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> SkeletonTrajectories:
        """Trains on normal poses.

        Args:
            tracks: Normal behaviour only, in 2D. Where all clips have an image size, positions are
                shares of the image, else pixels.
            y: Ignored, for scikit-learn.
            device: ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.

        Raises:
            InputError: An option that is not allowed, something else than
                :class:`~gepc_geo.PoseTracks`, 3D poses, poses without extent, fewer than 2
                full windows, a loss that is no number any more.
        """
        options, target = self._options, pick_device(device)
        options.check()
        check_tracks(tracks)
        if tracks.dims != 2:
            raise InputError(
                f"the poses have {tracks.dims} coordinates, expected 2 (the skeleton-trajectory "
                "model is one of positions in an image)"
            )
        with refitted(self) as fresh:
            # Frames are observed and predicted: of one length, the shortest.
            options.lengths = [str(options.frames_of(tracks.usual_fps)[0])]
            fresh.pipeline_ = InputPipeline.for_tracks(tracks, options)
            windows = fresh.pipeline_.training_windows(tracks)
            fresh.by_image_ = not np.isnan(tracks.image_size).any()
            fresh.observed_ = round(2 / 3 * windows.length)
            loader = WindowLoader(windows, batch_size=options.batch_size, device=target)
            fresh._measure(loader)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(options.random_state)
                model = MPEDRNN(tracks.num_joints, windows.length - fresh.observed_)
            fresh.model_ = model.to(target)
            fresh._train(loader)
        return self

    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored: every ``score_stride`` frames, short tracks padded.

        Raises:
            InputError: Nothing was fitted yet, poses of another kind than those of the training.
        """
        self.check_fitted()
        windows = self.pipeline_.windows(tracks, self.pipeline_.options.score_stride)
        lost = np.isnan(tracks.image_size).any(axis=1)
        if self.by_image_ and lost.any():
            raise InputError(
                f"clip {tracks.clip_names[int(np.argmax(lost))]!r} has no image size, "
                "expected one as in the training poses"
            )
        return windows

    @torch.no_grad()
    def decision_function(self, tracks: PoseTracks) -> np.ndarray:
        r"""The perceptual loss of each of :meth:`windows` (eq. 16), :math:`[W]` float64.

        Higher is more abnormal. Half of it is the reconstruction's, half the prediction's.
        """
        windows = self.windows(tracks)
        device = next(self.model_.parameters()).device
        parts = [torch.zeros(0, device=device)]
        for batch in WindowLoader(windows, batch_size=_SCORE_BATCH, device=device):
            parts.append(self._errors(batch).image)
        return torch.cat(parts).double().cpu().numpy()

    # -- training ------------------------------------------------------------------------------

    def _measure(self, loader: WindowLoader) -> None:
        """Median and spread of each channel where it was seen (section 3.5)."""
        count = len(loader.windows)
        chosen = torch.linspace(0, count - 1, min(count, _STATISTICS_WINDOWS)).long()
        skeletons, seen = self._skeletons(loader.gather(chosen))
        if not bool((skeletons.box[..., 2:].flatten(0, 1).median(0).values > 0).all()):
            raise InputError(
                "the bounding boxes of the training poses have a median width or height of 0, "
                "expected poses of more than one joint, with an extent"
            )
        measured = [
            _center_and_spread(torch.where(part_seen, part, torch.nan).flatten(0, 1))
            for part, part_seen in zip(skeletons, seen, strict=True)
        ]
        self.center_, self.spread_ = (Skeletons(*part) for part in zip(*measured, strict=True))

    def _train(self, loader: WindowLoader) -> None:
        options, count = self._options, len(loader.windows)
        optimizer = torch.optim.Adam(self.model_.parameters(), lr=options.lr, fused=True)
        # Drawn on the CPU: the same order on every device.
        generator = torch.Generator().manual_seed(options.random_state)
        losses: list[Tensor] = []
        left = self._passes
        while left > 0:
            order = torch.randperm(count, generator=generator)[:left].to(loader.device)
            left -= len(order)
            for batch in loader.batches(order):
                # Eq. 15; the published model weighs the three alike.
                loss = torch.stack(self._errors(batch)).sum(0).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        self.losses_ = torch.stack(losses).cpu().numpy() if losses else np.zeros(0, np.float32)
        bad = ~np.isfinite(self.losses_)
        if bad.any():
            raise InputError(
                f"the loss is {self.losses_[bad][0]} at step {int(bad.argmax())}, expected finite "
                f"numbers (lower the learning rate {options.lr:g})"
            )

    # -- losses --------------------------------------------------------------------------------

    def _skeletons(self, batch: Batch) -> tuple[Skeletons, Skeletons]:
        """A batch's skeletons in their components, and which of their channels were seen."""
        x = to_dense(batch.x, self.pipeline_.skeleton.num_joints)
        keypoints, seen = x[..., :2], x[..., 2] > 0
        if self.by_image_:
            keypoints = keypoints / batch.image_size[:, None, None, :]
        skeletons = decompose(keypoints, seen)
        of_joints = seen.repeat_interleave(2, dim=-1)
        of_box = seen.any(-1, keepdim=True).expand(skeletons.box.shape)
        return skeletons, Skeletons(of_box, of_joints, of_joints)

    def _errors(self, batch: Batch) -> Skeletons:
        r"""Each window's mean squared error in each frame of reference (eq. 14), :math:`[B]` each."""
        skeletons, seen = self._skeletons(batch)
        truth = Skeletons(
            *(
                (part - center) / spread
                for part, center, spread in zip(skeletons, self.center_, self.spread_, strict=True)
            )
        )
        decoded = self.model_(truth.box[:, : self.observed_], truth.local[:, : self.observed_])
        return Skeletons(
            *(
                (self._weights(known) * (one - other).square()).sum((1, 2))
                for known, one, other in zip(seen, decoded, truth, strict=True)
            )
        )

    def _weights(self, seen: Tensor) -> Tensor:
        r"""Weights of channels :math:`[B, T, C]`: half for what is reconstructed, half for the rest.

        Within each half all that was seen weighs alike; where nothing was, the other half is all.
        """
        halves = (seen[:, : self.observed_].float(), seen[:, self.observed_ :].float())
        weights = [half / half.sum((1, 2), keepdim=True).clamp(min=1) for half in halves]
        both = torch.cat(weights, dim=1)
        # A window's sum is 0, 1 or 2, up to rounding.
        return both / both.sum((1, 2), keepdim=True).round().clamp(min=1)


def _center_and_spread(values: Tensor) -> tuple[Tensor, Tensor]:
    r"""Median and distance of the 10th from the 90th percentile of channels :math:`[N, C]`.

    NaN is left out. A joint that nearly always bounds the box hardly moves in it: its few departures
    must not outweigh everything else, so that no spread is far below those of the other channels.
    """
    levels = torch.tensor([0.1, 0.5, 0.9], device=values.device)
    # Channel for channel: torch takes quantiles of 16 million values at most.
    quantiles = torch.stack([one.nanquantile(levels) for one in values.unbind(1)], dim=1)
    low, median, high = quantiles.nan_to_num(0)  # of a joint that was never seen
    spread = high - low
    spread = torch.maximum(spread, _LEAST_SPREAD * spread.mean())
    return median, torch.where(spread > _NO_SPREAD, spread, 1.0)
