"""The base class of estimators that score windows of poses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

import numpy as np
import sklearn.exceptions
import torch
from sklearn.base import BaseEstimator

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.pipeline import InputPipeline

_Self = TypeVar("_Self", bound="Estimator")


class NotFittedError(InputError, sklearn.exceptions.NotFittedError):
    """An estimator is used before ``fit``; it is an exception of scikit-learn too."""


class Estimator(BaseEstimator, ABC):
    r"""An anomaly detector of windows of poses, by the conventions of scikit-learn.

    Attributes:
        pipeline\_: Computes numbers from windows
            (:class:`~gepc_geo.windows.pipeline.InputPipeline`); set by ``fit``.
    """

    pipeline_: InputPipeline

    @abstractmethod
    def fit(
        self: _Self, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> _Self:
        """Learns from normal poses.

        Args:
            tracks: Normal poses.
            y: Ignored, for scikit-learn.
            device: Device to train on. (default: ``"auto"``)
        """

    @abstractmethod
    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored, :math:`W` of them."""

    @abstractmethod
    def decision_function(self, tracks: PoseTracks) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of :meth:`windows`; higher is more abnormal."""

    def check_fitted(self) -> None:
        """Raises a :class:`NotFittedError` if ``fit`` was not called."""
        if not hasattr(self, "pipeline_"):
            raise NotFittedError(
                f"this {type(self).__name__} must be fitted with fit(), got one that is not fitted"
            )
