"""The device to compute on."""

from __future__ import annotations

import torch

from gepc_geo.errors import InputError

# The package is tested on these alone; torch has more.
_TYPES = ("cpu", "cuda")


def wait(device: torch.device) -> None:
    """Waits until the device is idle; CUDA runs asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device with a name.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``: CUDA if the machine has a GPU,
            else the CPU. (default: ``"auto"``)

    Raises:
        InputError: The device is unknown, not on this machine, or neither a CPU nor CUDA.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        # PyTorch's message lists devices that this package does not support.
        raise InputError(f"device must be auto, cpu or cuda, got {name!r}") from None
    if device.type not in _TYPES:
        raise InputError(f"device must be auto, cpu or cuda, got {str(name)!r}")
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or ["not available"])[0]
        raise InputError(
            f"device must be one that this machine has, got {str(name)!r}: {reason}"
        ) from None
    return device
