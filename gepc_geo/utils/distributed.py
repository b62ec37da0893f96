"""Several processes (*ranks*) that work as one: their process group, shares of rows, and messages.

Every rank holds all tracks and computes its share. Outside of :func:`process_group` there is one rank,
and every function here returns its input.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.utils.device import pick_device

_T = TypeVar("_T")

# What torchrun, or a scheduler in its place, sets in the environment of each rank.
_ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# A rank that waits longer than this for another one fails. It is long because the first rank fits
# mixtures alone, and because shares of clips to score are uneven. A process that crashes is noticed at
# once, by its closed connections.
_TIMEOUT = timedelta(hours=12)
# The longest wait of a rank that ends with bad input.
_EXIT_TIMEOUT = timedelta(seconds=10)

# Of the group that process_group made. In a group that somebody else made nothing here communicates.
_rank, _world = 0, 1


def rank() -> int:
    """Number of this process, from 0."""
    return _rank


def world() -> int:
    """Number of processes."""
    return _world


def is_first() -> bool:
    """Whether this process is rank 0, which writes files and prints."""
    return _rank == 0


@contextmanager
def process_group() -> Iterator[None]:
    """Joins the ranks that torchrun started, if it did: by gloo on the CPU, by NCCL on CUDA."""
    global _rank, _world
    if any(name not in os.environ for name in _ENVIRONMENT) or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_TIMEOUT)
    _rank, _world = dist.get_rank(), dist.get_world_size()
    try:
        yield
    finally:
        _rank, _world = 0, 1
        # After a crash the other ranks may be gone, and closing the group could wait for them.
        if sys.exc_info()[0] in (None, InputError, SystemExit):
            dist.destroy_process_group()


def own_device(name: str | torch.device = "auto") -> torch.device:
    """As :func:`~gepc_geo.utils.device.pick_device`; each rank of a machine gets a GPU of its own.

    Raises:
        InputError: The device cannot be used, or two ranks have the same GPU; on all ranks.
    """
    with raise_on_all_ranks():
        if _world > 1 and torch.cuda.is_available() and str(name) in ("auto", "cuda"):
            name = f"cuda:{os.environ.get('LOCAL_RANK', _rank)}"
        device = pick_device(name)
        if _world > 1 and device.type == "cuda":
            torch.cuda.set_device(device)
    if _world > 1:
        _check_own(device)
    return device


def _check_own(device: torch.device) -> None:
    """Refuses a GPU that two ranks have, under whatever number each knows it."""
    cuda = device.type == "cuda"
    gpu = str(torch.cuda.get_device_properties(device).uuid) if cuda else None
    first: dict[str, int] = {}
    for other, (name, one) in enumerate(_all_objects((str(device), gpu))):
        if one is not None and first.setdefault(one, other) != other:
            raise InputError(
                f"device must be auto, cuda or cpu, or another GPU on each rank, got {name!r} on "
                f"rank {other}, which is the GPU of rank {first[one]}"
            )


# -- shares ------------------------------------------------------------------------------------


def share(count: int) -> slice:
    """The rows of ``count`` that are this rank's. Shares are in the order of ranks and differ by at
    most one row in size.
    """
    return slice(count * _rank // _world, count * (_rank + 1) // _world)


def gather(x: Tensor) -> Tensor:
    r"""The rows :math:`(N_r, *)` of all ranks in their order, on all ranks: :math:`(N, *)`."""
    if _world == 1:
        return x
    sizes = _all_objects(len(x))
    padded = x.new_zeros(max(sizes), *x.shape[1:])
    padded[: len(x)] = x
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def to_first(mine: _T) -> list[_T]:
    """On the first rank the objects of all ranks, in their order; on each other rank its own."""
    if _world == 1:
        return [mine]
    everyone: list[Any] | None = [None] * _world if _rank == 0 else None
    dist.gather_object(mine, everyone)
    return [mine] if everyone is None else everyone


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replaces each gradient by its sum over ranks, all in one message."""
    if _world == 1:
        return
    gradients = [one.grad for one in parameters if one.grad is not None]
    flat = torch.cat([one.flatten() for one in gradients])
    dist.all_reduce(flat)
    for one, part in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
        one.copy_(part.view_as(one))


# -- one outcome on all ranks ------------------------------------------------------------------


@contextmanager
def raise_on_all_ranks() -> Iterator[None]:
    """Raises a rank's :class:`~gepc_geo.errors.InputError` on all ranks, at the end of the block.

    Ranks must not communicate inside: the others would wait for one that has failed.

    Raises:
        InputError: That of the first rank that raised one.
    """
    if _world == 1:
        yield
        return
    error = None
    try:
        yield
    except InputError as own:
        error = str(own)
    _raise_first(_all_objects(error))


def from_first(make: Callable[[], _T]) -> _T:
    """The result of ``make`` on the first rank, on all ranks; the others do not call it.

    Raises:
        InputError: That of the first rank, on all ranks.
    """
    if _world == 1:
        return make()
    outcome: list[Any] = [None, None]
    if _rank == 0:
        try:
            outcome[0] = make()
        except InputError as error:
            outcome[1] = str(error)
    dist.broadcast_object_list(outcome)
    _raise_first(outcome[1:])
    return outcome[0]


def copy_first(tensors: Iterable[Tensor]) -> None:
    """Overwrites tensors by those of the first rank: rounding may differ between machines."""
    if _world > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def check_same(make: Callable[[], object], what: str) -> None:
    """Refuses values that differ between ranks: ``make`` returns the value or its checksum.

    Raises:
        InputError: A rank has another value than the first one; on all ranks.
    """
    if _world > 1:
        values = _all_objects(make())
        for other, value in enumerate(values):
            if value != values[0]:
                raise InputError(
                    f"{what} must be the same on all ranks, got others on rank {other} than on rank 0"
                )


def exit_barrier() -> None:
    """Waits up to 10 seconds until all ranks are here: torchrun kills the others once one has ended."""
    if _world > 1:
        # A rank that has ended already need not be waited for.
        with suppress(RuntimeError):
            dist.all_reduce(torch.zeros(1), async_op=True).wait(_EXIT_TIMEOUT)


def _all_objects(mine: _T) -> list[_T]:
    """The objects of all ranks, in their order."""
    everyone: list[Any] = [None] * _world
    dist.all_gather_object(everyone, mine)
    return everyone


def _raise_first(errors: Iterable[str | None]) -> None:
    for error in errors:
        if error is not None:
            raise InputError(error)
