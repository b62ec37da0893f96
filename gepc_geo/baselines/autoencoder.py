"""Scores of the graph autoencoder without clusters (section 4.2 of the paper)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import numpy as np
import torch

from gepc_geo.baselines.base import WindowBaseline, inputs, view_scores
from gepc_geo.baselines.flat import SVM_ROWS, one_class_svm
from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.options import NETWORK_MODES, Options
from gepc_geo.options.presets import preset_changes
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.network import Network, window_residual
from gepc_geo.training.precision import autocast
from gepc_geo.utils.refitting import refitted
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.pipeline import Inputs

_Encoder = TypeVar("_Encoder", bound="AutoencoderBaseline")


class AutoencoderBaseline(WindowBaseline):
    r"""Base class of baselines that score with a trained ST-GCAE.

    The score of a window is the mean over its views.

    Args:
        options: Options of a detector. Without ``detector``, :meth:`fit` trains an autoencoder with
            them, in the first stage only (``cluster_share`` 0), for the ``budget`` or until
            convergence. (default: all defaults)
        detector: A fitted detector to use, on its device, with the autoencoder of both stages.
            (default: :obj:`None`)

    Attributes:
        detector\_: Detector with the autoencoder; further baselines can share it.
        network\_: Network of the detector.
    """

    def __init__(self, options: Options | None = None, detector: GEPC | None = None) -> None:
        super().__init__(options)
        self.detector = detector

    @classmethod
    def from_detector(cls: type[_Encoder], detector: GEPC) -> _Encoder:
        """Makes a baseline with the options and the autoencoder of a fitted detector."""
        return cls(detector, detector)

    def fit(
        self: _Encoder, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> _Encoder:
        """Trains the autoencoder, if no detector is given, then fits to its outputs.

        Args:
            tracks: Poses of normal behaviour; with a detector, its training poses.
            y: Not used; for compatibility with scikit-learn.
            device: Device of the training; a given detector is not moved. (default: ``"auto"``)

        Returns:
            The fitted baseline.

        Raises:
            InputError: Same as :meth:`gepc_geo.GEPC.fit`; or the detector is not fitted, or has no
                network.
        """
        with refitted(self) as fresh:
            if self.detector is None:
                options = {**self._options.to_dict(), "cluster_share": 0.0}
                if not self._options.needs_network:
                    options |= preset_changes("gepc")
                fresh.detector_ = GEPC(**options).fit(tracks, device=device)
            else:
                check_detector(self.detector)
                fresh.detector_ = self.detector
            fresh.network_ = _network_of(fresh.detector_)
            pipeline = fresh.detector_.pipeline_
            fresh.fit_windows(pipeline, pipeline.training_windows(tracks))
        return self

    @torch.no_grad()
    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        scores: np.ndarray = view_scores(self._score, self.pipeline_, windows).mean(0)
        return scores

    @abstractmethod
    def _score(self, inputs: Inputs) -> np.ndarray:
        """Anomaly scores [B] of one batch."""


class ReconstructionLoss(AutoencoderBaseline):
    """Mean squared error of the reconstruction of a window, over detected joints.

    It is the loss of the first training stage (section 3.5 of the paper) for each window.
    """

    def _fit(self, windows: PoseWindows) -> None:
        """Nothing to fit: the autoencoder is trained."""

    def _score(self, inputs: Inputs) -> np.ndarray:
        x = inputs.tensor()
        with autocast(x.device, self.network_.precision):
            reconstruction, _ = self.network_.model(x)
        seen = (x[..., -1] > 0).sum((1, 2)).clamp(min=1)
        error = window_residual(reconstruction, x).double().square().sum(1)
        score: np.ndarray = (error / (seen * reconstruction.size(-1))).cpu().numpy()
        return score


class LatentSVM(AutoencoderBaseline):
    r"""One-class SVM on latents :math:`z` (:func:`~gepc_geo.baselines.flat.one_class_svm`).

    It is fitted to as many views of each training window as the flat baselines, but to at most
    10,000 views in total, drawn at random.

    Attributes:
        model\_: Support vector machine of scikit-learn.
    """

    @torch.no_grad()
    def _fit(self, windows: PoseWindows) -> None:
        random_state, count = self._options.random_state, len(windows)
        copies = self.pipeline_.augment.copies(count)
        drawn = np.arange(copies * count)
        if len(drawn) > SVM_ROWS:
            # Drawn before encoding, because a latent has a thousand values.
            drawn = np.random.default_rng(random_state).choice(drawn, SVM_ROWS, replace=False)
        latents = [
            self._latent(x)
            for choice in range(copies)
            for x in inputs(
                self.pipeline_, windows.subset(drawn[drawn // count == choice] % count), choice
            )
        ]
        self.model_ = one_class_svm(np.concatenate(latents), random_state)

    def _latent(self, inputs: Inputs) -> np.ndarray:
        x = inputs.tensor()
        with autocast(x.device, self.network_.precision):
            latent: np.ndarray = self.network_.model.encode(x).float().cpu().numpy()
        return latent

    def _score(self, inputs: Inputs) -> np.ndarray:
        score: np.ndarray = -self.model_.decision_function(self._latent(inputs))
        return score


def _network_of(detector: GEPC) -> Network:
    """Network of a detector; raises :class:`~gepc_geo.errors.InputError` without a network."""
    if detector.network_ is None:
        raise InputError(
            f"mode of the detector must be {' or '.join(NETWORK_MODES)} (modes with a network), "
            f"got {detector.options_.mode!r}"
        )
    return detector.network_
