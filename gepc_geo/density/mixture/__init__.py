"""Dirichlet process mixtures, the density of normal behaviour (section 3.4 of the paper)."""

from gepc_geo.density.mixture.process import DirichletProcessMixture
from gepc_geo.density.mixture.simplex import ilr

__all__ = ["DirichletProcessMixture", "ilr"]
