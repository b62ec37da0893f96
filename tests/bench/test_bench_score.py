"""The scoring benchmark: the ordinary parts compute the scores they are measured for."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.bench import score
from gepc_geo.levels import ScoreOptions, score_table
from gepc_geo.mixture import DirichletProcessMixture
from gepc_geo.shards import clip_range

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    options = {**NETWORK, "budget": 64, "batch_size": 32, "score_stride": 4}
    return GEPC(**options).fit(walkers, device="cpu")


@pytest.mark.parametrize("every_mode", [True, False])
def test_the_ordinary_parts_give_our_frame_scores(detector, walkers, monkeypatch, every_mode):
    some = clip_range(walkers, 0, 5)
    found = score.ordinary_scorer(detector, every_mode)(some)
    # scikit-learn's score, no normalised density, in both.
    monkeypatch.setattr(
        DirichletProcessMixture, "_log_density", DirichletProcessMixture.score_samples
    )
    expected = score_table(detector, some, "frame", ScoreOptions(mode="assignment"))["score"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.std(expected) > 0.1


def test_the_loop_aggregates_to_the_same_numbers():
    row = score._aggregation(2000, CPU)
    assert row["difference"] < 1e-12
    assert row["ratio"] == pytest.approx(row["ours"] / row["theirs"])


def test_processes_take_turns_and_compare_with_the_ordinary_one(programs, monkeypatch):
    monkeypatch.setattr(score, "WHO", score.WHO[::3])
    monkeypatch.setattr(score, "GEPC", partial(GEPC, **{**NETWORK, "score_stride": 4}))
    ordinary, ours, _ = score.run(CPU, clips=2, frames=24, rounds=1, rows=500, hidden=1)
    assert [tuple(words[:2]) for words, _ in programs] == list(score.WHO)
    assert [row["name"] for row in (ordinary, ours)] == ["ordinary, fp32", "gepc_geo, auto"]
    assert ordinary["ratio"] == 1 and ours["ratio"] == ours["rate"] / ordinary["rate"] > 0
