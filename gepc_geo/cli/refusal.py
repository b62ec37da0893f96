"""Bad input ends a command with one sentence and exit code 2; of doubtful input a line warns."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.utils.files import as_text

# What a full disk, a used-up quota and a file of the largest size are called.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Refused(click.ClickException):
    """How bad input is shown."""

    exit_code = 2


class _Refuses(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        _print_any_text()
        try:
            with _warnings_in_a_line():
                return super().invoke(ctx)
        except InputError as error:
            raise Refused(str(error)) from None
        except OSError as error:
            # Files that the package writes are refused by name; what is printed has none.
            if error.errno not in _FULL:
                raise
            _forget_output()
            raise Refused(
                f"standard output cannot be written, expected room for it: {error.strerror}"
            ) from None


class Command(_Refuses):
    """A command by itself: ``@click.command(cls=Command)``, as the examples are."""


class Group(_Refuses, click.Group):
    """A command with commands of its own."""


# -- inner -----------------------------------------------------------------------------------------


def _print_any_text() -> None:
    """Makes standard output and error take every text.

    Names of files may hold what is no text, and Python writes ASCII only where the locale is C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            name = codecs.lookup(stream.encoding).name
            if name in ("ascii", "utf-8"):
                stream.reconfigure(encoding="utf-8", errors="as_text")
            else:
                stream.reconfigure(errors="backslashreplace")


def _escaped(error: UnicodeError) -> tuple[bytes, int]:
    """What UTF-8 cannot hold, as text."""
    assert isinstance(error, UnicodeEncodeError)
    return as_text(error.object[error.start : error.end]).encode(), error.end


codecs.register_error("as_text", _escaped)


def _forget_output() -> None:
    """What was not printed never is: Python would try again when it ends."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Shows warnings about the input without their place in the code, as errors are shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, InputWarning):
                click.echo(f"warning: {message}", err=True)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        yield
