"""Fitting as a whole: what was fitted before stays until all of the new is there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T")


@contextmanager
def refitted(estimator: _T) -> Iterator[_T]:
    """A shallow copy to fit; its attributes become the estimator's at the end, all at once.

    A fit that is refused or interrupted leaves the estimator as it was, fitted or not.
    """
    fresh = copy.copy(estimator)
    yield fresh
    vars(estimator).update(vars(fresh))
