"""Reports, plots and videos of results."""

from gepc_geo.report.axes import plot_clusters, plot_skeleton, plot_timeline
from gepc_geo.report.content import gather
from gepc_geo.report.footage import Footage
from gepc_geo.report.page import make_page, plotting_script, write_page
from gepc_geo.report.plots import (
    can_plot,
    plot_bars,
    plot_lines,
    plot_roc,
    plot_throughput,
    plot_timelines,
)

__all__ = [
    "Footage",
    "can_plot",
    "gather",
    "make_page",
    "plot_bars",
    "plot_clusters",
    "plot_lines",
    "plot_roc",
    "plot_skeleton",
    "plot_throughput",
    "plot_timeline",
    "plot_timelines",
    "plotting_script",
    "write_page",
]
