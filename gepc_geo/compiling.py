"""Whether the network is compiled for training, and what happens where that fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from gepc_geo import distributed
from gepc_geo.nn import STGCAE
from gepc_geo.precision import autocast

#: From a network's input to reconstruction and latent.
Network = Callable[[Tensor], tuple[Tensor, Tensor]]
# Compiling takes a minute or two, in which a GPU trains on some millions of windows.
_PASSES = 10_000_000


def worth_compiling(choice: str, device: torch.device, passes: int) -> bool:
    """Whether training is compiled; ``auto``: in one process on a GPU, if it is long.

    On a CPU the compiled backward pass is slower. Several ranks exchange norm statistics inside of the
    network, which would cut the compiled graph.

    Args:
        choice: The option ``compile``.
        device: Where the network is trained.
        passes: Windows it is trained on.
    """
    if choice != "auto":
        return choice == "always"
    return device.type == "cuda" and passes >= _PASSES and distributed.world() == 1


def compiled(model: STGCAE) -> Network:
    """The compiled network; on a GPU steps are also recorded: then replayed, not launched."""
    device = next(model.parameters()).device
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    return torch.compile(model, mode=mode)


def compiled_if_possible(model: STGCAE, x: Tensor, precision: str) -> Network:
    """The compiled network, or with a warning the network itself where it cannot be compiled.

    Compilers need tools of the machine that not every machine has; nobody asked for this one.

    Args:
        model: The network; it is as it was afterwards.
        x: Its input for a training step.
        precision: Arithmetic of the step.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    network: Network = compiled(model)
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
