"""Freed memory is kept inside, and given back at the end."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from gepc_geo.memory import kept_memory

SCRIPT = """
import resource, torch
from gepc_geo.memory import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(16 << 20)  # 64 MB: more than the C library ever keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() >> 20

before = faults()
with kept_memory(), kept_memory():
    torch.ones(16 << 20)
    inside = faults()
    held = resident()
left, after = resident(), faults()
small = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(1000):
    torch.ones(1 << 18)  # 1 MB: kept, as without us
small = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - small
print(before, inside, after, held, left, small)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_freed_tensors_are_taken_again_without_asking_the_system():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    before, inside, after, held, left, small = map(int, done.stdout.split())
    assert inside < before / 10
    assert after > before / 2
    assert left < held - 32
    assert small < 20_000  # 256 pages each time would be 256,000


def test_settings_of_the_environment_stay(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    monkeypatch.setattr("gepc_geo.memory._count", None)
    with kept_memory():
        pass


def test_does_nothing_with_another_c_library(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with kept_memory():
        pass
