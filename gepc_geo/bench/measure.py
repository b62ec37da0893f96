"""How long something takes, how much memory, and what the machine could do at most."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gepc_geo.training.precision import tensor_float
from gepc_geo.utils.device import wait

Work = Callable[[], object]


def milliseconds(*works: Work, seconds: float, device: torch.device) -> list[float]:
    """The median time of a call of each; calls alternate, after one of each to warm up.

    Args:
        works: What to call.
        seconds: How long to go on, all of them together; at least three rounds.
        device: Where they compute: CUDA runs behind the program.
    """
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for work, taken in zip(works, times, strict=True):
            wait(device)
            start = time.perf_counter()
            work()
            wait(device)
            taken.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def median_seconds(work: Work, repeats: int) -> float:
    """The median time of so many calls on the CPU, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_megabytes(work: Work, device: torch.device) -> float:
    """The most that tensors took at once beyond what was there before.

    Of what CUDA graphs replay, which takes its memory once and keeps it, next to nothing is seen.
    """
    work()
    if device.type == "cuda":
        wait(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        wait(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with torch.profiler.profile(profile_memory=True) as profiler:
        work()
    taken = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            taken += event.nbytes()
            peak = max(peak, taken)
    return peak / 2**20


def roofline(
    device: torch.device, precisions: Sequence[str] = ("fp32", "bf16"), size: int | None = None
) -> dict[str, float]:
    """What the machine reaches: matrix products of each precision in GFLOP/s, ``copy`` in GB/s.

    Args:
        device: Where to compute.
        precisions: Some of ``fp32``, ``tf32`` and ``bf16``.
        size: Rows and columns of a product; default: 2048, on a GPU 8192, where less would mostly
            measure how long a kernel takes to start.
    """
    result = {}
    if size is None:
        size = 8192 if device.type == "cuda" else 2048
    for name in precisions:
        dtype = torch.bfloat16 if name == "bf16" else torch.float32
        a = torch.ones(size, size, device=device, dtype=dtype)
        with tensor_float(name):
            (taken,) = milliseconds(lambda a=a: a @ a, seconds=0.5, device=device)  # type: ignore[misc]
        result[name] = 2 * size**3 / taken / 1e6
    source = torch.ones(64 << 20, device=device)
    target = torch.empty_like(source)
    (taken,) = milliseconds(lambda: target.copy_(source), seconds=0.5, device=device)
    result["copy"] = 2 * source.nbytes / taken / 1e6
    return result


class Traffic(TorchDispatchMode):
    """Adds up the bytes of what operators take and give, views left out: as if nothing was fused.

    Attributes:
        total: Bytes so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operator."""
        out = func(*args, **(kwargs or {}))
        taken, given = (_tensors(one) for one in ((args, kwargs), out))
        held = {one.untyped_storage().data_ptr() for one in taken}
        seen = all(one.untyped_storage().data_ptr() in held for one in given)
        if func._schema.is_mutable or not seen:
            self.total += sum(one.nbytes for one in (*taken, *given))
        return out


def _tensors(tree: object) -> list[torch.Tensor]:
    return [one for one in tree_leaves(tree) if isinstance(one, torch.Tensor)]
