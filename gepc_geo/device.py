"""Where to compute."""

from __future__ import annotations

import torch

from gepc_geo.errors import InputError


def wait(device: torch.device) -> None:
    """Until the device has done what it was told to: CUDA runs behind the program."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises:
        InputError: An unknown device, one this machine does not have, one that computes nothing.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        # Computes and fetches something: "meta" makes tensors, and they hold nothing.
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or ["not available"])[0]
        raise InputError(
            f"device {str(name)!r} cannot be used, expected auto, cpu or cuda: {reason}"
        ) from None
    return device
