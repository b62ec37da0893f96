"""``gepc-geo``: parse, call, print. The work is done by the package."""

from __future__ import annotations

import os

import click
import torch
from threadpoolctl import threadpool_limits

from gepc_geo._version import __version__
from gepc_geo.cli.commands.adapt import adapt
from gepc_geo.cli.commands.bench import bench
from gepc_geo.cli.commands.calibrate import calibrate
from gepc_geo.cli.commands.convert import convert
from gepc_geo.cli.commands.demo import demo
from gepc_geo.cli.commands.evaluate import evaluate
from gepc_geo.cli.commands.experiment import experiment
from gepc_geo.cli.commands.export import export_command
from gepc_geo.cli.commands.info import info
from gepc_geo.cli.commands.merge import merge
from gepc_geo.cli.commands.render import render
from gepc_geo.cli.commands.report import report
from gepc_geo.cli.commands.score import score
from gepc_geo.cli.commands.train import train
from gepc_geo.cli.commands.watch import watch
from gepc_geo.cli.refusal import Group

# What torch takes unless told otherwise: a thread for each core.
_CORES = torch.get_num_threads()


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gepc-geo")
def main() -> None:
    """Find abnormal human behaviour in tracked poses."""
    # Threads of several processes on the same cores wait for one another: two trainings on two cores, two
    # threads each, took 20 times as long as one (benchmarks/results/2026-11-30/threads.txt).
    if "OMP_NUM_THREADS" not in os.environ:
        threads = max(1, _CORES // 2)
        torch.set_num_threads(threads)
        # Those of NumPy's and scikit-learn's libraries, too.
        threadpool_limits(threads)


for _command in (
    demo,
    train,
    score,
    merge,
    evaluate,
    calibrate,
    watch,
    adapt,
    report,
    render,
    experiment,
    convert,
    export_command,
    info,
    bench,
):
    main.add_command(_command)
