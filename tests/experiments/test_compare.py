"""Paired comparisons against SciPy and a case worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, wilcoxon

from gepc_geo.errors import InputError
from gepc_geo.experiments import compare


def test_difference_interval_and_p_value_equal_scipy():
    rng = np.random.default_rng(1)
    ours, other = rng.normal(0.9, 0.05, 14), rng.normal(0.87, 0.05, 14)
    found = compare(ours, other)
    assert found.difference == pytest.approx(ours.mean() - other.mean())
    assert found.p_value == pytest.approx(wilcoxon(ours, other).pvalue)
    assert found.pairs == 14
    interval = bootstrap(
        (ours - other,), np.mean, method="percentile", random_state=5, n_resamples=20_000
    ).confidence_interval
    # The ends of both intervals are estimates of 10,000 and more draws.
    spread = interval.high - interval.low
    assert found.low == pytest.approx(interval.low, abs=0.04 * spread)
    assert found.high == pytest.approx(interval.high, abs=0.04 * spread)
    assert compare(ours, other) == found


def test_six_pairs_of_one_sign_by_hand():
    """Of 2^6 signs two are as extreme: p = 2 / 64."""
    found = compare([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0] * 6)
    assert found.p_value == pytest.approx(2 / 64)
    assert found.difference == pytest.approx(0.35)
    assert 0.1 < found.low < 0.35 < found.high < 0.6


def test_few_pairs_have_no_test_and_equal_ones_no_difference():
    assert compare([0.5] * 5, [0.4, 0.3, 0.2, 0.1, 0.0]).p_value is None
    equal = compare([0.5] * 8, [0.5] * 8)
    assert (equal.difference, equal.low, equal.high, equal.p_value) == (0, 0, 0, 1)
    one = compare([0.75], [0.5])
    assert (one.low, one.high, one.pairs) == (0.25, 0.25, 1)


def test_comparisons_print_interval_and_p_value():
    assert str(compare([0.75], [0.5])) == "+0.250 (ahead in 1 of 1 pair)"
    five = compare([0.5, 0.9, 0.9, 0.5, 0.8], [0.5] * 5, "split")
    assert str(five) == "+0.220 (ahead in 3 of 5 splits)"
    assert str(compare([0.5] * 8, [0.75] * 8)) == ("-0.250 [-0.250, -0.250], p = 0.0078 (8 pairs)")


def test_values_that_are_not_pairs_are_refused():
    with pytest.raises(InputError, match="must be pairs, at least one, got 2 and 3 values"):
        compare([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="must be pairs, at least one, got 0"):
        compare([], [])
