"""Intervals of thresholds against the binomial distribution, and by drawing again and again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from gepc_geo.scoring.uncertainty import COVERAGE, Interval, share_of_frames


def test_of_independent_scores_the_interval_is_that_of_order_statistics():
    """The ranks r with P(Bin(n, 0.9) < r) of 5 and 95 %, up to interpolation between ranks."""
    count, share = 400, 0.1
    scores = np.random.default_rng(0).gumbel(size=count)
    found = Interval.of(scores, np.arange(count), share)
    ordered = np.sort(scores)
    for value, level in ((found.low, 0.05), (found.high, 0.95)):
        rank = int(binom.ppf(level, count, 1 - share))
        assert ordered[rank - 4] <= value <= ordered[rank + 3]
    assert found.people == count


def test_more_scores_of_the_same_people_do_not_narrow_the_interval():
    scores = np.random.default_rng(1).gumbel(size=80)
    once = Interval.of(scores, np.arange(80), 0.1)
    often = Interval.of(np.repeat(scores, 30), np.repeat(np.arange(80), 30), 0.1)
    assert often.low == pytest.approx(once.low, abs=0.15)
    assert often.high == pytest.approx(once.high, abs=0.15)
    wrong = Interval.of(np.repeat(scores, 30), np.arange(2400), 0.1)
    assert wrong.high - wrong.low < 0.5 * (often.high - often.low)


@pytest.mark.parametrize("people", [5, 20, 60])
def test_intervals_contain_the_threshold_of_all_people(people):
    """People differ: each has a level of its own, and 30 scores around it."""
    rng = np.random.default_rng(people)
    everybody = rng.normal(size=(20_000, 1)) + rng.normal(size=(20_000, 30))
    truth = np.quantile(everybody, 0.95)
    inside = 0
    for _ in range(200):
        chosen = rng.choice(len(everybody), people, replace=False)
        found = Interval.of(everybody[chosen].ravel(), np.repeat(chosen, 30), 0.05)
        inside += found.low <= truth <= found.high
    assert inside / 200 > COVERAGE - 0.08


def test_few_people_give_a_lower_end_only_and_one_person_gives_none():
    scores = np.linspace(0, 1, 8)
    few = Interval.of(scores, np.arange(8), 0.05)
    assert few.high == math.inf and 0 < few.low < 1
    assert str(few) == f"90% interval {few.low:.2f} or more, from 8 people"
    one = Interval.of(scores, np.zeros(8), 0.05)
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert str(one) == "90% interval unknown, from 1 person"
    assert str(Interval(1.9, 3.4, 12)) == "90% interval 1.90 to 3.40, from 12 people"


def test_an_interval_contains_its_threshold():
    assert Interval(1.0, 2.0, 9).around(2.5) == Interval(1.0, 2.5, 9)
    assert Interval(1.0, 2.0, 9).around(1.5) == Interval(1.0, 2.0, 9)
    assert Interval.from_list(Interval(1.0, math.inf, 9).to_list()) == Interval(1.0, math.inf, 9)


def test_frames_with_many_people_are_more_often_above_the_threshold():
    assert share_of_frames(np.array([1, 2, 0]), 0.05) == pytest.approx((0.05 + 0.0975) / 2)
    assert share_of_frames(np.zeros(3, dtype=int), 0.05) == 0
