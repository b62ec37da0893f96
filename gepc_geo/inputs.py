"""From tracks to the tensors a model takes: windows, augmentation, normalisation, standardisation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch
from torch_geometric.transforms import Compose

from gepc_geo.errors import InputError
from gepc_geo.loader import WindowLoader
from gepc_geo.nn import to_dense
from gepc_geo.options import Options
from gepc_geo.tracks import PoseTracks, check_tracks
from gepc_geo.transforms import AlignRoot, Augment, normalize
from gepc_geo.windows import PoseWindows, resample_clips

# Variance of all motion channels together over that of the coordinates. Chosen on training halves of
# Penn Action and NW-UCLA and on simulated crowds; motion as loud as poses (it is the same at every
# joint) drowns them, and with less than this Penn Action, where motion tells most, loses.
_MOTION_SHARE = 0.2
# Enough windows for channel statistics to a fraction of a percent.
_STATISTICS_WINDOWS = 20_000


class InputPipeline:
    r"""Everything between :class:`~gepc_geo.PoseTracks` and the network's input.

    The network's input is :math:`[B, T, V, C]`: normalised coordinates (less each one's training mean,
    over the deviation of all), features (each standardised), motion channels (each standardised, and
    scaled so that all of them together have 0.2 of the coordinates' variance), and last the
    confidence.

    Args:
        skeleton: The joints (:class:`~gepc_geo.Skeleton`).
        dims: Coordinates of a joint, 2 or 3.
        num_features: Further channels of a joint.
        options: Window, input and augmentation options.
    """

    def __init__(self, skeleton: Any, dims: int, num_features: int, options: Options) -> None:
        self.skeleton, self.dims, self.num_features = skeleton, dims, num_features
        self.options = options
        self.augment = Augment(skeleton, dims, options.augment)
        # Alignment comes before the augmentation, whose turns it would undo, the rest after it.
        self.align = AlignRoot(skeleton, dims) if options.align else Compose([])
        self.normalize = normalize(
            skeleton,
            dims,
            scale=options.scale,
            center=options.center,
            align=False,
            motion=options.motion,
        )
        self.mean = torch.zeros(0)
        self.std = torch.ones(0)

    def check(self, tracks: PoseTracks) -> None:
        """Raises an :class:`~gepc_geo.errors.InputError` unless ``tracks`` fit this pipeline."""
        check_tracks(tracks)
        if tracks.skeleton != self.skeleton:
            raise InputError(
                f"the poses have skeleton {tracks.skeleton.name!r} ({tracks.num_joints} joints), expected that of "
                f"the training, {self.skeleton.name!r} ({self.skeleton.num_joints} joints)"
            )
        if tracks.dims != self.dims:
            raise InputError(f"the poses have {tracks.dims} coordinates, expected {self.dims}")
        count = tracks.num_features
        if count != self.num_features:
            raise InputError(
                f"the poses have {count} features a joint, expected {self.num_features}"
            )
        if self.options.scale == "image":
            lost = np.isnan(tracks.image_size).any(axis=1)
            if lost.any():
                raise InputError(
                    f"clip {tracks.clip_names[int(np.argmax(lost))]!r} has no image size, "
                    "which scale 'image' needs; expected one, or scale torso, height or rms"
                )

    def windows(self, tracks: PoseTracks, stride: int) -> PoseWindows:
        """The windows of ``tracks``; with the option ``frames``, one for each person and clip."""
        self.check(tracks)
        if self.options.frames is not None:
            tracks = resample_clips(tracks, self.options.frames)
        return PoseWindows(
            tracks, length=self.options.length, stride=stride, max_gap=self.options.max_gap
        )

    def training_windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows to learn from: every ``stride`` frames, none padded.

        Raises:
            InputError: Fewer than 2 of them.
        """
        windows = self.windows(tracks, self.options.stride)
        windows = windows.without_padded()
        if len(windows) < 2:
            raise InputError(
                f"the training poses give {len(windows)} windows of {self.options.length} frames, "
                "expected at least 2 (longer tracks, a shorter window, or frames for whole clips)"
            )
        return windows

    def fit(self, loader: WindowLoader) -> InputPipeline:
        """Measures each channel's mean and deviation over (up to 20,000 of) the loader's windows."""
        count = len(loader.windows)
        chosen = torch.linspace(0, count - 1, min(count, _STATISTICS_WINDOWS)).long()
        total = square = torch.zeros((), dtype=torch.float64)
        seen = 0
        for index in chosen.to(loader.device).split(loader.batch_size):
            x = self._normalized(loader.gather(index))[..., :-1].double()
            total = total + x.sum((0, 1, 2))
            square = square + x.square().sum((0, 1, 2))
            seen += x[..., 0].numel()
        mean = total / seen
        variance = (square / seen - mean.square()).clamp(min=0)
        motion = len(mean) - self.dims - self.num_features
        # One number for all coordinates: a body keeps its proportions.
        variance[: self.dims] = variance[: self.dims].mean()
        if motion:
            variance[-motion:] *= motion / (_MOTION_SHARE * self.dims)
        self.mean = mean.float()
        # A channel that never changes must not be blown up by its rounding noise.
        self.std = variance.sqrt().float().clamp(min=1e-4)
        return self

    def tensor(self, batch: Batch, choice: Tensor | None = None) -> Tensor:
        r"""The network's input :math:`[B, T, V, C]` for a batch of windows.

        Args:
            batch: From :class:`~gepc_geo.loader.WindowLoader`.
            choice: :math:`[B]` augmentation of each window; default: none of them.
        """
        x = self._normalized(batch, choice)
        return torch.cat([(x[..., :-1] - self.mean) / self.std, x[..., -1:]], dim=-1)

    @property
    def num_channels(self) -> int:
        """Channels of the network's input, the confidence included."""
        return len(self.mean) + 1

    def to(self, device: torch.device) -> InputPipeline:
        """Moves the statistics and the augmentations to a device."""
        self.augment.to(device)
        self.mean, self.std = self.mean.to(device), self.std.to(device)
        return self

    def _normalized(self, batch: Batch, choice: Tensor | None = None) -> Tensor:
        batch, dtype = copy.copy(batch), batch.x.dtype
        # Far from the image's corner the differences between joints keep few of float32's digits, and
        # scores would differ in the fourth digit from runtime to runtime.
        batch.x = batch.x.double()
        batch = self.align(batch)
        if choice is not None and self.augment.num_choices > 1:
            batch = self.augment.apply(batch, choice)
        x = to_dense(self.normalize(batch).x, self.skeleton.num_joints)
        # The confidence goes last, so that what is to be reconstructed is x[..., :-1].
        coordinates, confidence, rest = x.split([self.dims, 1, x.size(-1) - self.dims - 1], dim=-1)
        return torch.cat([coordinates, rest, confidence], dim=-1).to(dtype)
