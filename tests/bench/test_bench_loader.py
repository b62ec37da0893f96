"""The loader benchmark: rows come out, and a data set takes about its tracks' memory."""

from __future__ import annotations

import sys

import pytest
import torch

from gepc_geo.bench import loader


def test_rows():
    rows = loader._rates(3000, torch.device("cpu"))
    assert [row["where"] for row in rows] == ["batch 512, in order", "batch 512, shuffled"]
    assert all(row["ratio"] > 1 for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_data_set_takes_about_its_tracks_memory():
    held, most = loader._memory(300_000)
    assert held["ratio"] < 1.5 and most["ours"] >= held["ours"]
