"""Ranks that tell one another they are alive: where one falls silent, the others end.

A message between ranks waits as long as it takes, for one of them may have hours of work that the
others have not. A crashed process is noticed by its closed connections; of a machine that is gone
nothing ever comes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

# Seconds between beats, and how many a rank may miss. Beats are counted, not seconds: after all ranks
# were suspended none of them is silent.
_SECONDS = 30.0
_MISSED = 20


class Heartbeat:
    """The beats of all ranks, counted in a store that they share.

    Args:
        store: Where the counts are.
        rank: The number of this process.
        world: How many there are.
    """

    def __init__(self, store: dist.Store, rank: int, world: int) -> None:
        self.store, self.rank = store, rank
        self.counts, self.missed = [-1] * world, [0] * world

    def beat(self) -> int | None:
        """Counts a beat of this rank; the first rank that has missed too many, if any has."""
        for other, before in enumerate(self.counts):
            try:
                count = self.store.add(f"gepc_geo/beats/{other}", int(other == self.rank))
            except RuntimeError:
                count = before  # The store is gone, and with it the machine that keeps it.
            self.missed[other] = self.missed[other] + 1 if count == before else 0
            self.counts[other] = count
        return next((o for o, missed in enumerate(self.missed) if missed >= _MISSED), None)


@contextmanager
def heartbeat(store: dist.Store, rank: int, world: int) -> Iterator[None]:
    """Beats every half minute; ends the process, with exit code 1, once a rank has missed 20 beats.

    Nothing less than the end of the process ends a wait for a message.
    """
    over = threading.Event()

    def watch() -> None:
        heart = Heartbeat(store, rank, world)
        while not over.wait(_SECONDS):
            silent = heart.beat()
            if silent is not None:
                minutes = _MISSED * _SECONDS / 60
                text = f"rank {silent} has given no sign of life for {minutes:g} minutes: giving up"
                print(f"Error: {text}", file=sys.stderr, flush=True)
                os._exit(1)

    thread = threading.Thread(target=watch, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)
