"""What every estimator of poses is: fitted to tracks, it scores their windows."""

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
    """An estimator was used before ``fit``; scikit-learn's exception of this name, too."""


class Estimator(BaseEstimator, ABC):
    r"""An anomaly detector of windows of poses, by the conventions of scikit-learn.

    Attributes:
        pipeline\_: Makes numbers of windows (:class:`~gepc_geo.windows.pipeline.InputPipeline`); with it
            an estimator is fitted.
    """

    pipeline_: InputPipeline

    @abstractmethod
    def fit(
        self: _Self, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> _Self:
        """Learns from normal poses."""

    @abstractmethod
    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored, :math:`W` of them."""

    @abstractmethod
    def decision_function(self, tracks: PoseTracks) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of :meth:`windows`; higher is more abnormal."""

    def check_fitted(self) -> None:
        """Raises a :class:`NotFittedError` unless ``fit`` was called."""
        if not hasattr(self, "pipeline_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted, expected fit() first")
