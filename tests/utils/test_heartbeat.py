"""A rank that falls silent is noticed by the others, and only such a one."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
import torch.distributed as dist

from gepc_geo.utils import heartbeat
from gepc_geo.utils.heartbeat import Heartbeat


def test_a_rank_that_stops_is_named_after_so_many_beats(monkeypatch):
    monkeypatch.setattr(heartbeat, "_MISSED", 3)
    store = dist.HashStore()
    ranks = [Heartbeat(store, rank, 3) for rank in range(3)]
    for _ in range(10):
        assert [one.beat() for one in ranks] == [None] * 3
    found = [(ranks[0].beat(), ranks[2].beat()) for _ in range(4)]
    # The first of the others' rounds still saw its last beat.
    assert found[:2] == [(None, None)] * 2 and found[-1] == (1, 1)


def test_a_late_rank_is_not_silent(monkeypatch):
    monkeypatch.setattr(heartbeat, "_MISSED", 2)
    store = dist.HashStore()
    first, second = (Heartbeat(store, rank, 2) for rank in range(2))
    for _ in range(3):
        assert first.beat() is None and first.beat() is None
        assert second.beat() is None


def test_a_store_that_is_gone_is_silence(monkeypatch):
    monkeypatch.setattr(heartbeat, "_MISSED", 2)

    class Gone:
        def add(self, key: str, amount: int) -> int:
            raise RuntimeError("connection reset")

    heart = Heartbeat(Gone(), 1, 2)
    assert [heart.beat(), heart.beat()] == [None, 0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_silence_ends_the_process(monkeypatch, capfd):
    ended = threading.Event()

    def leave(code: int) -> None:
        assert code == 1
        ended.set()
        raise SystemExit  # ends the thread, as the call would end the process

    monkeypatch.setattr(heartbeat, "_SECONDS", 0.001)
    monkeypatch.setattr(heartbeat.os, "_exit", leave)
    with heartbeat.heartbeat(dist.HashStore(), 0, 2):
        assert ended.wait(60)
    text = capfd.readouterr().err
    assert text.startswith("Error: rank 1 has given no sign of life for ") and text.count("\n") == 1


def beating() -> bool:
    return any(thread.name == "heartbeat" for thread in threading.enumerate())


@pytest.mark.parametrize("failing", [False, True])
def test_the_beats_end_with_the_work(failing):
    with suppress(ZeroDivisionError), heartbeat.heartbeat(dist.HashStore(), 0, 2):
        assert beating()
        assert not failing or 1 / 0
    assert not beating()
