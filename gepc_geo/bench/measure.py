"""Measurements of time and memory, and of the peak rates of the machine."""

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
    """Measures the median time of each function; calls alternate, after one warm-up call each.

    Args:
        works: Functions to call.
        seconds: Total duration of the measurement; at least three calls of each function.
        device: Device of the computation; CUDA is synchronised around each call.

    Returns:
        Median milliseconds of each function.
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
    """Median seconds of ``repeats`` calls on the CPU, after one warm-up call."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_megabytes(work: Work, device: torch.device) -> float:
    """Peak memory of tensors during a call, in MB, without the memory in use before.

    The memory of a replayed CUDA graph is allocated once and does not count.
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
    """Measures peak rates: matrix products of each precision in GFLOP/s, ``copy`` in GB/s.

    Args:
        device: Device of the computation.
        precisions: Some of ``fp32``, ``tf32`` and ``bf16``.
        size: Rows and columns of a product. (default: 2048, or 8192 on a GPU, where the launch time
            of smaller kernels dominates)

    Returns:
        Rate of each precision, and ``copy``.
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
    """Sums the bytes that operators read and write, without views and without fusion.

    Attributes:
        total: Bytes so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operator."""
        out = func(*args, **(kwargs or {}))
        inputs, outputs = _tensors((args, kwargs)), _tensors(out)
        storages = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        is_view = all(tensor.untyped_storage().data_ptr() in storages for tensor in outputs)
        if func._schema.is_mutable or not is_view:
            self.total += sum(tensor.nbytes for tensor in (*inputs, *outputs))
        return out


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
