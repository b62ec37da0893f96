"""Freed memory is kept inside, and given back at the end."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from gepc_geo.utils.memory import kept_memory

# What is held is read from the process, not counted in page faults: those depend on the size of pages.
SCRIPT = """
import resource, torch
from gepc_geo.utils.memory import kept_memory

def held_after(megabytes):
    torch.ones(megabytes << 18)
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() >> 20

before = held_after(0)
stock = held_after(256)
with kept_memory(), kept_memory():
    inside = held_after(256)
    again = max(held_after(256) for _ in range(8))
after = held_after(0)
large, small = held_after(256), held_after(16)
print(before, stock, inside, again, after, large, small)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_freed_tensors_stay_inside_and_are_given_back_at_the_end():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    before, stock, inside, again, after, large, small = map(int, done.stdout.split())
    assert abs(stock - before) < 128  # 256 MB are more than the library keeps by itself
    assert inside > before + 192
    # The same memory again and again: a second block where something small had settled in the first.
    assert again < inside + 320
    assert after < inside - 128
    assert large < after + 128
    assert small > after + 8  # blocks of up to 32 MB are kept, as without us


def test_settings_of_the_environment_stay(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    monkeypatch.setattr("gepc_geo.utils.memory._count", None)
    with kept_memory():
        pass


def test_does_nothing_with_another_c_library(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with kept_memory():
        pass
