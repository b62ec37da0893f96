"""Abnormal human behaviour from poses: Graph Embedded Pose Clustering on PyTorch Geometric."""

from gepc_geo._version import __version__
from gepc_geo.detector import GEPC
from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.streaming.frames import Frame
from gepc_geo.streaming.scorer import OnlineScorer, OnlineScores

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
