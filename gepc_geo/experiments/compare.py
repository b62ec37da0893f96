"""Whether one method is better than another over the same splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from gepc_geo.errors import InputError

#: Pairs from which on the signed-rank test is made: with fewer it cannot fall below 0.05.
LEAST_PAIRS = 6
# Bootstrap samples, and the seed that draws them.
_SAMPLES, _SEED = 10_000, 0


@dataclass(frozen=True)
class Comparison:
    """A paired comparison.

    Splits of the same classes share test clips, so that intervals and p-values are optimistic.

    Attributes:
        difference: Mean of ours minus the other's.
        low: Lower end of the 95 % bootstrap interval of that mean.
        high: Its upper end.
        p_value: Of the two-sided Wilcoxon signed-rank test; ``None`` for fewer than 6 pairs.
        pairs: How many.
        ahead: In how many of them ours is larger.
        unit: What a pair is, e.g. ``"split"``.
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
        # An interval of so few would look like more than it is.
        return f"{text} (ahead in {self.ahead} of {count})"


def compare(ours: Sequence[float], other: Sequence[float], unit: str = "pair") -> Comparison:
    """Compares two methods by their values of the same things, e.g. AUC of the same splits.

    Args:
        ours: A value for each split.
        other: The other method's, in the same order.
        unit: What a pair is, for the text. (default: :obj:`"pair"`)

    Raises:
        InputError: None, or not as many of both.
    """
    if len(ours) != len(other) or not len(ours):
        raise InputError(
            f"{len(ours)} values are compared with {len(other)}, expected as many, at least one"
        )
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    count = len(difference)
    drawn = np.random.default_rng(_SEED).integers(count, size=(_SAMPLES, count))
    low, high = np.quantile(difference[drawn].mean(axis=1), (0.025, 0.975))
    p_value: float | None = None
    if count >= LEAST_PAIRS:
        # Of differences that are all zero the test knows nothing.
        p_value = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
    ahead = int((difference > 0).sum())
    return Comparison(
        float(difference.mean()), float(low), float(high), p_value, count, ahead, unit
    )
