"""The cells of a study computed by a pool of worker processes.

``concurrent.futures`` provides the pool. This module adds a clean stop: only the first process
receives Ctrl-C, and no worker outlives it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import SimpleQueue

import torch

from gepc_geo.errors import InputError
from gepc_geo.experiments.cells import Cell, Outcome, run_cell
from gepc_geo.experiments.protocol import Protocol
from gepc_geo.utils.memory import keep_memory


def outcomes(
    protocol: Protocol,
    cells: list[Cell],
    device: str,
    jobs: int,
    begin: Callable[[Cell], None] | None,
) -> Iterator[tuple[Cell, Outcome | InputError]]:
    """Computes cells, in this process or in several.

    Args:
        protocol: What is measured.
        cells: The cells to compute.
        device: Where to compute.
        jobs: Number of processes; they share the cores.
        begin: Called with each cell before it is computed by this process, which then shows the
            progress of its training. ``None`` shows none.

    Yields:
        Each cell with its outcome or its error, in the order in which they end.

    Raises:
        InputError: The operating system ended a worker.
    """
    if jobs == 1:
        for cell in cells:
            if begin is not None:
                begin(cell)
            yield cell, _run(protocol, cell, device, quiet=begin is None)
        return
    others = set(multiprocessing.active_children())
    ended: SimpleQueue[Future[Outcome | InputError]] = SimpleQueue()
    with (
        _threads(max(1, torch.get_num_threads() // jobs)),
        ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(protocol, device),
        ) as pool,
    ):
        try:
            with _blocked_interrupts():
                futures = {pool.submit(_work, cell): cell for cell in cells}
            for future in futures:
                future.add_done_callback(ended.put)
            # Not as_completed: an interrupt inside it can leave a lock held that the pool needs to
            # shut down.
            for _ in futures:
                future = ended.get()
                yield futures[future], future.result()
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            # The pool would wait for cells in progress, up to an hour.
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
            if isinstance(error, BrokenProcessPool):
                raise InputError(
                    "a worker process was killed, probably for lack of memory: use fewer than "
                    f"{jobs} --jobs"
                ) from None
            raise


@contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """Blocks Ctrl-C inside; processes started inside inherit the block while they import.

    This process gets a blocked Ctrl-C at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes started inside compute with ``count`` threads each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


_context: tuple[Protocol, str]


def _start_worker(protocol: Protocol, device: str) -> None:
    """Prepares a worker for all of its cells."""
    global _context
    # Ctrl-C reaches all processes of a terminal; the first process ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_memory()
    _context = protocol, device


def _end_with_parent() -> None:
    """Ends this worker when the process that started it has ended, even by a kill."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(cell: Cell) -> Outcome | InputError:
    return _run(_context[0], cell, _context[1])


def _run(protocol: Protocol, cell: Cell, device: str, quiet: bool = True) -> Outcome | InputError:
    try:
        return run_cell(protocol, cell, device, quiet)
    except InputError as error:
        return error
