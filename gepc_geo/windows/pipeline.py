"""Conversion of tracks to model input: windows, augmentation, normalisation, standardisation."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch_geometric.data import Batch
from torch_geometric.transforms import Compose

from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.transforms.augment import Augment
from gepc_geo.transforms.base import join_channels
from gepc_geo.transforms.normalize import AlignRoot, normalize
from gepc_geo.transforms.spectral import spectrum
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader, to_dense
from gepc_geo.windows.quality import PoseQuality, Quality
from gepc_geo.windows.resampling import resample_clips

# Variance relative to that of all coordinates: of the velocity's channels together, of the log
# speed, and of the growth. Chosen on training halves of Penn Action and NW-UCLA (docs/results.md).
_MOTION_SHARE = 0.4
# This many windows determine channel statistics to a fraction of a percent.
_STATISTICS_WINDOWS = 20_000
# The statistics in a saved model.
_STATISTICS = ("mean", "std", "motion_mean", "motion_std")


class Inputs(NamedTuple):
    r"""Standardised input of :math:`B` windows.

    Attributes:
        body: :math:`[B, S, V, C]`: coordinates and features, as coefficients or frames.
        motion: :math:`[B, S', M]`: motion of the whole person, with :math:`S' \le S` coefficients.
        confidence: :math:`[B, S, V]`: confidence; its mean over time for coefficients.
    """

    body: Tensor
    motion: Tensor
    confidence: Tensor

    def tensor(self) -> Tensor:
        r"""A network's input :math:`[B, S, V, C']`: body, motion at every joint, confidence."""
        joints, steps = self.body.size(2), self.body.size(1)
        # The divisor keeps the weight of motion independent of the number of joints.
        motion = pad(self.motion, (0, 0, 0, steps - self.motion.size(1))) / math.sqrt(joints)
        motion = motion[:, :, None].expand(-1, -1, joints, -1)
        return torch.cat([self.body, motion, self.confidence[..., None]], dim=-1)

    def flat(self) -> Tensor:
        r"""Rows :math:`[B, D]` for densities: the flattened body, then the flattened motion."""
        return torch.cat([self.body.flatten(1), self.motion.flatten(1)], dim=1)


class InputPipeline:
    r"""Converts :class:`~gepc_geo.PoseTracks` to the input of networks and densities.

    A window's frames become the lowest ``coefficients`` of their cosine transform over time
    (:mod:`gepc_geo.transforms.spectral`): :math:`S` steps, at most the frames of the shortest
    window, so that windows of all lengths have the same size. With ``coefficients`` 0 the steps are
    the :math:`S = T` frames. Standardisation subtracts the training mean of each value and scales
    the channels: all coordinates alike, to a mean variance of 1; each feature to a variance of 1;
    motion channels, which have fewer coefficients, to 0.4 of the total variance of coordinates: the
    velocity's channels together, the log speed, and the growth.

    Args:
        skeleton: The joints (:class:`~gepc_geo.Skeleton`).
        dims: Coordinates of a joint, 2 or 3.
        num_features: Additional channels of a joint.
        options: Window, input and augmentation options.
        lengths: Frames of windows, ascending.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        dims: int,
        num_features: int,
        options: Options,
        lengths: Sequence[int],
    ) -> None:
        self.skeleton, self.dims, self.num_features = skeleton, dims, num_features
        self.options, self.lengths = options, tuple(lengths)
        #: Steps of a window: coefficients or frames.
        self.num_steps = min(options.coefficients or self.lengths[0], self.lengths[0])
        #: Steps of motion, at most those of a window.
        self.motion_steps = self.num_steps
        if options.coefficients:
            self.motion_steps = min(options.motion_coefficients, self.num_steps)
        self.augment = Augment(skeleton, dims, options.augment)
        # Alignment precedes the augmentation, whose rotations it would undo.
        self.align = AlignRoot(skeleton, dims) if options.align else Compose([])
        self.normalize = normalize(
            skeleton,
            dims,
            scale=options.scale,
            center=options.center,
            align=False,
            motion=options.motion,
        )
        #: Judges poses; ``None`` if tracking faults are not skipped.
        self.quality: PoseQuality | None = None
        # Body: [S, V, C] and [C]; motion: [S', M] and [M].
        self.mean, self.std = torch.zeros(0), torch.ones(0)
        self.motion_mean, self.motion_std = torch.zeros(0), torch.ones(0)

    @classmethod
    def for_tracks(cls, tracks: PoseTracks, options: Options) -> InputPipeline:
        """A pipeline with the skeleton of ``tracks`` and window lengths at their frame rate.

        Args:
            tracks: The poses.
            options: Window, input and augmentation options.

        Raises:
            InputError: As :meth:`~gepc_geo.options.Options.check_windows`.
        """
        lengths = options.frames_of(tracks.usual_fps)
        options.check_windows(lengths)
        return cls(tracks.skeleton, tracks.dims, tracks.num_features, options, lengths)

    def check(self, tracks: PoseTracks) -> None:
        """Checks that ``tracks`` have the skeleton, coordinates and features of this pipeline.

        Raises:
            InputError: They have not, or an image size is missing with scale ``"image"``.
        """
        check_tracks(tracks)
        if tracks.skeleton != self.skeleton:
            raise InputError(
                f"the poses must have the skeleton of the training, {self.skeleton.name!r} "
                f"({self.skeleton.num_joints} joints), got {tracks.skeleton.name!r} "
                f"({tracks.num_joints} joints)"
            )
        if tracks.dims != self.dims:
            raise InputError(f"the poses must have {self.dims} coordinates, got {tracks.dims}")
        count = tracks.num_features
        if count != self.num_features:
            raise InputError(
                f"the poses must have {self.num_features} features a joint, got {count}"
            )
        if self.options.scale == "image":
            unknown = np.isnan(tracks.image_size).any(axis=1)
            if unknown.any():
                raise InputError(
                    f"clip {tracks.clip_names[int(np.argmax(unknown))]!r} must have an image size "
                    "for scale 'image', got none: give one, or use scale rms"
                )

    def windows(self, tracks: PoseTracks, stride: int) -> PoseWindows:
        """The windows of ``tracks``, or one window a person and clip with the option ``frames``.

        Args:
            tracks: The poses.
            stride: Frames between the starts of windows.

        Raises:
            InputError: As :meth:`check`.
        """
        self.check(tracks)
        if self.options.frames is not None:
            tracks = resample_clips(tracks, self.options.frames)
        return PoseWindows(tracks, self.lengths, stride, self.options.max_gap)

    def training_windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows for training: every ``stride`` frames of the options, without padded ones.

        Raises:
            InputError: As :meth:`check`; fewer than 2 windows.
        """
        windows = self.windows(tracks, self.options.stride)
        windows = windows.without_padded()
        if len(windows) < 2:
            raise InputError(
                f"the training poses must give at least 2 windows of {self.lengths[0]} frames, got "
                f"{len(windows)}: use longer tracks, a shorter window, or frames for whole clips"
            )
        return windows

    def quality_of(self, windows: PoseWindows, overlap: np.ndarray | None = None) -> Quality | None:
        """Quality of windows; ``None`` if tracking faults are not skipped.

        Args:
            windows: The windows.
            overlap: As in :meth:`~gepc_geo.windows.quality.PoseQuality.windows`.
                (default: ``None``)
        """
        return None if self.quality is None else self.quality.windows(windows, overlap)

    def sound(self, windows: PoseWindows, overlap: np.ndarray | None = None) -> PoseWindows:
        """The windows without tracking faults; all if tracking faults are not skipped.

        Args:
            windows: The windows.
            overlap: As in :meth:`quality_of`. (default: ``None``)
        """
        quality = self.quality_of(windows, overlap)
        return windows if quality is None else windows.subset(~quality.fault)

    def fit(self, loader: WindowLoader) -> InputPipeline:
        """Measures means and standard deviations over at most 20,000 of the loader's windows."""
        count = len(loader.windows)
        chosen = torch.linspace(0, count - 1, min(count, _STATISTICS_WINDOWS)).long()
        seen, sums = 0, [torch.zeros((), dtype=torch.float64)] * 4
        for index in loader.split(chosen.to(loader.device)):
            parts = [part.double() for part in self._spectra(loader.gather(index))[:2]]
            seen += len(index)
            moments = [power.sum(0) for part in parts for power in (part, part.square())]
            sums = [total + moment for total, moment in zip(sums, moments, strict=True)]
        mean, square, motion_mean, motion_square = (total / seen for total in sums)
        variance = (square - mean.square()).clamp(min=0).mean((0, 1))
        # All coordinates share one value, which preserves the body's proportions.
        variance[: self.dims] = variance[: self.dims].mean()
        motion = (motion_square - motion_mean.square()).clamp(min=0).sum(0)
        # Each joint, step and coordinate has variance 1, so this is their total variance.
        total = mean.size(0) * mean.size(1) * self.dims
        if len(motion):
            share = _MOTION_SHARE * total
            motion /= motion.new_tensor([share / self.dims] * self.dims + [share, share])
        # The minimum prevents the amplification of rounding noise in constant channels.
        self.std, self.motion_std = (
            value.sqrt().float().clamp(min=1e-4) for value in (variance, motion)
        )
        self.mean, self.motion_mean = mean.float(), motion_mean.float()
        return self

    def __call__(self, batch: Batch, choice: Tensor | None = None) -> Inputs:
        r"""The standardised input of a batch of windows.

        Args:
            batch: A batch of :class:`~gepc_geo.windows.loader.WindowLoader`.
            choice: :math:`[B]` int64, augmentation of each window; default: the identity.
        """
        body, motion, confidence = self._spectra(batch, choice)
        return Inputs(
            (body - self.mean) / self.std, (motion - self.motion_mean) / self.motion_std, confidence
        )

    def tensor(self, batch: Batch, choice: Tensor | None = None) -> Tensor:
        """:meth:`Inputs.tensor` of :meth:`__call__`."""
        return self(batch, choice).tensor()

    def mixed_lengths(self, loader: WindowLoader, index: Tensor, choice: Tensor) -> Tensor:
        r"""A network's input :math:`[B, S, V, C']` of windows of any lengths, in the given order.

        Args:
            loader: The loader of the windows.
            index: :math:`[B]` int64, positions in its windows, on the host.
            choice: :math:`[B]` int64, augmentation of each window.
        """
        if len(loader.windows.lengths) == 1:
            return self.tensor(loader.gather(index), choice)
        size = torch.from_numpy(loader.windows.size)[index]
        places = [torch.nonzero(size == length).view(-1) for length in loader.windows.lengths]
        places = [place for place in places if len(place)]
        parts = [
            self.tensor(loader.gather(index[place]), choice[place.to(choice.device)])
            for place in places
        ]
        order = torch.cat(places).argsort().to(choice.device)
        return torch.cat(parts)[order]

    @property
    def num_channels(self) -> int:
        """The number of channels of the network's input, confidence included."""
        return len(self.std) + len(self.motion_std) + 1

    def to(self, device: torch.device) -> InputPipeline:
        """Moves the statistics and the augmentations to a device."""
        self.augment.to(device)
        for name, value in self.state_dict().items():
            setattr(self, name, value.to(device))
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """The statistics that :meth:`fit` measures."""
        return {name: getattr(self, name) for name in _STATISTICS}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Sets the statistics of :meth:`state_dict`."""
        for name in _STATISTICS:
            setattr(self, name, state[name])

    def _spectra(self, batch: Batch, choice: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Body [B, S, V, C], motion [B, S', M], confidence [B, S, V] before standardisation."""
        x, dtype = self._normalized(batch, choice), batch.x.dtype
        joints = x.size(2)
        coordinates, confidence, features, motion = torch.split(
            x,
            [self.dims, 1, self.num_features, x.size(3) - self.dims - 1 - self.num_features],
            dim=3,
        )
        # Motion is equal for all joints.
        body, motion = torch.cat([coordinates, features], dim=3), motion[:, :, 0]
        confidence = confidence[..., 0]
        if self.options.coefficients:
            body = torch.unflatten(spectrum(body.flatten(2), self.num_steps), 2, (joints, -1))
            motion = spectrum(motion, self.motion_steps)
            confidence = confidence.mean(1, keepdim=True).expand(-1, self.num_steps, -1)
        return body.to(dtype), motion.to(dtype), confidence.to(dtype)

    def _normalized(self, batch: Batch, choice: Tensor | None = None) -> Tensor:
        """Normalised coordinates, confidence, features and motion [B, T, V, C].

        Far from the origin, float32 keeps few digits of the differences between joints, and scores
        would differ in the fourth digit between runtimes. Each window is first moved to the origin;
        all later steps are invariant to translation.
        """
        batch, joints = copy.copy(batch), self.skeleton.num_joints
        x = batch.x.unflatten(0, (-1, joints))
        corner = x[:, :1, :1, : self.dims].double()
        near = (x[..., : self.dims].double() - corner).to(x.dtype)
        batch.x = join_channels(near, x[..., self.dims :]).flatten(0, 1)
        batch = self.align(batch)
        if choice is not None and self.augment.num_choices > 1:
            batch = self.augment.apply(batch, choice)
        return to_dense(self.normalize(batch).x, joints)
