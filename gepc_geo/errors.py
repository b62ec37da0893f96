"""The exception that means "what you gave us cannot be used", and the warning "not all of it was"."""

from __future__ import annotations

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


@contextmanager
def naming(origin: object) -> Iterator[None]:
    """Errors inside name what they are about: a file, or a folder of data."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None
