"""Settings of the memory allocator that make training on a CPU faster."""

from __future__ import annotations

import ctypes
import os
import platform

# Options of mallopt, from malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEEP = {_M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 * 2**20, _M_MMAP_MAX: 0}


def keep_memory() -> None:
    """Lets this process reuse the memory of freed CPU tensors.

    By default the GNU C library returns large blocks to the system and requests them again page by
    page; the system zeroes each page. That takes up to half the time of a training step. With these
    settings the process holds its peak memory until it ends. They apply to the whole process, so
    the command line calls this function and the library does not. It does nothing with another C
    library, or if the environment has ``MALLOC_`` variables.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    library = ctypes.CDLL(None)
    for option, value in _KEEP.items():
        library.mallopt(option, value)
