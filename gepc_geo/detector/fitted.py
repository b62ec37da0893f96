"""Scores of a fitted detector."""

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
from gepc_geo.scoring.explanation import Explanation, TrainingMeasures
from gepc_geo.scoring.joint_shares import joint_shares
from gepc_geo.scoring.scorer import WindowScorer, WindowScores, scoring_loader
from gepc_geo.scoring.uncertainty import Interval
from gepc_geo.training.holdout import training_part
from gepc_geo.training.network import Network, latents
from gepc_geo.windows.dataset import PoseWindows

_Self = TypeVar("_Self", bound="FittedDetector")


class FittedDetector(Estimator, Options):
    """Scores windows in every scoring mode; :class:`gepc_geo.GEPC` adds the fit.

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
    measures_: TrainingMeasures | None

    def check_fitted(self) -> None:
        """Raises a ``NotFittedError`` if neither :meth:`fit` nor :meth:`load` was called."""
        if not hasattr(self, "scorer_"):
            raise NotFittedError(
                "this detector must be fitted with fit() or load(), got one that is not fitted"
            )

    def scoring_mode(self, mode: str | None) -> str:
        """Checks the name of a scoring mode.

        Args:
            mode: The name; ``None``: the option ``mode``.

        Returns:
            The name.

        Raises:
            InputError: The detector is not fitted, the mode is unknown, or it needs a network that
                the detector lacks.
        """
        self.check_fitted()
        mode = self.mode if mode is None else mode
        if mode not in MODES:
            raise InputError(f"mode must be {' or '.join(MODES)}, got {mode!r}")
        if mode not in self.modes_:
            raise InputError(
                f"mode must be {' or '.join(self.modes_)}, got {mode!r}, which needs a network "
                "(on the command line train --preset gepc)"
            )
        return mode

    def training_windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows of poses that :meth:`fit` trains on: all but the held-out ones.

        Raises:
            InputError: The detector is not fitted, or the poses are of another kind or have too few
                windows.
        """
        self.check_fitted()
        check_tracks(tracks)
        return training_part(tracks, self.pipeline_)

    def was_trained_on(self, tracks: PoseTracks) -> bool:
        """Whether poses are those of :meth:`fit`; their scores would be too low.

        Raises:
            InputError: The detector is not fitted.
        """
        self.check_fitted()
        try:
            return self.training_windows(tracks).fingerprint() == self.trained_on_
        except InputError:
            # Poses of another kind, or too few for a fit.
            return False

    # -- scores --------------------------------------------------------------------------------

    @property
    def threshold_(self) -> float:
        """The threshold in the option ``mode``."""
        return self.calibration_.thresholds[self.scoring_mode(None)]

    @threshold_.setter
    def threshold_(self, value: float) -> None:
        mode, calibration = self.scoring_mode(None), self.calibration_
        intervals = {name: one for name, one in calibration.intervals.items() if name != mode}
        thresholds = calibration.thresholds | {mode: value}
        # Copies of a detector share the calibration.
        self.calibration_ = replace(calibration, thresholds=thresholds, intervals=intervals)

    def frame_threshold(self, mode: str | None = None) -> float:
        """The score that a share ``contamination`` of held-out normal person-frames exceeds.

        Args:
            mode: One of ``modes_``. (default: the option ``mode``)

        Raises:
            InputError: As :meth:`scoring_mode`.
        """
        mode = self.scoring_mode(mode)
        return self.calibration_.frame_threshold(mode, self.options_.contamination)

    def threshold_interval(self, *, frames: bool = False) -> Interval | None:
        """The 90 % interval of the threshold in the option ``mode``, over all normal people.

        Args:
            frames: Of :meth:`frame_threshold`; else of ``threshold_``. (default: ``False``)

        Returns:
            The interval; ``None`` if it is unknown: without held-out windows, after an adaptation
            or a change of the threshold, and in models of versions without intervals.
        """
        mode, calibration = self.scoring_mode(None), self.calibration_
        found = calibration.person_intervals if frames else calibration.intervals
        return found.get(mode)

    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored: every ``score_stride`` frames, short tracks are padded."""
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
        r"""Anomaly scores of windows in several modes.

        With several lengths of windows, scores are :math:`-\log` of tail probabilities among normal
        windows of the same length, so that they can be compared and averaged.

        Args:
            tracks: Poses.
            modes: Some of ``modes_``. (default: all)
            padded: Include padded windows. (default: ``True``)
            quiet: Show no progress. (default: ``True``)

        Raises:
            InputError: The detector is not fitted, the poses are of another kind, or a score is not
                finite.
        """
        windows = self.windows(tracks)
        if not padded:
            windows = windows.without_padded()
        return self.scorer_(windows, modes, quiet)

    def decision_function(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of :meth:`windows`; higher is more abnormal.

        Signs are as in PyOD.

        Args:
            tracks: Poses.
            mode: One of ``modes_``: ``combined``, ``nearest``, ``altered``; with a network
                ``assignment`` (the paper: log-probability of the soft assignment), ``max`` (one
                minus the largest probability), ``latent``, ``reconstruction``. (default: the option
                ``mode``)

        Raises:
            InputError: As :meth:`scoring_mode` and :meth:`window_scores`.
        """
        mode = self.scoring_mode(mode)
        return self.window_scores(tracks, (mode,)).scores[mode]

    def score_samples(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Log-densities :math:`[W]` float64 of :meth:`windows`; higher is more normal.

        The log-density of a window is the mean over its views.

        Args:
            tracks: Poses.
            mode: ``"assignment"`` (section 3.4 of the paper) or ``"latent"``.
                (default: ``"assignment"``)

        Raises:
            InputError: The mode has no density, or the detector has no network.
        """
        self.check_fitted()
        mode = "assignment" if mode is None else mode
        if mode not in ("assignment", "latent"):
            raise InputError(f"mode of a density must be assignment or latent, got {mode!r}")
        mode = self.scoring_mode(mode)
        return -self.scorer_.raw(self.windows(tracks), (mode,))[mode].cpu().numpy()

    def predict(self, tracks: PoseTracks) -> np.ndarray:
        r"""Labels :math:`[W]` int64 as in PyOD: 1 for abnormal windows, 0 for others.

        A window is abnormal if its score in the option ``mode`` exceeds ``threshold_``.
        """
        return (self.decision_function(tracks) > self.threshold_).astype(np.int64)

    def embed(self, tracks: PoseTracks) -> np.ndarray:
        r"""Latents :math:`z` of :meth:`windows`, :math:`[W, D]` float32.

        Raises:
            InputError: The detector is not fitted or has no network.
        """
        return self._latents(tracks).cpu().numpy()

    def soft_assignment(self, tracks: PoseTracks) -> np.ndarray:
        r"""Soft assignments :math:`p` (eq. 1) of :meth:`windows`, :math:`[W, K]`; rows sum to one.

        Raises:
            InputError: The detector is not fitted or has no network.
        """
        latent = self._latents(tracks)
        with torch.no_grad():
            return self._trained_network().assignment.soft_assignment(latent).cpu().numpy()

    def joint_scores(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Share of each joint in the score of a window, :math:`[W, V]` float32; rows sum to one.

        Computed by :func:`~gepc_geo.scoring.joint_shares.joint_shares`.

        Args:
            tracks: Poses.
            mode: One of ``modes_``. (default: the option ``mode``)

        Raises:
            InputError: As :meth:`scoring_mode`.
        """
        windows, mode = self.windows(tracks), self.scoring_mode(mode)
        return joint_shares(self.scorer_, windows, mode)

    def explain(self, tracks: PoseTracks, scored: WindowScores | None = None) -> Explanation | None:
        """Measures of :meth:`windows` as percentiles of training, and in words.

        ``None`` for detectors of whole clips (option ``frames``) and files of older versions.

        Args:
            tracks: Poses.
            scored: Window scores of ``tracks``. (default: ``None``, :meth:`windows` are explained)
        """
        windows = self.windows(tracks) if scored is None else scored.windows
        if self.measures_ is None:
            return None
        quality = self.pipeline_.quality_of(windows) if scored is None else scored.quality
        return self.measures_.explain(windows, quality)

    def _latents(self, tracks: PoseTracks) -> Tensor:
        windows, network = self.windows(tracks), self._trained_network()
        loader = scoring_loader(windows, self.scorer_.device)
        return latents(network.model, self.pipeline_, loader, network.precision)

    def _trained_network(self) -> Network:
        """The network; an InputError without one."""
        self.check_fitted()
        if self.network_ is None:
            raise InputError(
                f"this detector must be fitted with a mode of {', '.join(NETWORK_MODES)} (on the "
                "command line train --preset gepc), got one without a network"
            )
        return self.network_

    def fps_mismatch(self, poses: PoseTracks | float) -> str:
        """A sentence if a frame rate differs from that of training by more than 10 %, else ``""``.

        Args:
            poses: Poses, or their frames a second.
        """
        self.check_fitted()
        fps = poses.usual_fps if isinstance(poses, PoseTracks) else poses
        if abs(fps / self.fps_ - 1) > 0.1:
            return f"the poses have {fps:g} frames a second, training had {self.fps_:g}"
        return ""

    # -- adaptation ----------------------------------------------------------------------------

    def with_normality(self: _Self, normality: dict[int, Normality]) -> _Self:
        """A copy of the detector with other models of normal windows and the same calibration.

        Args:
            normality: A fitted model for each length that changes.
        """
        self.check_fitted()
        changed = copy.copy(self)
        changed.scorer_ = WindowScorer(self.scorer_.encoder, self.scorer_.normality | normality)
        return changed

    def extend_calibration(self, windows: PoseWindows, raw: dict[str, Tensor]) -> WindowScores:
        """Adds normal windows to the calibration; no threshold falls.

        Args:
            windows: Windows, not padded.
            raw: Their scores from :meth:`~gepc_geo.scoring.scorer.WindowScorer.raw`, in all modes.

        Returns:
            Scores of the windows with the new calibration.
        """
        self.check_fitted()
        self.scorer_.extend_calibration(windows, raw)
        scored = self.scorer_.from_raw(windows, raw)
        self.calibration_ = self.calibration_.extended(scored, self.options_.contamination)
        return scored
