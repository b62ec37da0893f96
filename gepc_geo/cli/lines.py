"""Lines for somebody who may read them slowly, late or never: writing them holds nothing up."""

from __future__ import annotations

import math
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TextIO, TypeVar

_Result = TypeVar("_Result")
# Warnings that wait to be read.
_WARNINGS = 1000
# Seconds: warnings of one kind come no faster; at the end nobody is waited for who reads nothing so long.
_QUIET, _PATIENCE = 10.0, 10.0


class LineWriter:
    """Writes lines in a thread of its own.

    Args:
        stream: Where they go.
        most: Lines that wait to be read.

    Attributes:
        gone: Whether the other end of the stream is closed.
    """

    def __init__(self, stream: TextIO, most: int) -> None:
        self.gone = False
        self._stream, self._most = stream, most
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._taken = self._written = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, line: str) -> bool:
        """Takes a line; ``False``: too many wait already, and this one is lost."""
        if self._taken - self._written >= self._most:
            return False
        self._taken += 1
        self._lines.put(line)
        return True

    def finish(self) -> int:
        """Waits for as long as lines are being read; how many were not."""
        self._lines.put(None)
        before = -1
        while self._thread.is_alive() and self._written != before:
            before = self._written
            self._thread.join(_PATIENCE)
        return self._taken - self._written

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self.gone:
                try:
                    _write(self._stream, line + "\n")
                except (OSError, ValueError):
                    self.gone = True
            self._written += 1


class Log:
    """Warnings, and notes, on a stream.

    Args:
        stream: Standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._writer = LineWriter(stream, _WARNINGS)
        self._last: dict[str, float] = {}
        self._lost = 0

    def note(self, text: str) -> None:
        """Something to know."""
        self._lost += not self._writer.write(f"note: {text}")

    def warn(self, text: str) -> None:
        """Something that went wrong."""
        self._lost += not self._writer.write(f"warning: {text}")

    def rarely(self, kind: str, text: str) -> None:
        """A warning of what may happen with every frame: one of a kind in a while."""
        now = time.monotonic()
        if now - self._last.get(kind, -math.inf) >= _QUIET:
            self._last[kind] = now
            self.warn(text)

    def finish(self) -> None:
        """Waits until all are read, or nobody reads."""
        if self._lost:
            self.warn(f"{self._lost} warnings found nobody to read them and are lost")
        self._writer.finish()


def _write(stream: TextIO, text: str) -> None:
    """Writes past the stream's buffer where it is a file of the system.

    A thread that waits inside of the buffer would hold the lock that Python needs to end.
    """
    try:
        number = stream.fileno()
    except OSError:
        stream.write(text)
        stream.flush()
        return
    # Names of cameras may hold what is no text.
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[when_ready(partial(os.write, number, data), number, "out") :]


def when_ready(work: Callable[[], _Result], number: int, way: str) -> _Result:
    """What reading (``way`` ``in``) or writing (``out``) gives, also where the file does not wait itself."""
    while True:
        try:
            return work()
        except BlockingIOError:
            select.select(*(([number], [], []) if way == "in" else ([], [number], [])))
