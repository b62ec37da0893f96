"""Bad input ends a command with one line and exit code 2, Ctrl-C with one line and exit code 130.

Ctrl-C is the usual end of ``watch``, whose exit code is 0. Doubtful input gives a warning.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.utils.files import as_text

# A full disk, a used-up quota, and a file of the largest size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Refused(click.ClickException):
    """One sentence about bad input, with exit code 2."""

    exit_code = 2


class _Refuses(click.Command):
    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with _one_line_usage():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        _accept_any_text()
        try:
            with _one_line_warnings(), _one_line_usage():
                return super().invoke(ctx)
        except InputError as error:
            raise Refused(str(error)) from None
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise SystemExit(130) from None
        except OSError as error:
            # The package's own files raise an InputError: this is standard output.
            if error.errno not in _FULL:
                raise
            _discard_output()
            raise Refused(f"could not write standard output: {error.strerror}") from None


class Command(_Refuses):
    """A command without a group (``@click.command(cls=Command)``), for the examples."""


class Group(_Refuses, click.Group):
    """A command with subcommands."""


# -- private ---------------------------------------------------------------------------------------


def _accept_any_text() -> None:
    """Makes standard output and error accept every text.

    File names may hold bytes that are no text, and in the locale C Python writes ASCII only.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            name = codecs.lookup(stream.encoding).name
            if name in ("ascii", "utf-8"):
                stream.reconfigure(encoding="utf-8", errors="as_text")
            else:
                stream.reconfigure(errors="backslashreplace")


def _escaped(error: UnicodeError) -> tuple[bytes, int]:
    """Escapes characters that UTF-8 cannot encode."""
    assert isinstance(error, UnicodeEncodeError)
    return as_text(error.object[error.start : error.end]).encode(), error.end


codecs.register_error("as_text", _escaped)


def _discard_output() -> None:
    """Discards what is in the buffer, as Python would write it again when it exits."""
    with suppress(OSError), open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())


@contextmanager
def _one_line_usage() -> Iterator[None]:
    """Refuses wrong flags and arguments in one line, without click's lines of usage."""
    try:
        yield
    except click.UsageError as error:
        # The help of a group without a command is an error that shows itself.
        if type(error).show is not click.UsageError.show:
            raise
        help_ = "" if error.ctx is None else f" ({error.ctx.command_path} --help)"
        raise Refused(_one_line(error) + help_) from None


def _one_line(error: click.UsageError) -> str:
    """The message of an error, with the names that may be meant; the same for each click."""
    # A command has similar names since click 8.4.
    similar = getattr(error, "possibilities", None)
    if isinstance(error, click.NoSuchOption):
        sentence = f"No such option {error.option_name!r}"
    else:
        sentence = error.message if similar else error.format_message()
        # Click writes the choices of a missing option in several lines.
        sentence = re.sub(r"\s*\n\s*", " ", sentence).removesuffix(".")
    return f"{sentence}: did you mean {' or '.join(similar)}?" if similar else sentence


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Shows warnings about the input without their place in the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        default = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, InputWarning):
                click.echo(f"warning: {message}", err=True)
            else:
                default(message, category, *place, **more)

        warnings.showwarning = show
        yield
