r"""How well a threshold is known: intervals of quantiles of scores of some people.

Scores of one person are not independent, so the number of scores says little about the quantile of
all normal people. The number of independent scores with the same variance of the share above the
quantile, the effective sample size of a sample of clusters, takes the place of their number in the
interval between order statistics (E. Korn and B. Graubard, Confidence intervals for proportions
with small expected number of positive counts estimated from survey data, 1998).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta
from scipy.stats import t as student

#: Probability that an interval contains the threshold of all normal people.
COVERAGE = 0.9
# Probability that each end is on the wrong side.
_TAIL = (1 - COVERAGE) / 2


@dataclass(frozen=True)
class Interval:
    """Where the threshold of all normal people is.

    Attributes:
        low: The lower end; minus infinity with one person.
        high: The upper end; infinity if the people are too few for one.
        people: The number of people whose scores gave the threshold.
    """

    low: float
    high: float
    people: int

    @classmethod
    def of(cls, scores: np.ndarray, person: np.ndarray, share: float) -> Interval:
        r"""The interval of the quantile that a share of all normal scores exceeds.

        On simulated crowds it contained the quantile in 86 to 97 % of the draws of 5 to 100 people
        (``benchmarks/enough_people.py``).

        Args:
            scores: :math:`[N]`, at least one.
            person: :math:`[N]`, the person of each score.
            share: Share of the scores above the quantile, between 0 and 1.
        """
        names, number = np.unique(person, return_inverse=True)
        people, count = len(names), len(scores)
        if people < 2 or count < 3:
            return cls(-math.inf, math.inf, people)
        above = np.bincount(number.reshape(-1), scores > np.quantile(scores, 1 - share), people)
        size = np.bincount(number.reshape(-1), minlength=people)
        spread = ((above - above.sum() / count * size) ** 2).sum() / count**2
        variance = people / (people - 1) * spread
        effective = min(share * (1 - share) / variance, count) if variance else count
        # The variance is known from a few people only.
        effective *= (student.ppf(_TAIL, count - 1) / student.ppf(_TAIL, people - 1)) ** 2
        below = effective * (1 - share)
        low = beta.ppf(_TAIL, below, effective - below + 1)
        high = beta.ppf(1 - _TAIL, below + 1, effective - below)
        # Else even the largest of so many independent scores may be below the quantile.
        known = (1 - share) ** effective <= _TAIL
        return cls(
            float(np.quantile(scores, low)),
            float(np.quantile(scores, high)) if known else math.inf,
            people,
        )

    def around(self, threshold: float) -> Interval:
        """The interval, widened to contain a threshold."""
        return Interval(min(self.low, threshold), max(self.high, threshold), self.people)

    def __str__(self) -> str:
        source = f"from {self.people:,} {'person' if self.people == 1 else 'people'}"
        if self.low == -math.inf:
            return f"{COVERAGE:.0%} interval unknown, {source}"
        end = "or more" if self.high == math.inf else f"to {self.high:.2f}"
        return f"{COVERAGE:.0%} interval {self.low:.2f} {end}, {source}"

    def to_list(self) -> list[Any]:
        """The values, for a file."""
        return [self.low, self.high, self.people]

    @classmethod
    def from_list(cls, values: list[Any]) -> Interval:
        """The interval of :meth:`to_list`."""
        low, high, people = values
        return cls(float(low), float(high), int(people))


def share_of_frames(people: np.ndarray, share: float) -> float:
    r"""Expected share of normal frames above a threshold that a share of person-frames exceeds.

    A frame has the score of its most abnormal person: with :math:`n` people in it, the share is
    :math:`1 - (1 - p)^n`, if people are independent.

    Args:
        people: Number of people in each frame; frames without people do not count.
        share: Share :math:`p` of the person-frames.

    Returns:
        The mean over the frames with people; 0 without any.
    """
    people = people[people > 0]
    return float((1 - (1 - share) ** people).mean()) if len(people) else 0.0
