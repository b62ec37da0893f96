"""Simple scores of flattened windows: the input itself, without any learned embedding."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from sklearn import ensemble, mixture, neighbors, svm
from sklearn.decomposition import PCA

from gepc_geo.baselines.base import WindowCompetitor, inputs
from gepc_geo.options import Options
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.pipeline import InputPipeline, Inputs


def flatten(pipeline: InputPipeline, windows: PoseWindows, choice: int = 0) -> np.ndarray:
    r"""Windows of one length as the detector's neighbours are: :math:`[W, D]`.

    Args:
        pipeline: A fitted one, e.g. a detector's ``pipeline_``; the work is done on its device.
        windows: Which windows.
        choice: The augmentation applied to each; 0 is none. (default: :obj:`0`)
    """
    parts = [np.zeros((0, 0), dtype=np.float32)]
    parts += map(_flat, inputs(pipeline, windows, choice))
    return np.concatenate(parts[1:] or parts)


def _flat(x: Inputs) -> np.ndarray:
    """One batch as rows."""
    return x.flat().cpu().numpy()


def _copies(pipeline: InputPipeline, windows: PoseWindows) -> np.ndarray:
    """Training windows as rows, a copy after the other: [A W, D]."""
    choices = range(pipeline.augment.copies(len(windows)))
    return np.concatenate([flatten(pipeline, windows, choice) for choice in choices])


class FlatCompetitor(WindowCompetitor):
    r"""Principal components of flattened windows, shared by the competitors below.

    Training windows come in as many copies (:meth:`~gepc_geo.transforms.augment.Augment.copies`) as the
    detector's neighbours do, scored ones as they are.

    Args:
        options: As in :class:`~gepc_geo.baselines.base.WindowCompetitor`.
            (default: all defaults)
        dims: The most principal components. (default: :obj:`64`)

    Attributes:
        pca\_: The principal components, not whitened.
        model\_: scikit-learn's estimator on them.
    """

    def __init__(self, options: Options | None = None, dims: int = 64) -> None:
        super().__init__(options)
        self.dims = dims

    def _fit(self, windows: PoseWindows) -> None:
        x = _copies(self.pipeline_, windows)
        self.pca_ = PCA(min(self.dims, *x.shape), random_state=self._options.random_state)
        self._fit_model(self.pca_.fit_transform(x))

    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        """A batch at a time."""
        parts = [
            self._score_model(self.pca_.transform(_flat(x)))
            for x in inputs(self.pipeline_, windows)
        ]
        return np.concatenate([np.zeros(0), *parts]).astype(np.float64)

    @abstractmethod
    def _fit_model(self, x: np.ndarray) -> None:
        """Fits ``model_`` to the components [N, d] of training windows."""

    @abstractmethod
    def _score_model(self, x: np.ndarray) -> np.ndarray:
        """Anomaly scores [N] of components [N, d]."""


class NearestNeighbour(FlatCompetitor):
    """Distance to the nearest training window (1-NN)."""

    def _fit_model(self, x: np.ndarray) -> None:
        self.model_ = neighbors.NearestNeighbors(n_neighbors=1).fit(x)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        return self.model_.kneighbors(x)[0][:, 0]


class Mixture(FlatCompetitor):
    """Minus the log-density of a Gaussian mixture with full covariances.

    Args:
        options: As in :class:`~gepc_geo.baselines.base.WindowCompetitor`.
            (default: all defaults)
        dims: The most principal components. (default: :obj:`64`)
        components: Gaussians; no more than there are training windows. (default: :obj:`15`)
    """

    def __init__(
        self, options: Options | None = None, dims: int = 64, components: int = 15
    ) -> None:
        super().__init__(options, dims)
        self.components = components

    def _fit_model(self, x: np.ndarray) -> None:
        # Covariances of small samples need a ridge: a share of the mean variance that was far better than
        # a thirtieth of it on validation halves (docs/results.md). Where all windows are the same it is
        # scikit-learn's own.
        ridge = max(0.03 * float(x.var(0).mean()), 1e-6)
        self.model_ = mixture.GaussianMixture(
            min(self.components, len(x)), reg_covar=ridge, random_state=self._options.random_state
        ).fit(x)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        return -self.model_.score_samples(x)


class IsolationForest(FlatCompetitor):
    """How few random cuts isolate a window (Liu, Ting and Zhou, ICDM 2008): 100 trees."""

    def _fit_model(self, x: np.ndarray) -> None:
        self.model_ = ensemble.IsolationForest(random_state=self._options.random_state).fit(x)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        return -self.model_.score_samples(x)


class OneClassSVM(FlatCompetitor):
    """Distance outside of a one-class support vector machine's boundary (:func:`one_class_svm`)."""

    def _fit_model(self, x: np.ndarray) -> None:
        self.model_ = one_class_svm(x, self._options.random_state)

    def _score_model(self, x: np.ndarray) -> np.ndarray:
        return -self.model_.decision_function(x)


#: A machine learns from no more rows: its cost grows with their square.
SVM_ROWS = 10_000


def one_class_svm(x: np.ndarray, random_state: int) -> svm.OneClassSVM:
    r"""A one-class support vector machine (Schölkopf et al. 2001) with scikit-learn's RBF kernel.

    ``nu`` is 0.1, ``gamma`` one over the number of columns times their mean variance. scikit-learn's
    ``"scale"`` is the same for centred columns; of others it takes the means' differences for spread,
    and the kernel becomes so wide that all rows look alike.

    Args:
        x: Rows :math:`[N, D]`; of more than 10,000 it learns from that many, drawn at random.
        random_state: Seed of the draw.
    """
    if len(x) > SVM_ROWS:
        x = x[np.random.default_rng(random_state).choice(len(x), SVM_ROWS, replace=False)]
    spread = x.shape[1] * float(x.var(0, dtype=np.float64).mean())
    # Where all rows are the same, any width will do.
    return svm.OneClassSVM(nu=0.1, gamma=1 / spread if spread else 1.0).fit(x)
