"""Scores of the graph autoencoder without any clusters (section 4.2 of the paper)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import numpy as np
import torch

from gepc_geo.baselines.base import WindowCompetitor, inputs, view_scores
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

_Encoder = TypeVar("_Encoder", bound="AutoencoderCompetitor")


class AutoencoderCompetitor(WindowCompetitor):
    r"""A trained ST-GCAE, a detector's or an own one, shared by the competitors below.

    Scores are means over the views of each window that the detector scores.

    Args:
        options: Every option of a detector: without ``detector``, :meth:`fit` trains an autoencoder
            with them that spends the whole ``budget`` on the first stage (``cluster_share`` 0), or
            without one has converged.
            (default: all defaults)
        detector: A fitted one, whose autoencoder is taken as both of its stages left it, on its
            device. (default: :obj:`None`)

    Attributes:
        detector\_: Whose autoencoder it is; a second competitor can share it.
        network\_: That detector's.
    """

    def __init__(self, options: Options | None = None, detector: GEPC | None = None) -> None:
        super().__init__(options)
        self.detector = detector

    @classmethod
    def from_detector(cls: type[_Encoder], detector: GEPC) -> _Encoder:
        """One with a fitted detector's options and autoencoder; its :meth:`fit` trains no other."""
        return cls(detector, detector)

    def fit(
        self: _Encoder, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> _Encoder:
        """Trains the autoencoder where none was handed over, then learns from what it makes of windows.

        Args:
            tracks: Normal behaviour only; those of a detector's training where there is one.
            y: Ignored, for scikit-learn.
            device: Where to train; a detector that was handed over stays where it is.

        Raises:
            InputError: As :meth:`gepc_geo.GEPC.fit`; a detector that is not fitted, or has no network.
        """
        with refitted(self) as fresh:
            if self.detector is None:
                alone = {**self._options.to_dict(), "cluster_share": 0.0}
                if not self._options.needs_network:
                    alone |= preset_changes("gepc")
                fresh.detector_ = GEPC(**alone).fit(tracks, device=device)
            else:
                check_detector(self.detector)
                fresh.detector_ = self.detector
            fresh.network_ = _network_of(fresh.detector_)
            pipeline = fresh.detector_.pipeline_
            fresh.fit_windows(pipeline, pipeline.training_windows(tracks))
        return self

    @torch.no_grad()
    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        """A batch at a time."""
        return view_scores(self._score, self.pipeline_, windows).mean(0)

    @abstractmethod
    def _score(self, inputs: Inputs) -> np.ndarray:
        """Anomaly scores [B] of one batch."""


class ReconstructionLoss(AutoencoderCompetitor):
    """Mean squared error of a window's reconstruction, over the joints that were seen.

    Window by window what the first training stage minimises (section 3.5 of the paper).
    """

    def _fit(self, windows: PoseWindows) -> None:
        """The autoencoder is all there is to learn."""

    def _score(self, inputs: Inputs) -> np.ndarray:
        x = inputs.tensor()
        with autocast(x.device, self.network_.precision):
            reconstruction, _ = self.network_.model(x)
        seen = (x[..., -1] > 0).sum((1, 2)).clamp(min=1)
        error = window_residual(reconstruction, x).double().square().sum(1)
        return (error / (seen * reconstruction.size(-1))).cpu().numpy()


class LatentSVM(AutoencoderCompetitor):
    r"""A one-class SVM on latents :math:`z` (:func:`~gepc_geo.baselines.flat.one_class_svm`).

    It learns from as many copies of the training windows as the flat competitors do; of more than
    10,000 copies in all from that many, drawn at random.

    Attributes:
        model\_: scikit-learn's machine.
    """

    @torch.no_grad()
    def _fit(self, windows: PoseWindows) -> None:
        random_state, count = self._options.random_state, len(windows)
        copies = self.pipeline_.augment.copies(count)
        drawn = np.arange(copies * count)
        if len(drawn) > SVM_ROWS:
            # Before they are encoded: a latent has a thousand numbers.
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
            return self.network_.model.encode(x).float().cpu().numpy()

    def _score(self, inputs: Inputs) -> np.ndarray:
        return -self.model_.decision_function(self._latent(inputs))


def _network_of(detector: GEPC) -> Network:
    """A detector's network.

    Raises:
        InputError: It has none.
    """
    if detector.network_ is None:
        raise InputError(
            f"the detector was fitted with mode {detector.options_.mode!r}, which trains no network, "
            f"expected {' or '.join(NETWORK_MODES)}"
        )
    return detector.network_
