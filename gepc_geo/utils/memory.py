"""Freed memory that stays with the process, so that the next tensor need not ask for it again."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# From malloc.h of the GNU C library.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4
KEEP = {M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 * 2**20, M_MMAP_MAX: 0}
# Left alone the library adapts its thresholds to what is freed, up to these; once told, it does not.
AFTER = {
    M_TRIM_THRESHOLD: 64 * 2**20,
    M_TOP_PAD: 128 * 1024,
    M_MMAP_THRESHOLD: 32 * 2**20,
    M_MMAP_MAX: 65536,
}

_depth = 0
_lock = threading.Lock()


@contextmanager
def kept_memory() -> Iterator[None]:
    """While inside, memory of freed CPU tensors is not given back to the system.

    The GNU C library gives large blocks back at once and gets them back page by page, each page
    zeroed by the system: up to half the time of a training step. Memory grows to the peak of what
    is inside and is given back at the end; from then on blocks of up to 32 MB are kept, as the
    library itself comes to do. Where the C library is another one, or its ``MALLOC_`` settings are
    in the environment, nothing happens.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        yield
        return
    library = ctypes.CDLL(None)
    _count(1, library)
    try:
        yield
    finally:
        _count(-1, library)


def _count(change: int, library: ctypes.CDLL) -> None:
    """One more, or one less, is inside; the first and the last change the library's settings."""
    global _depth
    with _lock:
        before, _depth = _depth, _depth + change
        if before == 0 or _depth == 0:
            for option, value in (KEEP if before == 0 else AFTER).items():
                library.mallopt(option, value)
        if _depth == 0:
            library.malloc_trim(0)
