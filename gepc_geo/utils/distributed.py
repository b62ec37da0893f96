"""Several processes that train as one: who is who, and what they do together.

Each process (a *rank*) holds all tracks and computes its share of every batch. Outside of
:func:`process_group` there is one rank, and every function here gives back what it was given.
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
from gepc_geo.utils.heartbeat import heartbeat

_T = TypeVar("_T")

# What torchrun (or who starts the ranks without it) tells each rank.
_ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# How long ranks that are alive wait for one another: mixtures are fitted by the first alone, and shares
# of clips to score are not quite even.
_PATIENCE = timedelta(days=1)
# How long a rank that is about to end waits for the others to have heard of it.
_FAREWELL = timedelta(seconds=10)

# Of our own group only: in a process group that somebody else made nothing here communicates.
_rank, _world = 0, 1


def rank() -> int:
    """The number of this process, from 0."""
    return _rank


def world() -> int:
    """How many processes there are."""
    return _world


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return _rank == 0


@contextmanager
def process_group() -> Iterator[None]:
    """Joins the ranks that torchrun started, where it did: by gloo on the CPU, by NCCL on CUDA."""
    global _rank, _world
    if any(name not in os.environ for name in _ENVIRONMENT) or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    _rank, _world = dist.get_rank(), dist.get_world_size()
    # A connection of its own to the store that the ranks met in: the group's may be waiting.
    store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    try:
        with heartbeat(store, _rank, _world):
            yield
    finally:
        _rank, _world = 0, 1
        # After a crash the other ranks may be gone, and closing the group could wait for them.
        if sys.exc_info()[0] in (None, InputError, SystemExit):
            dist.destroy_process_group()


def own_device(name: str | torch.device = "auto") -> torch.device:
    """As :func:`~gepc_geo.utils.device.pick_device`; of several ranks on a machine each has its own GPU.

    Raises:
        InputError: A device that cannot be used, a GPU of two ranks; on all ranks, if on any.
    """
    with agreement():
        if _world > 1 and torch.cuda.is_available() and str(name) in ("auto", "cuda"):
            name = f"cuda:{os.environ.get('LOCAL_RANK', _rank)}"
        device = pick_device(name)
        if _world > 1 and device.type == "cuda":
            torch.cuda.set_device(device)
    if _world > 1:
        _check_own(device)
    return device


def _check_own(device: torch.device) -> None:
    """Makes sure that no two ranks have one GPU, whatever number they know it by."""
    cuda = device.type == "cuda"
    gpu = str(torch.cuda.get_device_properties(device).uuid) if cuda else None
    first: dict[str, int] = {}
    for other, (name, one) in enumerate(_all_objects((str(device), gpu))):
        if one is not None and first.setdefault(one, other) != other:
            raise InputError(
                f"device is {name!r} on rank {other}, which is rank {first[one]}'s GPU, "
                "expected one for each rank (auto or cuda), or cpu"
            )


# -- shares ------------------------------------------------------------------------------------


def share(count: int) -> slice:
    """Which of ``count`` rows are this rank's: equal parts but for one row, in order of ranks."""
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
    """What all ranks have, in their order, on the first one; on the others their own alone."""
    if _world == 1:
        return [mine]
    everyone: list[Any] | None = [None] * _world if _rank == 0 else None
    dist.gather_object(mine, everyone)
    return [mine] if everyone is None else everyone


# -- sums --------------------------------------------------------------------------------------


class _Total(torch.autograd.Function):
    """A sum over ranks; what it is used for on any rank gives a gradient on all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient)


def total(x: Tensor) -> Tensor:
    """The sum of all ranks' ``x``; differentiable."""
    return x if _world == 1 else _Total.apply(x)


def mean(x: Tensor) -> Tensor:
    """This rank's part of the mean over the entries of all ranks' ``x``: the sum of parts is it."""
    return x.mean() if _world == 1 else x.sum() / total(x.new_full((), x.numel()))


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replaces each gradient by its sum over ranks, all in one message."""
    if _world == 1:
        return
    gradients = [one.grad for one in parameters if one.grad is not None]
    flat = torch.cat([one.flatten() for one in gradients])
    dist.all_reduce(flat)
    for one, part in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
        one.copy_(part.view_as(one))


# -- agreement ---------------------------------------------------------------------------------


@contextmanager
def agreement() -> Iterator[None]:
    """What is inside, each rank does by itself; then all go on, or all raise the same error.

    Inside, ranks must not communicate: one that has failed would be waited for.

    Raises:
        InputError: Of the first rank that raised one.
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
    """What ``make`` gives on the first rank, on all ranks; the others do not call it.

    Raises:
        InputError: The first rank's, on all ranks.
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
    """Overwrites tensors by the first rank's: rounding may differ between machines."""
    if _world > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def check_same(make: Callable[[], object], what: str) -> None:
    """Makes sure that all ranks have the same: ``make`` gives it or its checksum.

    Raises:
        InputError: Some rank has something else; on all ranks.
    """
    if _world > 1:
        values = _all_objects(make())
        for other, value in enumerate(values):
            if value != values[0]:
                raise InputError(
                    f"rank {other} has other {what} than rank 0, expected the same on all ranks"
                )


def farewell() -> None:
    """Waits until all ranks are here, for a while: torchrun kills the others once one has ended."""
    if _world > 1:
        # A rank that is gone already need not be waited for.
        with suppress(RuntimeError):
            dist.all_reduce(torch.zeros(1), async_op=True).wait(_FAREWELL)


def _all_objects(mine: _T) -> list[_T]:
    """What all ranks gave, in their order."""
    everyone: list[Any] = [None] * _world
    dist.all_gather_object(everyone, mine)
    return everyone


def _raise_first(errors: Iterable[str | None]) -> None:
    for error in errors:
        if error is not None:
            raise InputError(error)
