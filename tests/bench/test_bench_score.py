"""Scoring benchmark: ordinary parts compute the same scores."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.bench import score
from gepc_geo.datasets import simulate_crowd
from gepc_geo.density.mixture import DirichletProcessMixture
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    options = {**NETWORK, "lengths": ["12", "18"], "mode": "assignment", "score_stride": 4}
    return GEPC(**options, budget=64, batch_size=32).fit(walkers, device="cpu")


@pytest.mark.parametrize("mode", ["assignment", "nearest"])
def test_the_ordinary_scorer_gives_our_frame_scores(detector, monkeypatch, mode):
    some = simulate_crowd("test", num_clips=5, frames_per_clip=40, random_state=2)
    # Both use scikit-learn's score, which is not normalised.
    monkeypatch.setattr(
        DirichletProcessMixture, "unchecked_log_density", DirichletProcessMixture.score_samples
    )
    found = score.ordinary_scorer(detector, mode)(some)
    expected = score_table(detector, some, "frame", ScoreOptions(mode=mode))["score"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert np.std(expected) > 0.1


def test_the_plain_loop_gives_our_frame_scores():
    row = score.measure_aggregation(2000, CPU)
    assert row["difference"] < 1e-12
    assert row["ratio"] == pytest.approx(row["ours"] / row["theirs"])


def test_rows_of_alternating_processes_compare_with_the_ordinary_scorer(programs, monkeypatch):
    monkeypatch.setattr(score, "VARIANTS", (score.VARIANTS[0], *score.VARIANTS[2::2]))
    small = NETWORK | {"lengths": ["12", "18"], "score_stride": 4}
    monkeypatch.setattr(score, "GEPC", partial(GEPC, **small))
    plain, ordinary, ours, _ = score.run(CPU, clips=2, frames=24, rounds=1, rows=500, hidden=1)
    assert [tuple(words[:3]) for words, _ in programs] == list(score.VARIANTS)
    names = ["ordinary, nearest, fp32", "ordinary, assignment, fp32", "gepc_geo, assignment, auto"]
    assert [row["name"] for row in (plain, ordinary, ours)] == names
    assert plain["ratio"] == ordinary["ratio"] == 1
    assert ours["ratio"] == ours["rate"] / ordinary["rate"] > 0
