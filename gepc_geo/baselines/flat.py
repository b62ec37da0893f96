"""Scores of flattened windows, without a learned embedding."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from sklearn import ensemble, mixture, neighbors, svm
from sklearn.decomposition import PCA

from gepc_geo.baselines.base import WindowBaseline, inputs
from gepc_geo.options import Options
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.pipeline import InputPipeline, Inputs


def flatten(pipeline: InputPipeline, windows: PoseWindows, choice: int = 0) -> np.ndarray:
    r"""Flattens windows of one length to rows, as for the neighbours of the detector.

    Args:
        pipeline: A fitted pipeline, such as the ``pipeline_`` of a detector.
        windows: Windows to flatten.
        choice: Index of the augmentation; 0 is none. (default: :obj:`0`)

    Returns:
        Rows, :math:`[W, D]` float32.
    """
    batches = [np.zeros((0, 0), dtype=np.float32)]
    batches += map(_flat, inputs(pipeline, windows, choice))
    return np.concatenate(batches[1:] or batches)


def _flat(x: Inputs) -> np.ndarray:
    """Flattens one batch to rows."""
    rows: np.ndarray = x.flat().cpu().numpy()
    return rows


def _copies(pipeline: InputPipeline, windows: PoseWindows) -> np.ndarray:
    """Rows of all views of training windows, [A W, D]."""
    choices = range(pipeline.augment.copies(len(windows)))
    return np.concatenate([flatten(pipeline, windows, choice) for choice in choices])


class FlatBaseline(WindowBaseline):
    r"""Base class of baselines on principal components of flattened windows.

    Training windows have as many views (:meth:`~gepc_geo.transforms.augment.Augment.copies`) as the
    neighbours of the detector. Scored windows have one view.

    Args:
        options: As in :class:`~gepc_geo.baselines.base.WindowBaseline`.
            (default: all defaults)
        dims: Largest number of principal components. (default: :obj:`64`)

    Attributes:
        pca\_: Principal components, not whitened.
        model\_: Estimator of scikit-learn on the components.
    """

    def __init__(self, options: Options | None = None, dims: int = 64) -> None:
        super().__init__(options)
        self.dims = dims

    def _fit(self, windows: PoseWindows) -> None:
        x = _copies(self.pipeline_, windows)
        self.pca_ = PCA(min(self.dims, *x.shape), random_state=self._options.random_state)
        self._fit_model(self.pca_.fit_transform(x))

    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        scores = [
            self._score_model(self.pca_.transform(_flat(x)))
            for x in inputs(self.pipeline_, windows)
        ]
        return np.concatenate([np.zeros(0), *scores]).astype(np.float64)

    @abstractmethod
    def _fit_model(self, x: np.ndarray) -> None:
        """Fits ``model_`` to the components [N, d] of training windows."""

    @abstractmethod
    def _score_model(self, x: np.ndarray) -> np.ndarray:
        """Anomaly scores [N] of components [N, d]."""


class NearestNeighbour(FlatBaseline):
    """Distance to the nearest training window (1-NN)."""

    def _fit_model(self, x: np.ndarray) -> None:
        self.model_ = neighbors.NearestNeighbors(n_neighbors=1).fit(x)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        distance: np.ndarray = self.model_.kneighbors(x)[0][:, 0]
        return distance


class Mixture(FlatBaseline):
    """Minus the log density of a Gaussian mixture with full covariances.

    Args:
        options: As in :class:`~gepc_geo.baselines.base.WindowBaseline`.
            (default: all defaults)
        dims: Largest number of principal components. (default: :obj:`64`)
        components: Number of Gaussians, at most one for each training row. (default: :obj:`15`)
    """

    def __init__(
        self, options: Options | None = None, dims: int = 64, components: int = 15
    ) -> None:
        super().__init__(options, dims)
        self.components = components

    def _fit_model(self, x: np.ndarray) -> None:
        # Covariances of small samples need a ridge. This share of the mean variance is far better
        # than a thirtieth of it on validation halves (docs/results.md). For equal windows the ridge
        # is the default of scikit-learn.
        ridge = max(0.03 * float(x.var(0).mean()), 1e-6)
        self.model_ = mixture.GaussianMixture(
            min(self.components, len(x)), reg_covar=ridge, random_state=self._options.random_state
        ).fit(x)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        score: np.ndarray = -self.model_.score_samples(x)
        return score


class IsolationForest(FlatBaseline):
    """Isolation forest of 100 trees (Liu, Ting and Zhou, ICDM 2008)."""

    def _fit_model(self, x: np.ndarray) -> None:
        self.model_ = ensemble.IsolationForest(random_state=self._options.random_state).fit(x)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        score: np.ndarray = -self.model_.score_samples(x)
        return score


class OneClassSVM(FlatBaseline):
    """Distance outside the boundary of a one-class SVM (:func:`one_class_svm`)."""

    def _fit_model(self, x: np.ndarray) -> None:
        self.model_ = one_class_svm(x, self._options.random_state)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        score: np.ndarray = -self.model_.decision_function(x)
        return score


#: Largest number of rows to fit an SVM to; the cost grows with their square.
SVM_ROWS = 10_000


def one_class_svm(x: np.ndarray, random_state: int) -> svm.OneClassSVM:
    r"""Fits a one-class support vector machine (Schölkopf et al. 2001) with an RBF kernel.

    ``nu`` is 0.1, and ``gamma`` is one over the number of columns times their mean variance. For
    centred columns this is ``"scale"`` of scikit-learn. For other columns, ``"scale"`` counts
    differences of column means as variance, and the kernel becomes too wide.

    Args:
        x: Rows, :math:`[N, D]`; of more than 10,000 rows, 10,000 are drawn at random.
        random_state: Seed of the draw.

    Returns:
        The fitted machine.
    """
    if len(x) > SVM_ROWS:
        x = x[np.random.default_rng(random_state).choice(len(x), SVM_ROWS, replace=False)]
    spread = x.shape[1] * float(x.var(0, dtype=np.float64).mean())
    # For equal rows, any width works.
    return svm.OneClassSVM(nu=0.1, gamma=1 / spread if spread else 1.0).fit(x)
