"""Arithmetic of the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

#: Values of the option ``precision`` other than ``auto``. ``tf32`` is float32, but products on a
#: GPU round their factors to 10 bits (TensorFloat-32).
PRECISIONS = ("fp32", "tf32", "bf16")
# Without either, products in bfloat16 are slower than in float32 on a CPU.
_CPU_BF16 = {"amx_bf16", "avx512_bf16"}


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Sets the arithmetic of the network for the block."""
    enabled = precision == "bf16"
    with tensor_float(precision), torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield


@contextmanager
def tensor_float(precision: str) -> Iterator[None]:
    """Turns TensorFloat-32 on a GPU on for ``tf32``, and off for other precisions.

    PyTorch's default uses it in convolutions, but not in matrix products.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def decide(precision: str, device: torch.device) -> str:
    """The option ``precision`` as one of :data:`PRECISIONS`.

    ``auto`` is ``bf16`` on a device with native products in bfloat16 (:func:`native_bf16`), else
    ``fp32``. Nothing is measured, so the result is the same in each run.
    """
    if precision != "auto":
        return precision
    return "bf16" if native_bf16(device) else "fp32"


def native_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for products in bfloat16.

    These are CPUs with AMX-BF16 or AVX512-BF16 and NVIDIA GPUs of compute capability 8.0 or later.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and not _CPU_BF16.isdisjoint(_cpu_flags())


def _cpu_flags() -> set[str]:
    """Instruction sets of the CPU, by Linux's names."""
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, found in torch.cpu.get_capabilities().items() if found}
    # Older versions of PyTorch do not have this function.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
