"""What a detector has to beat: plain scikit-learn on the same normalised windows."""

from gepc_geo.baselines.flat import FlatMixture, FlatNeighbour, flatten

__all__ = ["FlatMixture", "FlatNeighbour", "flatten"]
