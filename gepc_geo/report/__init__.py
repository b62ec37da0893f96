"""Pictures of results."""

from gepc_geo.report.plots import (
    can_plot,
    plot_bars,
    plot_lines,
    plot_roc,
    plot_throughput,
    plot_timelines,
)

__all__ = [
    "can_plot",
    "plot_bars",
    "plot_lines",
    "plot_roc",
    "plot_throughput",
    "plot_timelines",
]
