"""Freed memory that stays with the process, so that the next tensor need not ask for it again."""

from __future__ import annotations

import ctypes
import os
import platform

# Options of mallopt, from malloc.h of the GNU C library, and their values.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEEP = {_M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 * 2**20, _M_MMAP_MAX: 0}


def keep_memory() -> None:
    """From now on this process keeps the memory of freed CPU tensors.

    The GNU C library returns large blocks to the system at once and gets them back page by page, each
    page zeroed by the system: up to half the time of a training step. With these settings memory stays
    at its peak until the process ends. The settings hold for the whole process, so that only programs
    call this function: the command line does, the library does not. It does nothing with another C
    library, or where the environment has ``MALLOC_`` settings.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    library = ctypes.CDLL(None)
    for option, value in _KEEP.items():
        library.mallopt(option, value)
