"""Scores of the graph autoencoder without any clusters (section 4.2 of the paper)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from gepc_geo.baselines.base import WindowCompetitor, inputs, view_scores
from gepc_geo.baselines.flat import SVM_ROWS, one_class_svm
from gepc_geo.detector import GEPC, check_detector
from gepc_geo.encoding import window_residual
from gepc_geo.fitting import refitted
from gepc_geo.options import Options
from gepc_geo.precision import autocast
from gepc_geo.tracks import PoseTracks
from gepc_geo.windows import PoseWindows

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
            InputError: As :meth:`gepc_geo.GEPC.fit`; a detector that is not fitted.
        """
        with refitted(self) as fresh:
            if self.detector is None:
                alone = {**self._options.to_dict(), "cluster_share": 0.0}
                fresh.detector_ = GEPC(**alone).fit(tracks, device=device)
            else:
                check_detector(self.detector)
                fresh.detector_ = self.detector
            pipeline = fresh.detector_.pipeline_
            fresh.fit_windows(pipeline, pipeline.training_windows(tracks))
        return self

    @torch.no_grad()
    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        """A batch at a time."""
        return view_scores(self._score, self.pipeline_, windows).mean(0)

    @abstractmethod
    def _score(self, x: Tensor) -> np.ndarray:
        """Anomaly scores [B] of one batch of the network's input."""


class ReconstructionLoss(AutoencoderCompetitor):
    """Mean squared error of a window's reconstruction, over the joints that were seen.

    Window by window what the first training stage minimises (section 3.5 of the paper).
    """

    def _fit(self, windows: PoseWindows) -> None:
        """The autoencoder is all there is to learn."""

    def _score(self, x: Tensor) -> np.ndarray:
        with autocast(x.device, self.detector_.precision_):
            reconstruction, _ = self.detector_.model_(x)
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
        seed, count = self._options.seed, len(windows)
        copies = self.pipeline_.augment.copies(count)
        drawn = np.arange(copies * count)
        if len(drawn) > SVM_ROWS:
            # Before they are encoded: a latent has a thousand numbers.
            drawn = np.random.default_rng(seed).choice(drawn, SVM_ROWS, replace=False)
        latents = [
            self._latent(x)
            for choice in range(copies)
            for x in inputs(
                self.pipeline_, windows.subset(drawn[drawn // count == choice] % count), choice
            )
        ]
        self.model_ = one_class_svm(np.concatenate(latents), seed)

    def _latent(self, x: Tensor) -> np.ndarray:
        with autocast(x.device, self.detector_.precision_):
            return self.detector_.model_.encode(x).float().cpu().numpy()

    def _score(self, x: Tensor) -> np.ndarray:
        return -self.model_.decision_function(self._latent(x))
