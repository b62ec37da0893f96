"""The exception that means "what you gave us cannot be used", and the warning "not all of it was"."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Input that cannot be used: a file, a value or a combination of options.

    The message is one sentence that names the file (or option), the value found and what was
    expected. The command line prints it and exits with code 2.
    """


class InputWarning(UserWarning):
    """Input that was used, but not all of it.

    The message is one sentence that names the file, what was left out and how much. The command
    line prints it and goes on.
    """


def warn_of_input(message: str) -> None:
    """Shows an :class:`InputWarning` where the first caller outside of this package is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(__package__):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, InputWarning, stacklevel=level)


@contextmanager
def naming(origin: object) -> Iterator[None]:
    """Errors inside name what they are about: a file, or a folder of data."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None
