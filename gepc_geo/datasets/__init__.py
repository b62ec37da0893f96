"""Benchmark data sets, read from the user's files, and a simulated crowd."""

from gepc_geo.datasets.nw_ucla import NWUCLA
from gepc_geo.datasets.penn_action import PennAction
from gepc_geo.datasets.shanghaitech import ShanghaiTech
from gepc_geo.datasets.simulate import simulate_crowd, write_crowd

__all__ = ["NWUCLA", "PennAction", "ShanghaiTech", "simulate_crowd", "write_crowd"]
