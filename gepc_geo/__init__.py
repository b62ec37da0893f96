"""Abnormal human behaviour from poses: Graph Embedded Pose Clustering on PyTorch Geometric."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gepc_geo._version import __version__

if TYPE_CHECKING:
    from gepc_geo.detector.gepc import GEPC
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

# The module of each public name. A name is imported at its first use: the command line, which is
# part of this package, shows its help without PyTorch.
_MODULES = {
    "GEPC": "gepc_geo.detector.gepc",
    "Frame": "gepc_geo.streaming.frames",
    "InputError": "gepc_geo.errors",
    "OnlineScorer": "gepc_geo.streaming.scorer",
    "OnlineScores": "gepc_geo.streaming.scorer",
    "PoseTracks": "gepc_geo.poses.tracks",
    "Skeleton": "gepc_geo.poses.skeleton",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
