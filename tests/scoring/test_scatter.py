"""The maximum of each group and its holder, with torch-scatter and without."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.scoring import scatter
from gepc_geo.scoring.scatter import scatter_max_arg


@pytest.fixture(params=["torch-scatter", "sort"])
def way(request, monkeypatch):
    """Both ways to the same answer."""
    if request.param == "sort":
        monkeypatch.setattr(scatter, "torch_scatter", None)
    elif scatter.torch_scatter is None:
        pytest.skip("torch-scatter is not installed")
    return request.param


def test_the_largest_value_and_its_first_position_are_found(way):
    src = torch.tensor([1.0, 5.0, -2.0, 5.0, -7.0])
    value, position = scatter_max_arg(src, torch.tensor([0, 1, 0, 1, 3]), 4)
    assert value.tolist() == [1.0, 5.0, -torch.inf, -7.0]
    assert position.tolist() == [0, 1, -1, 4], "of equal values the first"


def test_without_values_maxima_are_minus_infinity(way):
    value, position = scatter_max_arg(torch.zeros(0), torch.zeros(0, dtype=torch.long), 2)
    assert value.tolist() == [-torch.inf] * 2
    assert position.tolist() == [-1, -1]


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), max_size=30))
def test_equals_a_loop(pairs):
    src = torch.tensor([float(v) for v, _ in pairs], dtype=torch.float64)
    index = torch.tensor([g for _, g in pairs], dtype=torch.long)
    best = [(-float("inf"), -1)] * 5
    for i, (v, g) in enumerate(pairs):
        if v > best[g][0]:
            best[g] = (float(v), i)
    installed = scatter.torch_scatter
    try:
        for module in (installed, None):
            scatter.torch_scatter = module
            value, position = scatter_max_arg(src, index, 5)
            assert list(zip(value.tolist(), position.tolist(), strict=True)) == best
    finally:
        scatter.torch_scatter = installed
