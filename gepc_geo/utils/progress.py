"""A progress bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

#: Seconds between two plain lines.
LINE_SECONDS = 10.0


class Progress:
    """Counts towards ``total``: ``with Progress("train", 100, "windows") as bar: bar.update(1)``.

    Args:
        name: What is being done.
        total: How many units there are; ``None`` where nobody knows: then only the count is shown.
        unit: What is counted.
        start: Units done before (a resumed run).
        quiet: Show nothing.
        stream: Where to write; default: standard error.
    """

    def __init__(
        self,
        name: str,
        total: int | None,
        unit: str,
        *,
        start: int = 0,
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.name, self.total, self.unit, self.done = name, total, unit, start
        self.quiet = quiet
        self.note = ""
        self._began = self._shown = time.monotonic()
        self._first = start
        # What the last line said was done.
        self._said: int | None = None
        terminal = self.stream.isatty() and not quiet
        self._bar = (
            # Of bars within others only the outermost stays.
            tqdm(
                desc=name,
                total=total,
                unit=f" {unit}",
                initial=start,
                file=self.stream,
                leave=None,
            )
            if terminal
            else None
        )

    def update(self, count: int, note: str = "") -> None:
        """Adds ``count`` units; ``note`` (e.g. the loss) is shown beside from then on."""
        self.done += count
        self.note = note or self.note
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=count == 0)
            self._bar.update(count)
        elif time.monotonic() - self._shown >= LINE_SECONDS:
            self._line()

    def _line(self) -> None:
        self._shown, self._said = time.monotonic(), self.done
        if self.quiet:
            return
        rate = (self.done - self._first) / max(self._shown - self._began, 1e-9)
        pace = f"{rate:,.0f} a second" if rate >= 1 else f"{60 * rate:,.1f} a minute"
        of = "" if self.total is None else f" of {self.total:,}"
        text = f"{self.name}: {self.done:,}{of} {self.unit}, {pace}"
        print(f"{text}, {self.note}" if self.note else text, file=self.stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and self._said != self.done:
            self._line()
