"""Where to compute."""

from __future__ import annotations

import torch

from gepc_geo.errors import InputError

# What the package is tested on; torch knows more.
_TYPES = ("cpu", "cuda")


def wait(device: torch.device) -> None:
    """Until the device has done what it was told to: CUDA runs behind the program."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises:
        InputError: An unknown device, one this machine does not have, one that the package is not
            tested on.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        # Its own words list every device that was ever planned.
        raise InputError(f"device {name!r} does not exist, expected auto, cpu or cuda") from None
    if device.type not in _TYPES:
        raise InputError(f"device {str(name)!r} is not supported, expected auto, cpu or cuda")
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or ["not available"])[0]
        raise InputError(
            f"device {str(name)!r} cannot be used, expected auto, cpu or cuda: {reason}"
        ) from None
    return device
