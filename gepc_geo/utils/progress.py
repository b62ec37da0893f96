"""Progress of long work: tqdm's bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from time import time
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

#: Seconds between two plain lines.
LINE_SECONDS = 10.0


def progress_bar(
    name: str,
    total: int | None,
    unit: str,
    *,
    start: int = 0,
    quiet: bool = False,
    stream: TextIO | None = None,
) -> tqdm:
    """A tqdm bar: ``with progress_bar("train", 100, "windows") as bar: bar.update(1)``.

    Args:
        name: Name of the work.
        total: Number of units; ``None`` if it is not known: only the count is shown.
        unit: Name of the units, in the plural.
        start: Units done before (a resumed run).
        quiet: Show nothing.
        stream: Where to write. (default: standard error)
    """
    stream = sys.stderr if stream is None else stream
    options: dict[str, Any] = {
        "desc": name,
        "total": total,
        "unit": f" {unit}",
        "initial": start,
        "file": stream,
        "disable": quiet,
    }
    if stream.isatty():
        # Of nested bars only the outermost stays.
        return tqdm(**options, leave=None)
    of = "" if total is None else f" of {total:,}"
    line = f"{{desc}}: {{n:,}}{of}{{unit}}, {{rate_fmt}}{{postfix}}"
    # The delay suppresses the line at the start.
    timing: dict[str, Any] = {
        "mininterval": LINE_SECONDS,
        "miniters": 0,
        "delay": 1e-9,
        "smoothing": 0,
    }
    return _Lines(**options, **timing, bar_format=line)


class _Lines(tqdm):
    """A line at most every ``mininterval`` seconds, and one at the end unless the work failed."""

    monitor_interval = 0

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        if time() - self.last_print_t >= self.mininterval:
            self._write()

    def _write(self) -> None:
        print(self, file=self.fp, flush=True)
        self.last_print_n, self.last_print_t = self.n, time()

    def close(self) -> None:
        self.disable = True
        self._instances.discard(self)  # type: ignore[attr-defined]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self.disable:
            written = self.last_print_t > self.start_t and self.last_print_n == self.n
            if not written:
                self._write()
        self.close()
