"""Tail probabilities: uniform on normal samples, monotone, and correct for groups of people."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from gepc_geo.density.tail_calibration import TailCalibrator, correct_for_people
from gepc_geo.errors import InputError


def normal(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exponential(n: int, seed: int) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(seed).exponential(3, n))


@pytest.mark.parametrize("draw", [normal, exponential])
def test_tails_of_new_normal_samples_are_uniform(draw):
    calibrator = TailCalibrator().fit(draw(20_000, 0))
    tail = calibrator.log_tail(draw(5_000, 1)).exp().numpy()
    assert kstest(tail, "uniform").statistic < 0.03


def test_exponential_tail_is_exact_for_exponential_scores():
    calibrator = TailCalibrator().fit(exponential(50_000, 0))
    far = torch.tensor([15.0, 30.0, 60.0])
    np.testing.assert_allclose(calibrator.log_tail(far), -far / 3, rtol=0.06)


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
    asked=st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=20),
)
def test_tail_falls_with_the_score(scores, asked):
    calibrator = TailCalibrator().fit(torch.tensor(scores, dtype=torch.float64))
    x = torch.tensor(sorted(asked), dtype=torch.float64)
    tail = calibrator.log_tail(x)
    assert tail.isfinite().all() and (tail <= 0).all()
    assert (tail.diff() <= 1e-12).all()


def test_tails_fall_strictly_beyond_the_largest_known_score():
    calibrator = TailCalibrator().fit(normal(500, 0))
    assert (calibrator.log_tail(torch.linspace(4, 100, 50)).diff() < 0).all()


@pytest.mark.parametrize("level", [0.01, 0.3, 0.5, 0.9, 0.95, 0.999])
def test_quantile_is_the_inverse_of_the_tail(level):
    calibrator = TailCalibrator().fit(normal(3000, 0))
    score = torch.tensor([calibrator.quantile(level)], dtype=torch.float64)
    assert calibrator.log_tail(score).item() == pytest.approx(math.log(1 - level), rel=1e-6)


def test_gradients_flow():
    calibrator = TailCalibrator().fit(normal(200, 0))
    x = torch.tensor([-5.0, -0.31, 0.47, 9.0], dtype=torch.float64, requires_grad=True)
    calibrator.log_tail(x).sum().backward()
    assert (x.grad < 0).all()


def test_state_survives_a_file(tmp_path):
    calibrator = TailCalibrator().fit(normal(100, 0))
    torch.save(calibrator.state_dict(), tmp_path / "c.pt")
    again = TailCalibrator.from_state_dict(torch.load(tmp_path / "c.pt", weights_only=True))
    x = torch.linspace(-4, 9, 30)
    assert torch.equal(again.log_tail(x), calibrator.log_tail(x))


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")]])
def test_no_scores_and_scores_that_are_not_finite_are_refused(scores):
    with pytest.raises(InputError, match="must have at least one score, all finite"):
        TailCalibrator().fit(torch.tensor(scores))
    with pytest.raises(InputError, match="quantile level must be between 0 and 1, got 1"):
        TailCalibrator().fit(normal(10, 0)).quantile(1)


def test_people_correction_equals_the_closed_form_and_a_simulation():
    p, n = 0.02, 7
    log_tail = torch.tensor([math.log(p)], dtype=torch.float64)
    corrected = correct_for_people(log_tail, torch.tensor([n])).exp().item()
    assert corrected == pytest.approx(1 - (1 - p) ** n, rel=1e-12)
    draws = np.random.default_rng(0).uniform(size=(200_000, n)).min(1)
    assert corrected == pytest.approx((draws <= p).mean(), rel=0.02)
    tiny = correct_for_people(torch.tensor([-500.0], dtype=torch.float64), torch.tensor([n]))
    assert tiny.item() == pytest.approx(-500 + math.log(n))
    one = torch.tensor([-0.3, -5.0, -45.0], dtype=torch.float64)
    torch.testing.assert_close(correct_for_people(one, torch.ones(3, dtype=torch.long)), one)


def test_people_correction_removes_the_effect_of_crowding():
    """Random scores with more people in abnormal frames: without correction, AUC is too high."""
    rng = np.random.default_rng(0)
    label = rng.uniform(size=20_000) < 0.4
    people = np.where(label, rng.integers(4, 12, 20_000), rng.integers(1, 6, 20_000))
    lowest = np.array([rng.uniform(size=n).min() for n in people])
    assert roc_auc_score(label, -np.log(lowest)) > 0.65
    corrected = correct_for_people(torch.as_tensor(np.log(lowest)), torch.as_tensor(people))
    assert abs(roc_auc_score(label, -corrected.numpy()) - 0.5) < 0.02


def test_new_scores_make_nothing_less_probable():
    """Lower scores change nothing; higher scores count by number, at most as much as the old."""
    scores = torch.randn(3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    old = TailCalibrator().fit(scores)
    grid = torch.linspace(-3, 5, 200, dtype=torch.float64)
    assert old.extended(scores - 1) is old
    few, many = old.extended(scores[:20] + 3), old.extended(scores.repeat(5) + 3)
    for new in (few, many):
        assert (new.log_tail(grid) - old.log_tail(grid)).min() > -0.02
    at = torch.tensor([1.5], dtype=torch.float64)
    before = float(old.log_tail(at).exp())
    assert float(few.log_tail(at).exp()) == pytest.approx(before + 0.01 * (0.93 - before), abs=0.01)
    assert float(many.log_tail(at).exp()) == pytest.approx((before + 0.93) / 2, abs=0.02)


@pytest.mark.parametrize("count", [1, 2, 6, 9, 10, 40])
def test_few_scores_still_give_a_slow_tail(count):
    """A score far above the largest of a few scores is unlikely, not impossible."""
    scores = torch.randn(count, generator=torch.Generator().manual_seed(count))
    spread = float(scores.max() - scores.min())
    tail = float(-TailCalibrator().fit(scores).log_tail(scores.max() + spread))
    assert 0 < tail < 101 + math.log(count + 1)
