"""Compilation of the network for training."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch._functorch.config as _config
from torch import Tensor

from gepc_geo.nn import STGCAE
from gepc_geo.training.precision import autocast
from gepc_geo.utils import distributed

#: A network: its input gives reconstruction and latent.
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
# Compiling takes one or two minutes; a GPU trains on millions of windows in that time.
_PASSES = 10_000_000


def fast(
    model: STGCAE,
    make_input: Callable[[], Tensor],
    precision: str,
    choice: str,
    passes: int | None,
) -> Forward:
    """The network, compiled if that saves time.

    Args:
        model: The network.
        make_input: Returns its input for a training step; called only to test a compiled network.
        precision: Arithmetic of the step.
        choice: The option ``compile``.
        passes: Windows that training processes; ``None`` if unknown.
    """
    if not worth_compiling(choice, next(model.parameters()).device, passes):
        return model
    if choice == "always":
        return compiled(model)
    return compiled_if_possible(model, make_input(), precision)


def worth_compiling(choice: str, device: torch.device, passes: int | None) -> bool:
    """Whether to compile; ``auto``: in one process on a GPU, if training is known to be long.

    The compiled backward pass is slower on a CPU. Several ranks exchange norm statistics inside the
    network, which would split the compiled graph.

    Args:
        choice: The option ``compile``.
        device: The device of the network.
        passes: Windows that training processes; ``None`` if unknown.
    """
    if choice != "auto":
        return choice == "always"
    long = passes is not None and passes >= _PASSES
    return long and device.type == "cuda" and distributed.world() == 1


def compiled(model: STGCAE) -> Forward:
    """The compiled network, on a GPU with CUDA graphs."""
    device = next(model.parameters()).device
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    # A step has a backward pass for each loss. The first must not reuse buffers that the second
    # needs. Versions of PyTorch without this setting do not reuse them.
    if hasattr(_config, "donated_buffer"):
        _config.donated_buffer = False
    return torch.compile(model, mode=mode)


def compiled_if_possible(model: STGCAE, x: Tensor, precision: str) -> Forward:
    """The compiled network, or, with a warning, the network itself if compiling fails.

    PyTorch's compiler needs tools that some machines lack.

    Args:
        model: The network; its weights do not change.
        x: Its input for a training step.
        precision: Arithmetic of the step.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    network: Forward = compiled(model)
    model.train()
    try:
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            with autocast(x.device, precision):
                reconstruction, latent = network(x)
            torch.autograd.backward(reconstruction.float().mean() + latent.float().mean())
    except Exception as error:  # the compiler raises errors of many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        warnings.warn(f"could not compile the network, training is slower: {reason}", stacklevel=2)
        network = model
    finally:
        model.load_state_dict(state)
        model.zero_grad(set_to_none=True)
    return network
