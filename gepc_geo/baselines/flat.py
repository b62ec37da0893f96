"""Detectors on flattened windows: the input itself, without any learned embedding."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from gepc_geo.inputs import InputPipeline
from gepc_geo.loader import WindowLoader
from gepc_geo.windows import PoseWindows


def flatten(pipeline: InputPipeline, windows: PoseWindows, choice: int = 0) -> np.ndarray:
    r"""Windows as the network sees them, without the confidence, flattened: :math:`[W, T V C]`.

    Args:
        pipeline: A fitted one, e.g. a detector's ``pipeline_``; the work is done on its device.
        windows: Which windows.
        choice: The augmentation applied to each; 0 is none. (default: :obj:`0`)
    """
    device = pipeline.mean.device
    parts = [np.zeros((0, 0), dtype=np.float32)]
    for batch in WindowLoader(windows, batch_size=1024, device=device):
        choices = torch.full((batch.num_graphs,), choice, device=device)
        parts.append(pipeline.tensor(batch, choices)[..., :-1].flatten(1).cpu().numpy())
    return np.concatenate(parts[1:] or parts)


class _Flat:
    """Principal components of flattened windows, shared by the detectors below."""

    def __init__(self, dims: int = 64, random_state: int = 0) -> None:
        self.dims, self.random_state = dims, random_state

    def _fit_pca(self, x: np.ndarray) -> np.ndarray:
        self.pca_ = PCA(min(self.dims, *x.shape), random_state=self.random_state)
        return self.pca_.fit_transform(x)


class FlatMixture(_Flat):
    """A Gaussian mixture on the principal components of flattened windows.

    Args:
        components: Gaussians.
        dims: Principal components.
        random_state: Seed.
    """

    def __init__(self, components: int = 15, dims: int = 64, random_state: int = 0) -> None:
        super().__init__(dims, random_state)
        self.components = components

    def fit(self, x: np.ndarray, y: object = None) -> FlatMixture:
        """Fits to normal windows :math:`[W, D]`."""
        # The ridge keeps covariances of small samples invertible.
        self.mixture_ = GaussianMixture(
            min(self.components, len(x)), reg_covar=1e-3, random_state=self.random_state
        ).fit(self._fit_pca(x))
        return self

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """Minus the log-density, :math:`[W]`; higher is more abnormal."""
        return -self.mixture_.score_samples(self.pca_.transform(x))


class FlatNeighbour(_Flat):
    """Distance to the nearest training window in the principal components of flattened windows.

    Args:
        dims: Principal components.
        random_state: Seed.
    """

    def fit(self, x: np.ndarray, y: object = None) -> FlatNeighbour:
        """Remembers normal windows :math:`[W, D]`."""
        self.neighbours_ = NearestNeighbors(n_neighbors=1).fit(self._fit_pca(x))
        return self

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """The distance, :math:`[W]`; higher is more abnormal."""
        return self.neighbours_.kneighbors(self.pca_.transform(x))[0][:, 0]
