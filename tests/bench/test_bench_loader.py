"""Loader benchmark: rows, and the memory of a data set."""

from __future__ import annotations

import sys

import pytest
import torch

from gepc_geo.bench import loader


def test_rates_are_windows_in_the_time_of_all_batches(monkeypatch):
    batches = []

    def milliseconds(ours, theirs, *, seconds, device):
        batches.append((len(ours()), len(theirs())))
        return [10.0, 20.0]

    monkeypatch.setattr(loader, "milliseconds", milliseconds)
    rows = loader.measure_rates(3000, torch.device("cpu"))
    assert [row["where"] for row in rows] == ["batch 512, in order", "batch 512, shuffled"]
    # 30 people of 100 frames, and 2,048 of their windows.
    assert batches == [(6, 4)] * 2
    for row in rows:
        assert (row["ours"], row["theirs"]) == (30 * 89 / 10e-3, 2048 / 20e-3)
        assert row["ratio"] == row["ours"] / row["theirs"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_windows_and_loader_take_about_the_memory_of_the_tracks():
    held, most = loader.measure_memory(300_000)
    assert held["ratio"] < 1.5 and most["ours"] >= held["ours"]
