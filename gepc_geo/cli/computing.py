"""Commands that compute: each sets up its process before it begins."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import click

from gepc_geo.utils.memory import keep_memory


class Computing(click.Command):
    """A command that computes. Its help, and a refusal of its flags, need no PyTorch."""

    def invoke(self, ctx: click.Context) -> Any:
        keep_memory()
        _limit_threads()
        return super().invoke(ctx)


def _limit_threads() -> None:
    """Takes half of the cores, unless ``OMP_NUM_THREADS`` says how many threads there are.

    Threads of several processes on the same cores wait for one another: two trainings on two cores, two
    threads each, took 20 times as long as one (benchmarks/results/2026-11-30/threads.txt).
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch
    from threadpoolctl import threadpool_limits

    threads = max(1, _cores() // 2)
    torch.set_num_threads(threads)
    # Those of NumPy's and scikit-learn's libraries, too.
    threadpool_limits(threads)


@cache
def _cores() -> int:
    """The threads that PyTorch takes unless told otherwise, one for each core: asked once, before any limit."""
    import torch

    return torch.get_num_threads()
