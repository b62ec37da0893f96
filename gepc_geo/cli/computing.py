"""Commands that compute: each sets up memory and threads of its process first."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import click

from gepc_geo.utils.memory import keep_memory


class Computing(click.Command):
    """A command that computes; its help and the check of its flags do not import PyTorch."""

    def invoke(self, ctx: click.Context) -> Any:
        """Sets up the process, then runs the command."""
        keep_memory()
        _limit_threads()
        return super().invoke(ctx)


def _limit_threads() -> None:
    """Limits threads to half of the cores, unless ``OMP_NUM_THREADS`` is set.

    Threads of several processes on the same cores wait for one another: on two cores, two trainings
    with two threads each took 20 times as long as one (benchmarks/results/2026-11-30/threads.txt).
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch
    from threadpoolctl import threadpool_limits

    threads = max(1, num_cores() // 2)
    torch.set_num_threads(threads)
    # Also for the libraries of NumPy and scikit-learn.
    threadpool_limits(threads)


@cache
def num_cores() -> int:
    """PyTorch's default number of threads, one per core; cached before the first limit."""
    import torch

    return torch.get_num_threads()
