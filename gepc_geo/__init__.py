"""Abnormal human behaviour from poses: Graph Embedded Pose Clustering on PyTorch Geometric."""

from importlib import import_module
from importlib.util import find_spec
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

# The module of each public name. Names and modules are imported at their first use: the command
# line, which is part of this package, shows its help without PyTorch.
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
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    elif not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
