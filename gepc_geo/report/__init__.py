"""Pictures of results."""

from gepc_geo.report.plots import plot_roc, plot_timelines

__all__ = ["plot_roc", "plot_timelines"]
