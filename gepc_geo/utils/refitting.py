"""Fits that succeed or change nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T")


@contextmanager
def refitted(estimator: _T) -> Iterator[_T]:
    """Yields a shallow copy to fit, and copies its attributes to the estimator at the end.

    The estimator does not change if the fit is refused or interrupted.
    """
    fresh = copy.copy(estimator)
    yield fresh
    vars(estimator).update(vars(fresh))
