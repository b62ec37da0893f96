"""Abnormal human behaviour from poses: Graph Embedded Pose Clustering on PyTorch Geometric."""

from gepc_geo._version import __version__
from gepc_geo.detector import GEPC
from gepc_geo.errors import InputError
from gepc_geo.frames import Frame
from gepc_geo.online import OnlineScorer, OnlineScores
from gepc_geo.skeleton import Skeleton
from gepc_geo.tracks import PoseTracks

__all__ = [
    "GEPC",
    "Frame",
    "InputError",
    "OnlineScorer",
    "OnlineScores",
    "PoseTracks",
    "Skeleton",
    "__version__",
]
