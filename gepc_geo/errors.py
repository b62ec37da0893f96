"""The exception for input that cannot be used, and the warning for input that is used in part."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Input that cannot be used: a file, a value or a combination of options.

    The message is one sentence: ``X must be Y, got Z``. The command line prints it and exits with
    code 2.
    """


class InputWarning(UserWarning):
    """Input that is used in part, or that gives poor results.

    The message is one sentence that names the file, what is wrong and how much of it. The command
    line prints it and continues.
    """


def warn_of_input(message: str) -> None:
    """Warns with an :class:`InputWarning` at the line of the caller outside this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(__package__):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, InputWarning, stacklevel=level)


@contextmanager
def naming(origin: object) -> Iterator[None]:
    """Puts the name of a file or folder before the message of an :class:`InputError`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None
