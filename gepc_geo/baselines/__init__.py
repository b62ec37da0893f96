"""What a detector has to beat, on the same windows: one interface, one registry.

:data:`COMPETITORS` maps names to classes. Each is made with the options that a detector would get
(``COMPETITORS[name](options)``), says whether it is ``supervised`` (then it needs training clips of at
least two classes) and which ``levels`` it is meant for, and is used like :class:`~gepc_geo.GEPC`::

    fit(tracks)  windows(tracks)  decision_function(tracks)
"""

from gepc_geo.baselines.autoencoder import AutoencoderCompetitor, LatentSVM, ReconstructionLoss
from gepc_geo.baselines.base import WindowCompetitor
from gepc_geo.baselines.flat import (
    FlatCompetitor,
    IsolationForest,
    Mixture,
    NearestNeighbour,
    OneClassSVM,
    flatten,
)
from gepc_geo.baselines.motion import MotionMixture, motion_features
from gepc_geo.baselines.supervised import ActionClassifier, SoftmaxDirichlet
from gepc_geo.baselines.trajectory import SkeletonTrajectories

#: Every competitor by its name in tables.
COMPETITORS: dict[str, type[WindowCompetitor] | type[SkeletonTrajectories]] = {
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
    "COMPETITORS",
    "ActionClassifier",
    "AutoencoderCompetitor",
    "FlatCompetitor",
    "IsolationForest",
    "LatentSVM",
    "Mixture",
    "MotionMixture",
    "NearestNeighbour",
    "OneClassSVM",
    "ReconstructionLoss",
    "SkeletonTrajectories",
    "SoftmaxDirichlet",
    "WindowCompetitor",
    "flatten",
    "motion_features",
]
