"""Whether the network is compiled for training, and what happens where that fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch._functorch.config as _config
from torch import Tensor

from gepc_geo.nn import STGCAE
from gepc_geo.training.precision import autocast
from gepc_geo.utils import distributed

#: From a network's input to reconstruction and latent.
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
# Compiling takes a minute or two, in which a GPU trains on some millions of windows.
_PASSES = 10_000_000


def fast(
    model: STGCAE,
    make_input: Callable[[], Tensor],
    precision: str,
    choice: str,
    passes: int | None,
) -> Forward:
    """The network, compiled where that is worth it.

    Args:
        model: The network.
        make_input: Its input for a training step, made where compiling is tried.
        precision: Arithmetic of the step.
        choice: The option ``compile``.
        passes: As in :func:`worth_compiling`.
    """
    if not worth_compiling(choice, next(model.parameters()).device, passes):
        return model
    if choice == "always":
        return compiled(model)
    return compiled_if_possible(model, make_input(), precision)


def worth_compiling(choice: str, device: torch.device, passes: int | None) -> bool:
    """Whether training is compiled; ``auto``: in one process on a GPU, if it is known to be long.

    On a CPU the compiled backward pass is slower. Several ranks exchange norm statistics inside of the
    network, which would cut the compiled graph.

    Args:
        choice: The option ``compile``.
        device: Where the network is trained.
        passes: Windows it is trained on; ``None`` where nobody knows.
    """
    if choice != "auto":
        return choice == "always"
    long = passes is not None and passes >= _PASSES
    return long and device.type == "cuda" and distributed.world() == 1


def compiled(model: STGCAE) -> Forward:
    """The compiled network; on a GPU steps are also recorded: then replayed, not launched."""
    device = next(model.parameters()).device
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    # A step goes back through the network once for each of its losses: the first time must not reuse the
    # memory of what the second needs. Versions of torch before this setting reuse nothing.
    if hasattr(_config, "donated_buffer"):
        _config.donated_buffer = False
    return torch.compile(model, mode=mode)


def compiled_if_possible(model: STGCAE, x: Tensor, precision: str) -> Forward:
    """The compiled network, or with a warning the network itself where it cannot be compiled.

    Compilers need tools of the machine that not every machine has; nobody asked for this one.

    Args:
        model: The network; it is as it was afterwards.
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
            (reconstruction.float().mean() + latent.float().mean()).backward()
    except Exception as error:  # whatever the compiler raises
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        warnings.warn(f"the network is not compiled, which is slower: {reason}", stacklevel=2)
        network = model
    finally:
        model.load_state_dict(state)
        model.zero_grad(set_to_none=True)
    return network
