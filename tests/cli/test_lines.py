"""Lines are written in order, and whoever does not read them holds nothing up."""

from __future__ import annotations

import io
import os
import threading
import time

import pytest

from gepc_geo.cli import lines
from gepc_geo.cli.lines import LineWriter, Log


@pytest.fixture
def pipe():
    """A reader's number, and a stream into it."""
    reader, number = os.pipe()
    with os.fdopen(number, "w") as stream:
        yield reader, stream


def read_all(reader: int) -> str:
    with os.fdopen(reader) as stream:
        return stream.read()


def test_lines_come_in_order_however_slowly_they_are_read(pipe):
    reader, stream = pipe
    writer = LineWriter(stream, 1000)
    taken = []

    def slowly():
        time.sleep(0.1)
        while chunk := os.read(reader, 1 << 14):
            taken.append(chunk)
            time.sleep(0.02)

    thread = threading.Thread(target=slowly)
    thread.start()
    expected = [f"{number} " + "ä" * 2000 for number in range(100)]
    assert all(writer.write(line) for line in expected)
    assert writer.finish() == 0
    stream.close()
    thread.join()
    os.close(reader)
    assert b"".join(taken).decode().splitlines() == expected


def test_unread_lines_are_counted_after_a_limited_wait(monkeypatch, pipe):
    monkeypatch.setattr(lines, "PATIENCE", 0.2)
    reader, stream = pipe
    writer = LineWriter(stream, 5)
    # One that fills the pipe, and is being written for ever, and four that wait.
    assert [writer.write("x" * 200_000), *(writer.write("y") for _ in range(6))] == [True] * 5 + [
        False
    ] * 2
    began = time.monotonic()
    assert writer.finish() == 5 and time.monotonic() - began < 5
    os.close(reader)
    # Before another pipe gets its number.
    writer._thread.join()


def test_lines_to_a_full_non_blocking_pipe_are_written_later(pipe):
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    writer = LineWriter(stream, 10)
    line = "x" * 200_000
    writer.write(line)
    time.sleep(0.1)
    text = []
    thread = threading.Thread(target=lambda: text.append(read_all(reader)))
    thread.start()
    assert writer.finish() == 0 and not writer.gone
    stream.close()
    thread.join()
    assert text == [line + "\n"]


def test_a_closed_reader_is_noticed(pipe):
    reader, stream = pipe
    os.close(reader)
    writer = LineWriter(stream, 2)
    for _ in range(50):
        writer.write("x")
        time.sleep(0.001)
    assert writer.finish() == 0 and writer.gone


def test_warnings_of_one_kind_come_at_most_every_ten_seconds(monkeypatch):
    times = iter([0.0, 1.0, 2.0, 9.9, 10.0])
    monkeypatch.setattr(lines.time, "monotonic", lambda: next(times))
    stream = io.StringIO()
    log = Log(stream)
    log.note("so it begins")
    for kind in ("late", "late", "restart", "late", "late"):
        log.rarely(kind, kind)
    log.finish()
    assert stream.getvalue() == (
        "note: so it begins\nwarning: late\nwarning: restart\nwarning: late\n"
    )


def test_lost_warnings_are_counted(monkeypatch, pipe):
    monkeypatch.setattr(lines, "MOST_WARNINGS", 3)
    reader, stream = pipe
    log = Log(stream)
    log.warn("x" * 200_000)
    for _ in range(7):
        log.warn("y")
    text = []
    thread = threading.Thread(target=lambda: text.append(read_all(reader)))
    thread.start()
    while log._writer._written < 3:
        time.sleep(0.01)
    log.finish()
    stream.close()
    thread.join()
    assert text[0].endswith(
        "x\nwarning: y\nwarning: y\nwarning: standard error was not read, 5 warnings are lost\n"
    )
