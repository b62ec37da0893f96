"""Baselines of a detector on the same windows, with one interface and one registry.

:data:`BASELINES` maps names to classes. ``BASELINES[name](options)`` takes the options of a
detector. ``supervised`` tells whether a baseline needs training clips of at least two classes,
``levels`` which scores it is made for. A baseline has the methods of :class:`~gepc_geo.GEPC`::

    fit(tracks)  windows(tracks)  decision_function(tracks)
"""

from gepc_geo.baselines.autoencoder import AutoencoderBaseline, LatentSVM, ReconstructionLoss
from gepc_geo.baselines.base import WindowBaseline
from gepc_geo.baselines.flat import (
    FlatBaseline,
    IsolationForest,
    Mixture,
    NearestNeighbour,
    OneClassSVM,
    flatten,
)
from gepc_geo.baselines.motion import MotionMixture, motion_features
from gepc_geo.baselines.supervised import ActionClassifier, SoftmaxDirichlet
from gepc_geo.baselines.trajectory import SkeletonTrajectories

#: All baselines by their names in tables.
BASELINES: dict[str, type[WindowBaseline] | type[SkeletonTrajectories]] = {
    "nearest_neighbour": NearestNeighbour,
    "gaussian_mixture": Mixture,
    "isolation_forest": IsolationForest,
    "one_class_svm": OneClassSVM,
    "motion_mixture": MotionMixture,
    "reconstruction": ReconstructionLoss,
    "latent_svm": LatentSVM,
    "softmax": ActionClassifier,
    "softmax_dirichlet": SoftmaxDirichlet,
    "trajectory": SkeletonTrajectories,
}

__all__ = [
    "BASELINES",
    "ActionClassifier",
    "AutoencoderBaseline",
    "FlatBaseline",
    "IsolationForest",
    "LatentSVM",
    "Mixture",
    "MotionMixture",
    "NearestNeighbour",
    "OneClassSVM",
    "ReconstructionLoss",
    "SkeletonTrajectories",
    "SoftmaxDirichlet",
    "WindowBaseline",
    "flatten",
    "motion_features",
]
