"""Paired comparison of two methods over the same splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from gepc_geo.errors import InputError

#: Least number of pairs for the signed-rank test, whose p-value is above 0.05 for fewer pairs.
LEAST_PAIRS = 6
# Number of bootstrap samples, and their seed.
_SAMPLES, _SEED = 10_000, 0


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of our values with another method's.

    Splits of the same classes share test clips; therefore intervals and p-values are optimistic.

    Attributes:
        difference: Mean of our values minus the other values.
        low: Lower end of the 95 % bootstrap interval of the mean.
        high: Upper end of the interval.
        p_value: p-value of the two-sided Wilcoxon signed-rank test; ``None`` for less than 6 pairs.
        pairs: Number of pairs.
        ahead: Number of pairs in which our value is larger.
        unit: Name of a pair, e.g. ``"split"``.
    """

    difference: float
    low: float
    high: float
    p_value: float | None
    pairs: int
    ahead: int
    unit: str

    def __str__(self) -> str:
        text, count = f"{self.difference:+.3f}", f"{self.pairs} {self.unit}{'s' * (self.pairs > 1)}"
        if self.p_value is not None:
            return f"{text} [{self.low:+.3f}, {self.high:+.3f}], p = {self.p_value:.2g} ({count})"
        # An interval of so few pairs would suggest more certainty than there is.
        return f"{text} (ahead in {self.ahead} of {count})"


def compare(ours: Sequence[float], other: Sequence[float], unit: str = "pair") -> Comparison:
    """Compares two methods by paired values, e.g. AUC over the same splits.

    Args:
        ours: Our values, one per pair.
        other: The other method's values, in the same order.
        unit: Name of a pair, for the text. (default: :obj:`"pair"`)

    Raises:
        InputError: There are no values, or more of one method than of the other.
    """
    if len(ours) != len(other) or not len(ours):
        raise InputError(
            f"compared values must be pairs, at least one, got {len(ours)} and {len(other)} values"
        )
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    count = len(difference)
    drawn = np.random.default_rng(_SEED).integers(count, size=(_SAMPLES, count))
    low, high = np.quantile(difference[drawn].mean(axis=1), (0.025, 0.975))
    p_value: float | None = None
    if count >= LEAST_PAIRS:
        # The test is undefined if all differences are zero.
        p_value = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
    ahead = int((difference > 0).sum())
    return Comparison(
        float(difference.mean()), float(low), float(high), p_value, count, ahead, unit
    )
