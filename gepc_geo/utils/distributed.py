"""Several processes (*ranks*) that train one detector: process group, shares of rows, messages.

Every rank holds all tracks and computes its share. Outside of :func:`process_group` there is one
rank, and functions that communicate return their input.
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

# Environment variables that torchrun, or another launcher, sets for each rank.
_ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# A rank that waits longer than this for another one fails. The time is long because the first rank
# fits mixtures alone and shares of clips to score are uneven. The other ranks notice a crashed
# process at once by its closed connections.
_TIMEOUT = timedelta(hours=2)
# A rank that ends with bad input waits at most this long for the others.
_EXIT_TIMEOUT = timedelta(seconds=10)

# Rank and size of the group of process_group; functions here ignore groups made elsewhere.
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
    """Joins the ranks that torchrun started, if any: with gloo on the CPU, with NCCL on CUDA."""
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
    """The device of this rank: each rank of a machine has another GPU.

    Args:
        name: As in :func:`~gepc_geo.utils.device.pick_device`. (default: ``"auto"``)

    Raises:
        InputError: The device cannot be used, or two ranks have the same GPU. All ranks raise it.
    """
    with raise_on_all_ranks():
        if _world > 1 and torch.cuda.is_available() and str(name) in ("auto", "cuda"):
            name = f"cuda:{os.environ.get('LOCAL_RANK', _rank)}"
        device = pick_device(name)
        if _world > 1 and device.type == "cuda":
            torch.cuda.set_device(device)
    if _world > 1:
        check_different_gpus(device)
    return device


def check_different_gpus(device: torch.device) -> None:
    """Refuses a GPU that two ranks use; ranks may number GPUs differently."""
    cuda = device.type == "cuda"
    own_gpu = str(torch.cuda.get_device_properties(device).uuid) if cuda else None
    first_rank: dict[str, int] = {}
    for other, (name, gpu) in enumerate(all_objects((str(device), own_gpu))):
        if gpu is not None and first_rank.setdefault(gpu, other) != other:
            raise InputError(
                f"device must be auto, cuda or cpu, or another GPU on each rank, got {name!r} on "
                f"rank {other}, which is the GPU of rank {first_rank[gpu]}"
            )


# -- shares ------------------------------------------------------------------------------------


def share(count: int) -> slice:
    """This rank's share of ``count`` rows, in the order of ranks; sizes differ by one at most."""
    return slice(count * rank() // world(), count * (rank() + 1) // world())


def gather(x: Tensor) -> Tensor:
    r"""Rows :math:`(N_r, *)` of all ranks, in order: :math:`(N, *)` on each rank."""
    if _world == 1:
        return x
    sizes = all_objects(len(x))
    padded = x.new_zeros(max(sizes), *x.shape[1:])
    padded[: len(x)] = x
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def to_first(mine: _T) -> list[_T]:
    """On the first rank the objects of all ranks, in order; on other ranks their own object."""
    if _world == 1:
        return [mine]
    everyone: list[Any] | None = [None] * _world if _rank == 0 else None
    dist.gather_object(mine, everyone)
    return [mine] if everyone is None else everyone


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replaces each gradient by its sum over ranks, in one message."""
    if _world == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    sums = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, total in zip(gradients, sums, strict=True):
        gradient.copy_(total.view_as(gradient))


# -- one outcome on all ranks ------------------------------------------------------------------


@contextmanager
def raise_on_all_ranks() -> Iterator[None]:
    """Raises an :class:`~gepc_geo.errors.InputError` of any rank on all ranks, after the block.

    Ranks must not communicate inside the block: they would wait for a rank that has failed.

    Raises:
        InputError: The error of the first rank that raised one.
    """
    if _world == 1:
        yield
        return
    error = None
    try:
        yield
    except InputError as own:
        error = str(own)
    _raise_first(all_objects(error))


def from_first(make: Callable[[], _T]) -> _T:
    """Calls ``make`` on the first rank; returns its result on all ranks.

    Raises:
        InputError: The first rank raised it. All ranks raise it.
    """
    if _world == 1:
        return make()
    outcome: list[Any] = [None, None]  # result, error
    if _rank == 0:
        try:
            outcome[0] = make()
        except InputError as error:
            outcome[1] = str(error)
    dist.broadcast_object_list(outcome)
    _raise_first(outcome[1:])
    result: _T = outcome[0]
    return result


def copy_first(tensors: Iterable[Tensor]) -> None:
    """Copies tensors of the first rank to all ranks: rounding may differ between machines."""
    if _world > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def check_same(make: Callable[[], object], what: str) -> None:
    """Refuses values that differ between ranks.

    Args:
        make: Returns this rank's value, or its checksum.
        what: What the message calls the values; a plural.

    Raises:
        InputError: A rank has another value than the first rank. All ranks raise it.
    """
    if _world > 1:
        values = all_objects(make())
        for other, value in enumerate(values):
            if value != values[0]:
                raise InputError(
                    f"{what} must be the same on all ranks, got others on rank {other} than on "
                    "rank 0"
                )


def exit_barrier() -> None:
    """Waits up to 10 seconds for all ranks: torchrun kills the others when one ends."""
    if _world > 1:
        # The wait fails if another rank has ended already.
        with suppress(RuntimeError):
            dist.all_reduce(torch.zeros(1), async_op=True).wait(_EXIT_TIMEOUT)


def all_objects(mine: _T) -> list[_T]:
    """The objects of all ranks, in order."""
    everyone: list[Any] = [None] * _world
    dist.all_gather_object(everyone, mine)
    return everyone


def _raise_first(errors: Iterable[str | None]) -> None:
    for error in errors:
        if error is not None:
            raise InputError(error)
