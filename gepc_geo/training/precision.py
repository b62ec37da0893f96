"""Which arithmetic the network runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

#: What the option ``precision`` may be once it is decided. TensorFloat-32 is float32 but for products
#: on a GPU, whose factors it rounds to 10 bits; elsewhere it is float32.
PRECISIONS = ("fp32", "tf32", "bf16")
# Of a CPU; without either, products in bfloat16 are slower than in float32.
_CPU_BF16 = {"amx_bf16", "avx512_bf16"}


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
    """The option ``precision`` as one of :data:`PRECISIONS`: ``auto`` is a rule, not a measurement.

    It is ``bf16`` where :func:`native_bf16` says so, else ``fp32``: the same device always gets the same.
    """
    if precision != "auto":
        return precision
    return "bf16" if native_bf16(device) else "fp32"


def native_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for products in bfloat16.

    A CPU has AMX-BF16 or AVX512-BF16, an NVIDIA GPU compute capability 8.0 or later.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and not _CPU_BF16.isdisjoint(_cpu_flags())


def _cpu_flags() -> set[str]:
    """What the CPU can do, by Linux's names."""
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, there in torch.cpu.get_capabilities().items() if there}
    # Older versions of PyTorch do not tell; where Linux does not either, nothing is known.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
