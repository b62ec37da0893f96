"""Lines on a stream whose reader may be slow or stopped; the writer never waits for it."""

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
#: Largest number of warnings that wait to be written.
MOST_WARNINGS = 1000
# Least seconds between warnings of one kind.
_INTERVAL = 10.0
#: Seconds without a written line after which the end does not wait for the reader.
PATIENCE = 10.0


class LineWriter:
    """Writes lines in its own thread.

    Args:
        stream: Where the lines go.
        most: Largest number of lines that wait to be written.

    Attributes:
        gone: Whether the reader closed the stream.
    """

    def __init__(self, stream: TextIO, most: int) -> None:
        self.gone = False
        self._stream, self._most = stream, most
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._taken = self._written = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, line: str) -> bool:
        """Queues a line; returns ``False`` if too many wait, and the line is lost."""
        if self._taken - self._written >= self._most:
            return False
        self._taken += 1
        self._lines.put(line)
        return True

    def finish(self) -> int:
        """Waits while lines are being written, and returns the number of those that were not."""
        self._lines.put(None)
        before = -1
        while self._thread.is_alive() and self._written != before:
            before = self._written
            self._thread.join(PATIENCE)
        return self._taken - self._written

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self.gone:
                try:
                    write_now(self._stream, line + "\n")
                except (OSError, ValueError):
                    self.gone = True
            self._written += 1


class Log:
    """Warnings and notes on a stream.

    Args:
        stream: Standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._writer = LineWriter(stream, MOST_WARNINGS)
        self._last: dict[str, float] = {}
        self._lost = 0

    def note(self, text: str) -> None:
        """Writes a note."""
        self._lost += not self._writer.write(f"note: {text}")

    def warn(self, text: str) -> None:
        """Writes a warning."""
        self._lost += not self._writer.write(f"warning: {text}")

    def rarely(self, kind: str, text: str) -> None:
        """Writes a warning, at most one of a kind every ten seconds."""
        now = time.monotonic()
        if now - self._last.get(kind, -math.inf) >= _INTERVAL:
            self._last[kind] = now
            self.warn(text)

    def finish(self) -> None:
        """Waits until all lines are written, or the reader stops."""
        if self._lost:
            self.warn(f"standard error was not read, {self._lost} warnings are lost")
        self._writer.finish()


def write_now(stream: TextIO, text: str) -> None:
    """Writes a text to the file descriptor, if there is one, and not to the stream's buffer.

    A thread that waits in the buffer would hold a lock that Python needs to exit.
    """
    try:
        number = stream.fileno()
    except OSError:
        stream.write(text)
        stream.flush()
        return
    # Names of cameras may hold characters that UTF-8 cannot encode.
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[when_ready(partial(os.write, number, data), number, "out") :]


def when_ready(work: Callable[[], _Result], number: int, direction: str) -> _Result:
    """Calls ``work`` on a file descriptor, after a wait if the descriptor is non-blocking.

    Args:
        work: Reads or writes once.
        number: The file descriptor.
        direction: ``"in"`` if ``work`` reads, ``"out"`` if it writes.

    Returns:
        The result of ``work``.
    """
    while True:
        try:
            return work()
        except BlockingIOError:
            select.select(*(([number], [], []) if direction == "in" else ([], [number], [])))
