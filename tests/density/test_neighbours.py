"""Distances to the nearest people, compared with a plain loop in float64."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from gepc_geo.density import neighbours
from gepc_geo.density.neighbours import NearestDistance


def learned(x: torch.Tensor, person: torch.Tensor, seed: int = 0) -> NearestDistance:
    nearest = NearestDistance().measure(x, seed)
    return nearest.fit(nearest.project(x), person)


def rows(count: int, dims: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dims, generator=generator) * torch.linspace(2, 0.5, dims)


def expected(x: np.ndarray, person: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Definition: spacing to 30 people, power 0.4, floor 0.01, up to 3 people, all dimensions."""
    people = np.unique(person)
    squares = []
    for row, own in zip(x, person, strict=True):
        apart = [np.sum((x[person == one] - row) ** 2, 1).min() for one in people if one != own]
        squares.append(np.mean(sorted(apart)[:30]))
    floor = 1e-4 * np.mean(squares)
    scales = np.sqrt(np.array(squares) + floor)
    count = min(max(len(people) // 10, 1), 3)
    scores = []
    for q in query:
        each = np.log(np.sqrt(np.sum((q - x) ** 2, 1) + floor) / scales**0.4)
        scores.append(np.mean(sorted(each[person == one].min() for one in people)[:count]))
    return np.array(scores)


@pytest.mark.parametrize("people", [4, 20, 50])
def test_equals_the_definition(people):
    """With 4, 20 and 50 people, the one, two and three nearest count."""
    x, query = rows(100, 5, 0), rows(20, 5, 1)
    person = 7 * (torch.arange(100) % people)
    nearest = learned(x, person)
    ours = nearest(nearest.project(query)).numpy()
    wanted = expected(x.double().numpy(), person.numpy(), query.double().numpy())
    np.testing.assert_allclose(ours, wanted, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_with_one_person_distant_rows_score_higher_at_any_scale(scale):
    """Without other people the spacing is the distance to the mean."""
    x = scale * rows(60, 5, 0)
    nearest = learned(x, torch.zeros(60, dtype=torch.long))
    around = ((x - x.mean(0)).double() ** 2).sum(1).mean().sqrt()
    query = torch.cat([x[:1], x[:1] + 10 * around])
    near, far = nearest(nearest.project(query)).tolist()
    # Scores differ by the scale only: a distance over another one to the power 0.4.
    unit = 0.6 * float(around.log())
    assert near - unit == pytest.approx(np.log(0.01), abs=1e-3)
    assert far - unit > np.log(10)


def test_rows_of_the_same_person_do_not_count():
    """Scores equal those of a detector without the person, except for the spacing."""
    x, person = rows(80, 5, 0), torch.arange(80) // 2
    nearest = learned(x, 3 * person)
    points = nearest.project(x)
    ours = nearest(points, 3 * person)
    for one in range(40):
        without = NearestDistance()
        state = nearest.state_dict()
        kept = person != one
        state |= {name: state[name][kept] for name in ("points", "log_scale")}
        state["person"] = person[kept].unique(return_inverse=True)[1]
        without.load_state_dict(state)
        torch.testing.assert_close(ours[person == one], without(points[person == one]))
    assert torch.equal(nearest(points, 3 * person + 1), nearest(points))


def test_with_one_person_their_own_rows_count():
    x = rows(12, 3, 0)
    nearest = learned(x, torch.zeros(12, dtype=torch.long))
    points = nearest.project(x + 1)
    assert torch.equal(nearest(points, torch.zeros(12, dtype=torch.long)), nearest(points))


def test_one_abnormal_training_person_makes_no_similar_person_normal():
    """An abnormal person among 60 people hardly changes scores of similar behaviour."""
    x = rows(60, 4, 0)
    odd = torch.tensor([[20.0, 0, 0, 0]])
    without, with_odd = learned(x, torch.arange(60)), learned(torch.cat([x, odd]), torch.arange(61))
    far = [float(one(one.project(odd + 0.1))) for one in (without, with_odd)]
    normal = [float(one(one.project(x[:20] + 0.1)).max()) for one in (without, with_odd)]
    assert far[0] > normal[0] and far[1] > normal[1]


def test_at_equal_distance_a_row_near_dense_rows_scores_higher():
    dense, sparse = rows(40, 3, 0) * 0.1, rows(40, 3, 1) + torch.tensor([50.0, 0, 0])
    nearest = learned(torch.cat([dense, sparse]), torch.arange(80))
    away = torch.stack([dense.mean(0), sparse.mean(0)]) + torch.tensor([0, 20.0, 0])
    by_dense, by_sparse = nearest(nearest.project(away)).tolist()
    assert by_dense > by_sparse


def test_only_principal_components_count(monkeypatch):
    monkeypatch.setattr(neighbours, "MOST_DIMS", 2)
    x = rows(50, 4, 0) * torch.tensor([1.0, 1, 1e-4, 1e-4])
    nearest = learned(x, torch.arange(50))
    kept = x[:, :2].double().numpy()
    ours = nearest(nearest.project(x[:10] + torch.tensor([0.5, 0, 0, 0]))).numpy()
    wanted = expected(kept, np.arange(50), kept[:10] + [0.5, 0])
    np.testing.assert_allclose(ours, wanted, atol=1e-3)


def test_learned_rows_have_finite_scores_and_gradients():
    x = rows(30, 4, 0)
    nearest = learned(x, torch.arange(30))
    query = x[:5].clone().requires_grad_(True)
    score = nearest(nearest.project(query))
    (gradient,) = torch.autograd.grad(score.sum(), query)
    assert score.isfinite().all() and gradient.isfinite().all()
    assert (score < nearest(nearest.project(x[:5] + 1))).all()


@pytest.mark.parametrize("count", [1, 2, 12])
def test_rows_of_one_person_and_equal_rows_are_taken(count):
    x = torch.ones(count, 3)
    nearest = learned(x, torch.zeros(count, dtype=torch.long))
    score = nearest(nearest.project(torch.cat([x, x + 1])))
    assert score.isfinite().all()
    x = rows(max(count, 2), 3, 0)
    nearest = learned(x, torch.zeros(len(x), dtype=torch.long))
    near, far = nearest(nearest.project(torch.stack([x[0], x[0] + 9]))).tolist()
    assert near < far


def test_at_most_10_000_evenly_spaced_rows_are_kept(monkeypatch):
    monkeypatch.setattr(neighbours, "MOST_ROWS", 20)
    x = rows(50, 4, 0)
    nearest = learned(x, torch.arange(50))
    even = np.linspace(0, 49, 20).round().astype(int)
    assert torch.equal(nearest.points, nearest.project(x)[even])


def test_many_rows_are_scored_in_blocks(monkeypatch):
    x = rows(50, 4, 0)
    nearest = learned(x, torch.arange(50))
    query = nearest.project(rows(45, 4, 1))
    whole, none = nearest(query), nearest(query[:0])
    monkeypatch.setattr(neighbours, "BLOCK", 10)
    sizes, inner = [], nearest.score
    monkeypatch.setattr(nearest, "score", lambda a, *b: sizes.append(len(a)) or inner(a, *b))
    torch.testing.assert_close(nearest(query), whole)
    assert sizes == [10, 10, 10, 10, 5] and none.shape == (0,)


# In a process of its own: memory that other tests have freed would be taken first.
MEMORY = """
import re
from pathlib import Path
import torch
from gepc_geo.density import neighbours

def held(entry):
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{entry}:\\s+(\\d+) kB", status)[1]) / 1024

x = torch.randn(neighbours.MOST_ROWS, 8, generator=torch.Generator().manual_seed(0))
nearest = neighbours.NearestDistance().measure(x[:64], 0)
nearest.fit(nearest.project(x[:64]), torch.arange(64))
state = nearest.state_dict()
state["points"] = nearest.project(x)
times = len(x) // 64 + 1
for name in ("log_scale", "person"):
    state[name] = state[name].repeat(times)[: len(x)]
nearest.load_state_dict(state)
query = nearest.points[: 16 * neighbours.BLOCK]
nearest(query[:1])
grown = []
# A busy machine returns freed memory late: the least of three passes.
for _ in range(3):
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    score = nearest(query)
    grown.append(held("VmHWM") - before)
print(min(grown), len(query), *score.shape)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux's /proc")
def test_many_rows_are_scored_in_little_memory():
    command = [sys.executable, "-c", MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, count, scored = map(float, done.stdout.split())
    # A few blocks of distances to the reference rows; without blocks 16 and more.
    assert grown < 6 * neighbours.BLOCK * neighbours.MOST_ROWS * 8 / 2**20
    assert scored == count == 16 * neighbours.BLOCK


def test_components_can_be_moved_before_the_fit():
    x = rows(40, 4, 0)
    moved = NearestDistance().measure(x, 0).to(torch.device("cpu"))
    again = moved.fit(moved.project(x), torch.arange(40))
    points = again.project(x[:5] + 1)
    assert torch.equal(again(points), learned(x, torch.arange(40))(points))


def test_the_seed_repeats_and_the_state_restores():
    x, person = rows(200, 150, 0), torch.arange(200)
    torch.manual_seed(1)
    first = learned(x, person)
    torch.manual_seed(2)
    again = learned(x, person)
    other = NearestDistance()
    other.load_state_dict(first.state_dict())
    points = first.project(x[:9] + 1)
    assert torch.equal(points, again.project(x[:9] + 1))
    assert torch.equal(first(points), again(points)) and torch.equal(first(points), other(points))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_moves_to_cuda_with_everything():
    x = rows(60, 5, 0)
    nearest = learned(x, torch.arange(60))
    here = nearest(nearest.project(x + 1))
    nearest.to(torch.device("cuda"))
    there = nearest(nearest.project((x + 1).cuda())).cpu()
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)


def test_an_update_adds_rows_to_the_old_ones():
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(300, 4, generator=generator, dtype=torch.float64)
    nearest = NearestDistance().measure(old.float(), 0)
    nearest.fit(nearest.project(old.float()), torch.arange(300))
    before = {name: value.clone() for name, value in nearest.state_dict().items()}
    # A few rows of one person, far from all others.
    new = nearest.project(
        (8 + 0.1 * torch.randn(5, 4, generator=generator, dtype=torch.float64)).float()
    )
    more = nearest.extended(new, torch.zeros(5, dtype=torch.long))
    assert len(more.points) == 305
    assert (more.log_scale[300:] <= nearest.log_scale.median() + 1e-6).all()
    probes = torch.cat([nearest.points[:50] + 0.1, new + 0.01, new + 3])
    was, now = nearest(probes), more(probes)
    assert (now <= was + 1e-9).all()
    usual = nearest(nearest.points + 0.3)
    assert (now[50:55] < was[50:55] - 1).all()
    # Rows at distance three from the new rows are still abnormal.
    assert (now[55:] > usual.max()).all()
    for name, value in nearest.state_dict().items():
        assert torch.equal(value, before[name])


def test_an_update_keeps_at_most_20_000_rows_and_prefers_new_ones(monkeypatch):
    monkeypatch.setattr("gepc_geo.density.neighbours.MOST_ROWS", 50)
    rows = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    nearest = NearestDistance().measure(rows, 0)
    nearest.fit(nearest.project(rows), torch.arange(50))
    for _ in range(3):
        new = nearest.project(torch.randn(30, 3))
        nearest = nearest.extended(new, torch.arange(30))
        assert len(nearest.points) == len(nearest.log_scale) <= 100
        assert torch.equal(nearest.points[-30:], new)
    nearest = nearest.extended(nearest.project(torch.randn(500, 3)), torch.arange(500))
    assert len(nearest.points) == 100


def test_one_row_over_the_limit_costs_one_row():
    """Of 10,001 rows, 10,000 are stored, from the first to the last, not every second row."""
    points = torch.arange(10_001, dtype=torch.float32)[:, None]
    kept = NearestDistance().fit(points, torch.arange(10_001)).points
    assert len(kept.unique()) == 10_000 and kept[0] == 0 and kept[-1] == 10_000
