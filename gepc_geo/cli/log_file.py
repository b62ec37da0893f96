"""``--log FILE``: what goes to standard error also goes to a file, each line with its time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import click

from gepc_geo._version import __version__
from gepc_geo.cli.lines import write_now
from gepc_geo.errors import InputError
from gepc_geo.utils.files import as_text

#: The flag, without a value for the command.
LOG = click.Option(
    ["--log"],
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=lambda context, parameter, path: None if path is None else _start(context, path),
    help="Append what goes to standard error to this file, with times.",
)


@contextmanager
def log_scope() -> Iterator[None]:
    """The time in which ``--log`` takes effect: standard error is as before at its end."""
    before = sys.stderr
    try:
        yield
    finally:
        log, sys.stderr = sys.stderr, before
        if isinstance(log, _Logged):
            log.finish()


def _start(context: click.Context, path: Path) -> None:
    # Of the ranks of torchrun the first one writes messages.
    if os.environ.get("RANK", "0") != "0" or isinstance(sys.stderr, _Logged):
        return
    try:
        # Closed by log_scope().
        file = path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"could not write {path}: {error.strerror}") from None
    log = _Logged(sys.stderr, file)
    log.log_line(f"{context.command_path} (gepc_geo {__version__})")
    sys.stderr = cast(TextIO, log)


class _Logged:
    """A stream that also writes whole lines, with their times, to a file.

    Of a line that is written again after a carriage return, as progress is, the file gets the last
    version. It has no file descriptor, so that nothing passes it by.
    """

    def __init__(self, stream: TextIO, file: TextIO) -> None:
        self._stream, self._file = stream, file
        self._line = ""

    def __getattr__(self, name: str) -> Any:
        # Encoding, isatty() and the like.
        return getattr(self._stream, name)

    def fileno(self) -> int:
        raise OSError("a logged stream has no file descriptor")

    def write(self, text: str) -> int:
        text = as_text(text)
        write_now(self._stream, text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self.log_line(line.rstrip("\r").rpartition("\r")[2])
        return len(text)

    def log_line(self, line: str) -> None:
        """Writes one line to the file."""
        try:
            self._file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            self._file.close()
            if isinstance(error, OSError):
                write_now(self._stream, f"warning: could not write the log: {error.strerror}\n")

    def finish(self) -> None:
        """Writes an unfinished line, and closes the file."""
        if self._line:
            self.log_line(self._line.rpartition("\r")[2])
        self._file.close()
