"""Progress: a tqdm bar on a terminal, lines of text elsewhere."""

from __future__ import annotations

import sys
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from tqdm import tqdm

if TYPE_CHECKING:
    Bar = tqdm[NoReturn]
else:  # no generic class at run time
    Bar = tqdm

#: Seconds between two plain lines.
LINE_SECONDS = 10.0
# Seconds and share of the work from which on the speed is shown: before, it says little.
_KNOWN_SECONDS, _KNOWN_SHARE = 2.0, 0.05


def progress_bar(
    name: str,
    total: int | None,
    unit: str,
    *,
    start: int = 0,
    quiet: bool = False,
    stream: TextIO | None = None,
) -> Bar:
    """Makes a tqdm bar.

    Use it as a context manager: ``with progress_bar("train", 100, "windows") as bar``, and call
    ``bar.update(1)``.

    Args:
        name: Name of the work.
        total: Number of units; ``None`` if unknown: the bar shows the count alone.
        unit: Name of the units, a plural.
        start: Units that are done already (a resumed run). (default: 0)
        quiet: Show nothing. (default: ``False``)
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
    goal = "" if total is None else f" of {total:,}"
    if stream.isatty():
        count = "{n}{unit}" if total is None else "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}"
        # Of nested bars only the outermost stays on the screen.
        return _Bar(**options, leave=None, bar_format=f"{{desc}}: {count}{{speed}}{{postfix}}")
    line = f"{{desc}}: {{n:,}}{goal}{{unit}}{{speed}}{{postfix}}"
    # The delay suppresses the line at the start.
    timing: dict[str, Any] = {
        "mininterval": LINE_SECONDS,
        "miniters": 0,
        "delay": 1e-9,
        "smoothing": 0,
    }
    return _Lines(**options, **timing, bar_format=line)


class _Bar(Bar):
    """Shows the speed and the time left when they are known."""

    @property
    def format_dict(self) -> Any:
        values = super().format_dict
        return {**values, "speed": self._speed(values["n"] - values["initial"], values["elapsed"])}

    def _speed(self, done: int, seconds: float) -> str:
        left = None if self.total is None else self.total - self.n
        share = 1.0 if left is None else done / max(done + left, 1)
        if not done or seconds < _KNOWN_SECONDS or share < _KNOWN_SHARE:
            return ""
        rate, unit = done / seconds, self.unit.strip()
        text = f", {rate:,.0f} {unit}/s" if rate >= 1 else f", {60 * rate:.1f} {unit}/min"
        return f"{text}, {self.format_interval(left / rate)} left" if left else text


class _Lines(_Bar):
    """Writes a line at most every ``mininterval`` seconds, and one at the end if all went well."""

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
