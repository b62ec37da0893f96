"""Lines where there is no terminal, a bar where there is one."""

from __future__ import annotations

import io

import pytest

from gepc_geo.utils import progress
from gepc_geo.utils.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_to_a_file_is_plain_lines(monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    stream = io.StringIO()
    with progress_bar("train", 1000, "windows", stream=stream) as bar:
        bar.set_postfix_str("loss 0.5", refresh=False)
        bar.update(400)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "train: 400 of 1,000 windows, loss 0.5"
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize("seconds", [0.0, 100.0])
def test_the_end_is_printed_once(seconds, monkeypatch):
    """Whether or not a line was due with the last unit; and where there was nothing to do."""
    monkeypatch.setattr(progress, "LINE_SECONDS", seconds)
    stream = io.StringIO()
    with progress_bar("train", 10, "windows", stream=stream) as bar:
        bar.update(10)
    with progress_bar("score", 0, "windows", stream=stream):
        pass
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "train: 10 of 10 windows",
        "score: 0 of 0 windows",
    ]


def test_progress_on_a_terminal_is_a_bar():
    stream = Terminal()
    with progress_bar("train", 10, "windows", start=3, stream=stream) as bar:
        bar.update(7)
    assert "10/10" in stream.getvalue() and "\r" in stream.getvalue()


def test_without_a_known_end_only_the_count_is_shown():
    line, bar_ = io.StringIO(), Terminal()
    for stream in (line, bar_):
        with progress_bar("train", None, "windows", stream=stream) as bar:
            bar.update(1234)
    assert line.getvalue() == "train: 1,234 windows\n"
    assert "1234 windows" in bar_.getvalue() and "/1234" not in bar_.getvalue()


def test_of_nested_bars_only_the_outermost_stays():
    stream = Terminal()
    with progress_bar("study", 2, "cells", stream=stream) as outer:
        outer.set_postfix_str("at the first")
        assert "0/2" in stream.getvalue() and "at the first" in stream.getvalue()
        with progress_bar("train", 10, "windows", stream=stream) as inner:
            inner.update(10)
        outer.update(2)
    left = stream.getvalue().rsplit("train", 1)[1]
    assert left.endswith("\n") and "2/2" in left


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_quiet_prints_nothing(stream):
    with progress_bar("train", 10, "windows", quiet=True, stream=stream) as bar:
        bar.update(10)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    ("done", "seconds", "speed"),
    [
        # Of 1,000 units after a start at 200, so 800 are to be done.
        (400, 1.9, ""),
        (39, 60.0, ""),
        (400, 4.0, ", 100 windows/s, 00:04 left"),
        (40, 400.0, ", 6.0 windows/min, 2:06:40 left"),
        (800, 4.0, ", 200 windows/s"),
        (0, 60.0, ""),
    ],
)
def test_speed_and_time_left_are_shown_once_they_are_known(terminal, done, seconds, speed):
    stream = Terminal() if terminal else io.StringIO()
    with progress_bar("train", 1000, "windows", start=200, stream=stream) as bar:
        bar.n += done
        bar.start_t -= seconds
        text = str(bar)
    assert text.endswith(f"{200 + done}/1000{speed}" if terminal else f"windows{speed}")


def test_the_speed_of_unknown_work_is_shown_without_an_end():
    with progress_bar("train", None, "windows", stream=io.StringIO()) as bar:
        bar.n, bar.start_t = 50, bar.start_t - 10
        assert str(bar) == "train: 50 windows, 5 windows/s"
