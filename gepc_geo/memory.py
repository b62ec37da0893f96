"""Freed memory that stays with the process, so that the next tensor need not ask for it again."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# From malloc.h of the GNU C library.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
DEFAULTS = {M_TRIM_THRESHOLD: 128 * 1024, M_TOP_PAD: 128 * 1024, M_MMAP_MAX: 65536}
KEEP = {M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 * 2**20, M_MMAP_MAX: 0}

_depth = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """While inside, memory of freed CPU tensors is not given back to the system.

    The GNU C library gives large blocks back at once and gets them back page by page, each page
    zeroed by the system: up to half the time of a training step. Memory grows to the peak of what
    is inside and is given back at the end. Where the C library is another one, nothing happens.
    """
    global _depth
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    if _depth == 0:
        for option, value in KEEP.items():
            library.mallopt(option, value)
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            for option, value in DEFAULTS.items():
                library.mallopt(option, value)
            library.malloc_trim(0)
