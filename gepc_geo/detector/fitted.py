"""What a fitted detector says of poses."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.normality import Normality
from gepc_geo.detector.estimator import Estimator, NotFittedError
from gepc_geo.errors import InputError
from gepc_geo.options import MODES, NETWORK_MODES, Options
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.scoring.calibration import Calibration
from gepc_geo.scoring.joint_shares import joint_shares
from gepc_geo.scoring.scorer import WindowScorer, WindowScores, scoring_loader
from gepc_geo.training.holdout import hold_out
from gepc_geo.training.network import Network, latents
from gepc_geo.windows.dataset import PoseWindows

_Self = TypeVar("_Self", bound="FittedDetector")
_NO_NETWORK = (
    "this detector has no network, expected one fitted with a mode of a network "
    f"({', '.join(NETWORK_MODES)}; on the command line train --preset gepc)"
)


class FittedDetector(Estimator, Options):
    """Scores of windows by what was fitted, in every scoring mode; :class:`gepc_geo.GEPC` adds the fit.

    Attributes and parameters are those of :class:`gepc_geo.GEPC`.
    """

    options_: Options
    modes_: tuple[str, ...]
    lengths_: tuple[int, ...]
    skeleton_: Skeleton
    dims_: int
    num_features_: int
    network_: Network | None
    scorer_: WindowScorer
    calibration_: Calibration
    reconstruction_share_: float
    trained_on_: dict[str, int]
    fps_: float
    alarm_: dict[str, Any] | None

    def check_fitted(self) -> None:
        """Raises a :class:`~gepc_geo.detector.estimator.NotFittedError` unless :meth:`fit` or :meth:`load` was called."""
        if not hasattr(self, "scorer_"):
            raise NotFittedError("this detector is not fitted, expected fit() or load() first")

    def scoring_mode(self, mode: str | None) -> str:
        """The scoring mode of that name; of ``None`` the option ``mode``.

        Raises:
            InputError: A detector that is not fitted, an unknown mode, or one that there is no network for.
        """
        self.check_fitted()
        mode = self.mode if mode is None else mode
        if mode not in MODES:
            raise InputError(f"mode is {mode!r}, expected {' or '.join(MODES)}")
        if mode not in self.modes_:
            raise InputError(f"mode is {mode!r}; {_NO_NETWORK}")
        return mode

    def training_windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that :meth:`fit` learns from: those of all poses but the held-out ones.

        Raises:
            InputError: A detector that is not fitted, poses of another kind, or too few windows.
        """
        self.check_fitted()
        check_tracks(tracks)
        return self.pipeline_.training_windows(hold_out(tracks, self.options_)[0])

    def was_trained_on(self, tracks: PoseTracks) -> bool:
        """Whether poses are those of :meth:`fit`, in whatever file they lie; then scores are too low.

        Raises:
            InputError: A detector that is not fitted.
        """
        self.check_fitted()
        try:
            return self.training_windows(tracks).fingerprint() == self.trained_on_
        except InputError:
            # Nobody can be trained on them.
            return False

    # -- scores --------------------------------------------------------------------------------

    @property
    def threshold_(self) -> float:
        """The threshold of the present ``mode``."""
        return self.calibration_.thresholds[self.scoring_mode(None)]

    @threshold_.setter
    def threshold_(self, value: float) -> None:
        thresholds = self.calibration_.thresholds | {self.scoring_mode(None): value}
        # Copies of a detector share the calibration.
        self.calibration_ = replace(self.calibration_, thresholds=thresholds)

    def frame_threshold(self, mode: str | None = None) -> float:
        """The frame score that a share ``contamination`` of held-out normal people's frames exceeds.

        Args:
            mode: One of ``modes_``; default: the option ``mode``.
        """
        mode = self.scoring_mode(mode)
        return self.calibration_.frame_threshold(mode, self.options_.contamination)

    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored: of each length every ``score_stride`` frames, short tracks padded."""
        self.check_fitted()
        return self.pipeline_.windows(tracks, self.options_.score_stride)

    def window_scores(
        self,
        tracks: PoseTracks,
        modes: tuple[str, ...] | None = None,
        *,
        padded: bool = True,
        quiet: bool = True,
    ) -> WindowScores:
        r"""Anomaly scores of every window, from one pass.

        Of a single length they are the mode's own; of several :math:`-\log` of the probability that a
        normal window of that length scores as high, so that they can be compared and averaged.

        Args:
            modes: Some of ``modes_``; what only others need is not computed. (default: all)
            padded: Keep windows of tracks shorter than a window (their ends repeated).
            quiet: Show no progress.
        """
        windows = self.windows(tracks)
        if not padded:
            windows = windows.without_padded()
        return self.scorer_(windows, modes, quiet)

    def decision_function(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of :meth:`windows`; higher is more abnormal, as in PyOD.

        Args:
            mode: One of ``modes_``: ``combined``, ``nearest``, ``altered``; with a network ``assignment`` (the paper's:
                log-probability of the soft assignment), ``max`` (one minus the largest soft assignment),
                ``latent``, ``reconstruction``; default: the option ``mode``.
        """
        mode = self.scoring_mode(mode)
        return self.window_scores(tracks, (mode,)).scores[mode]

    def score_samples(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Log-densities :math:`[W]` of :meth:`windows`; higher is more normal.

        With augmentations, the mean of the log-densities of a window's views.

        Args:
            mode: ``"assignment"`` (default, section 3.4 of the paper) or ``"latent"``: the modes
                that are densities.

        Raises:
            InputError: A mode that is no density, or that there is no network for.
        """
        self.check_fitted()
        mode = "assignment" if mode is None else mode
        if mode not in ("assignment", "latent"):
            raise InputError(f"mode {mode!r} has no density, expected assignment or latent")
        mode = self.scoring_mode(mode)
        return -self.scorer_.raw(self.windows(tracks), (mode,))[mode].cpu().numpy()

    def predict(self, tracks: PoseTracks) -> np.ndarray:
        r"""1 for abnormal windows, else 0, as in PyOD: :math:`[W]` int64.

        A window is abnormal if its score in the option ``mode`` exceeds ``threshold_``.
        """
        return (self.decision_function(tracks) > self.threshold_).astype(np.int64)

    def embed(self, tracks: PoseTracks) -> np.ndarray:
        r"""Latents :math:`z` of :meth:`windows`, :math:`[W, D]` float32."""
        return self._latents(tracks).cpu().numpy()

    def soft_assignment(self, tracks: PoseTracks) -> np.ndarray:
        r"""Soft assignments :math:`p` (eq. 1) of :meth:`windows`, :math:`[W, K]`; rows sum to one."""
        latent = self._latents(tracks)
        with torch.no_grad():
            return self._trained_network().assignment.soft_assignment(latent).cpu().numpy()

    def joint_scores(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Each joint's share in the window's score, :math:`[W, V]`; rows sum to one.

        As :func:`~gepc_geo.scoring.joint_shares.joint_shares` of :meth:`windows`.
        """
        windows, mode = self.windows(tracks), self.scoring_mode(mode)
        return joint_shares(self.scorer_, windows, mode)

    def _latents(self, tracks: PoseTracks) -> Tensor:
        windows, network = self.windows(tracks), self._trained_network()
        loader = scoring_loader(windows, self.scorer_.device)
        return latents(network.model, self.pipeline_, loader, network.precision)

    def _trained_network(self) -> Network:
        """The network.

        Raises:
            InputError: There is none.
        """
        self.check_fitted()
        if self.network_ is None:
            raise InputError(_NO_NETWORK)
        return self.network_

    def fps_mismatch(self, poses: PoseTracks | float) -> str:
        """A sentence where poses, or their frame rate, differ from training's by over 10 %, else ''.

        Windows are counted in frames: at another rate the same movement looks faster or slower.
        """
        self.check_fitted()
        there = poses.usual_fps if isinstance(poses, PoseTracks) else poses
        if abs(there / self.fps_ - 1) > 0.1:
            return f"the poses have {there:g} frames a second, training had {self.fps_:g}"
        return ""

    # -- adaptation ----------------------------------------------------------------------------

    def with_normality(self: _Self, normality: dict[int, Normality]) -> _Self:
        """A copy that scores windows by other models of what is normal; its calibration is this one's.

        Args:
            normality: A fitted model for each of the lengths that change.
        """
        self.check_fitted()
        changed = copy.copy(self)
        changed.scorer_ = WindowScorer(self.scorer_.encoder, self.scorer_.normality | normality)
        return changed

    def extend_calibration(self, windows: PoseWindows, raw: dict[str, Tensor]) -> WindowScores:
        """Calibrates by further normal windows, too; no threshold falls.

        Args:
            windows: The windows, none of them padded.
            raw: Their scores, from :meth:`~gepc_geo.scoring.scorer.WindowScorer.raw`, in all modes.

        Returns:
            The scores of the windows by the new calibration.
        """
        self.check_fitted()
        self.scorer_.extend_calibration(windows, raw)
        scored = self.scorer_.of_raw(windows, raw)
        self.calibration_ = self.calibration_.extended(scored, self.options_.contamination)
        return scored
