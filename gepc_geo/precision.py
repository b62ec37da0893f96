"""Which arithmetic the network runs in."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gepc_geo.device import wait
from gepc_geo.nn.pointwise import pointwise

#: What the option ``precision`` may be once it is decided. TensorFloat-32 is float32 but for products
#: on a GPU, whose factors it rounds to 10 bits; elsewhere it is float32.
PRECISIONS = ("fp32", "tf32", "bf16")
# bfloat16 costs digits; it has to be worth them.
_WORTH = 1.5
# Enough to keep the device busy for much longer than it takes to start a kernel.
_WINDOWS = {"cpu": 256, "cuda": 2048}
_REPEATS = 10


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """The context the network runs in."""
    enabled = precision == "bf16"
    with tensor_float(precision), torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield


@contextmanager
def tensor_float(precision: str) -> Iterator[None]:
    """Products on a GPU in TensorFloat-32 if that is the precision, else not.

    Left alone, PyTorch would compute convolutions in it and matrix products not.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def decide(precision: str, device: torch.device) -> str:
    """``fp32`` or ``bf16``; ``auto`` is whichever :func:`bf16_speed` says is worth it."""
    if precision != "auto":
        return precision
    return "bf16" if bf16_speed(device) >= _WORTH else "fp32"


@functools.cache
def bf16_speed(device: torch.device) -> float:
    """How many times as fast as in float32 a device runs the network's usual operation in bfloat16.

    A 1x1 convolution of usual size, forward and backward. The operation is the same for every
    network, so that a machine answers the same in every run: what a whole network gains depends on
    its sizes, and for small ones lies close to the limit. Measured once in a process.
    """
    shape = (_WINDOWS.get(device.type, _WINDOWS["cuda"]), 12, 18, 96)
    work = {
        dtype: [
            torch.ones(size, device=device, dtype=dtype).requires_grad_()
            for size in (shape, (32, 96))
        ]
        for dtype in (torch.float32, torch.bfloat16)
    }
    best = dict.fromkeys(work, float("inf"))
    # One after the other, again and again: whatever else the machine does meets both.
    for repeat in range(1 + _REPEATS):
        for dtype, (x, weight) in work.items():
            wait(device)
            start = time.perf_counter()
            out = pointwise(x, weight)
            out.backward(out.detach())
            wait(device)
            if repeat:
                best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.float32] / best[torch.bfloat16]
