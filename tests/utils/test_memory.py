"""Freed memory stays with a process that asks for it."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from gepc_geo.utils.memory import keep_memory

# The tests read the memory of the process: page faults depend on the size of pages.
SCRIPT = """
import resource, torch, gepc_geo.detector.gepc
from gepc_geo.utils.memory import keep_memory

def held_after(megabytes):
    torch.ones(megabytes << 18)
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() >> 20

before = held_after(0)
stock = held_after(256)
keep_memory()
kept = held_after(256)
again = max(held_after(256) for _ in range(8))
print(before, stock, kept, again)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_the_memory_of_freed_tensors_is_reused():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    before, stock, kept, again = map(int, done.stdout.split())
    assert abs(stock - before) < 128  # 256 MB are more than the library keeps by itself
    assert kept > before + 192
    # The same memory is reused; a second block if a small allocation lies in the first.
    assert again < kept + 320


@pytest.fixture
def loaded(monkeypatch) -> list:
    """C libraries that were loaded."""
    found: list = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: found.append(name) or pytest.fail("mallopt"))
    return found


def test_settings_in_the_environment_are_not_overridden(monkeypatch, loaded):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    keep_memory()
    assert loaded == []


def test_another_c_library_is_left_alone(monkeypatch, loaded):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    keep_memory()
    assert loaded == []
