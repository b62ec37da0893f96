"""Skeleton-trajectory model of Morais et al. (CVPR 2019) as a baseline on windows."""

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

# Batch size without training.
_SCORE_BATCH = 512
# Windows for quantiles, exact to one or two percent.
_STATISTICS_WINDOWS = 5_000
# Least spread of a channel, relative to the mean of its component.
_LEAST_SPREAD = 0.1
# A smaller spread (in shares of a box or an image, or in pixels) is rounding noise.
_NO_SPREAD = 1e-4


class SkeletonTrajectories(OptionsEstimator):
    r"""Message-passing encoder-decoder network on trajectories of 2D skeletons.

    Source: Morais et al., *Learning Regularity in Skeleton Trajectories for Anomaly Detection in
    Videos* (CVPR 2019). A skeleton is split into its box and the joints within it. A recurrent
    network (:class:`~gepc_geo.baselines.mped_rnn.MPEDRNN`) reconstructs the first two thirds of a
    window and predicts the rest. The score is the error in the image. Joints without confidence do
    not count in the boxes, the losses and the score.

    Args:
        options: Options of a detector. ``window``, ``frames``, ``stride``, ``score_stride`` and
            ``max_gap`` define the windows; ``batch_size``, ``budget``, ``lr`` and ``random_state``
            define the training (Adam at a constant rate, as published; 200,000 window passes
            without a budget). Other options are not used. (default: all defaults)

    Attributes:
        supervised: False; training uses no classes.
        levels: Levels that the baseline is made to score.
        model\_: The trained network.
        losses\_: Loss of each training step, :math:`[S]` float32.
    """

    supervised: ClassVar[bool] = False
    levels: ClassVar[tuple[str, ...]] = ("clip", "frame")

    def fit(
        self, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> SkeletonTrajectories:
        """Trains on normal poses.

        Args:
            tracks: Poses of normal behaviour, in 2D. If all clips have an image size, positions are
                shares of the image, else pixels.
            y: Not used; for compatibility with scikit-learn.
            device: ``"auto"`` (CUDA if available), ``"cpu"`` or ``"cuda"``. (default: ``"auto"``)

        Returns:
            The fitted baseline.

        Raises:
            InputError: An option is invalid, ``tracks`` are not :class:`~gepc_geo.PoseTracks`, are
                in 3D, have no extent or fewer than 2 full windows, or the loss becomes NaN or
                infinite.
        """
        options, target = self._options, pick_device(device)
        options.check()
        check_tracks(tracks)
        if tracks.dims != 2:
            raise InputError(
                "poses must have 2 coordinates for the skeleton-trajectory model, "
                f"got {tracks.dims}"
            )
        with refitted(self) as fresh:
            # Windows have one length, the shortest of the options.
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
        """Windows to score: one every ``score_stride`` frames; short tracks are padded.

        Raises:
            InputError: The baseline is not fitted, or the poses differ in kind from the training
                poses.
        """
        self.check_fitted()
        windows = self.pipeline_.windows(tracks, self.pipeline_.options.score_stride)
        missing = np.isnan(tracks.image_size).any(axis=1)
        if self.by_image_ and missing.any():
            raise InputError(
                "every clip must have an image size, as in the training poses, got none for "
                f"{tracks.clip_names[int(np.argmax(missing))]!r}"
            )
        return windows

    @torch.no_grad()
    def decision_function(self, tracks: PoseTracks) -> np.ndarray:
        r"""Perceptual loss of each window of :meth:`windows` (eq. 16), :math:`[W]` float64.

        Higher is more abnormal. Reconstruction and prediction have the same weight.
        """
        windows = self.windows(tracks)
        device = next(self.model_.parameters()).device
        errors = [torch.zeros(0, device=device)]
        for batch in WindowLoader(windows, batch_size=_SCORE_BATCH, device=device):
            errors.append(self._errors(batch).image)
        return torch.cat(errors).double().cpu().numpy()

    # -- training ------------------------------------------------------------------------------

    def _measure(self, loader: WindowLoader) -> None:
        """Computes median and spread of each channel over detected joints (section 3.5)."""
        count = len(loader.windows)
        chosen = torch.linspace(0, count - 1, min(count, _STATISTICS_WINDOWS)).long()
        skeletons, seen = self._skeletons(loader.gather(chosen))
        if not bool((skeletons.box[..., 2:].flatten(0, 1).median(0).values > 0).all()):
            raise InputError(
                "median width and height of the boxes of training poses must be more than 0, got 0"
            )
        measured = [
            _center_and_spread(torch.where(mask, values, torch.nan).flatten(0, 1))
            for values, mask in zip(skeletons, seen, strict=True)
        ]
        self.center_, self.spread_ = (Skeletons(*values) for values in zip(*measured, strict=True))

    def _train(self, loader: WindowLoader) -> None:
        options, count = self._options, len(loader.windows)
        optimizer = torch.optim.Adam(self.model_.parameters(), lr=options.lr, fused=True)
        # Drawn on the CPU, so that all devices have the same order.
        generator = torch.Generator().manual_seed(options.random_state)
        losses: list[Tensor] = []
        left = self._passes
        while left > 0:
            order = torch.randperm(count, generator=generator)[:left].to(loader.device)
            left -= len(order)
            for batch in loader.batches(order):
                # Eq. 15 with equal weights, as published.
                loss = torch.stack(self._errors(batch)).sum(0).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        self.losses_ = torch.stack(losses).cpu().numpy() if losses else np.zeros(0, np.float32)
        bad = ~np.isfinite(self.losses_)
        if bad.any():
            raise InputError(
                f"the loss must be finite, got {self.losses_[bad][0]} at step {int(bad.argmax())} "
                f"(lower the learning rate {options.lr:g})"
            )

    # -- losses --------------------------------------------------------------------------------

    def _skeletons(self, batch: Batch) -> tuple[Skeletons, Skeletons]:
        """Skeletons of a batch, and masks of their detected channels."""
        x = to_dense(batch.x, self.pipeline_.skeleton.num_joints)
        keypoints, seen = x[..., :2], x[..., 2] > 0
        if self.by_image_:
            keypoints = keypoints / batch.image_size[:, None, None, :]
        skeletons = decompose(keypoints, seen)
        joints = seen.repeat_interleave(2, dim=-1)
        box = seen.any(-1, keepdim=True).expand(skeletons.box.shape)
        return skeletons, Skeletons(box, joints, joints)

    def _errors(self, batch: Batch) -> Skeletons:
        r"""Mean squared errors of windows in each frame of reference (eq. 14), :math:`[B]` each."""
        skeletons, seen = self._skeletons(batch)
        truth = Skeletons(
            *(
                (values - center) / spread
                for values, center, spread in zip(
                    skeletons, self.center_, self.spread_, strict=True
                )
            )
        )
        decoded = self.model_(truth.box[:, : self.observed_], truth.local[:, : self.observed_])
        return Skeletons(
            *(
                (self._weights(mask) * (output - target).square()).sum((1, 2))
                for mask, output, target in zip(seen, decoded, truth, strict=True)
            )
        )

    def _weights(self, seen: Tensor) -> Tensor:
        r"""Weights of channels :math:`[B, T, C]`: half for reconstruction, half for prediction.

        Within a half, all detected channels have equal weights. If one half has no detected
        channels, the other half has all the weight.
        """
        halves = (seen[:, : self.observed_].float(), seen[:, self.observed_ :].float())
        weights = [half / half.sum((1, 2), keepdim=True).clamp(min=1) for half in halves]
        joined = torch.cat(weights, dim=1)
        # The sum of a window is 0, 1 or 2, up to rounding.
        return joined / joined.sum((1, 2), keepdim=True).round().clamp(min=1)


def _center_and_spread(values: Tensor) -> tuple[Tensor, Tensor]:
    r"""Median, and distance between 10th and 90th percentile, of channels :math:`[N, C]`.

    NaN does not count. A joint that nearly always bounds the box has a small spread, and its rare
    other positions would dominate the loss. The spread is therefore at least a share of the mean.
    """
    levels = torch.tensor([0.1, 0.5, 0.9], device=values.device)
    # One channel at a time: quantiles in torch are limited to 16 million values.
    quantiles = torch.stack([channel.nanquantile(levels) for channel in values.unbind(1)], dim=1)
    low, median, high = quantiles.nan_to_num(0)  # NaN: never detected
    spread = high - low
    spread = torch.maximum(spread, _LEAST_SPREAD * spread.mean())
    return median, torch.where(spread > _NO_SPREAD, spread, 1.0)
