"""Protocols of the paper and tables of methods (``gepc-geo experiment``)."""

from gepc_geo.experiments.ablation import Ablation
from gepc_geo.experiments.coarse import Coarse
from gepc_geo.experiments.compare import Comparison, compare
from gepc_geo.experiments.fine import Fine
from gepc_geo.experiments.methods import METHODS, choose_methods, methods_for
from gepc_geo.experiments.noise import Noise
from gepc_geo.experiments.splits import (
    DIRECTIONS,
    PACKAGED,
    Split,
    choose_splits,
    random_splits,
    read_splits,
)
from gepc_geo.experiments.streams import Streams
from gepc_geo.experiments.study import Study
from gepc_geo.experiments.summary import write_summary

__all__ = [
    "Ablation",
    "Coarse",
    "Comparison",
    "DIRECTIONS",
    "Fine",
    "METHODS",
    "Noise",
    "PACKAGED",
    "Split",
    "Streams",
    "Study",
    "choose_methods",
    "choose_splits",
    "compare",
    "methods_for",
    "random_splits",
    "read_splits",
    "write_summary",
]
