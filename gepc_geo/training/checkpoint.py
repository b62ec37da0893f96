"""Files of tensors and plain values: written whole or not at all, never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from gepc_geo.errors import InputError
from gepc_geo.utils.files import atomic_stream


def save(content: dict[str, Any], path: str | Path, *, kind: str, version: int) -> None:
    """Writes tensors, numbers, strings, lists and dicts, marked with what the file is."""
    with atomic_stream(path) as stream:
        torch.save({"kind": kind, "version": version, **content}, stream)


def load(path: str | Path, *, kind: str, version: int) -> dict[str, Any]:
    """Reads what :func:`save` wrote, with ``weights_only=True``, onto the CPU.

    Raises:
        InputError: No such file, not a file of this kind, another version, a corrupt file (a
            changed byte in the weights included).
    """
    try:
        # The zip that torch writes has a CRC-32 of each tensor's bytes, which torch does not look at.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged!r} is wrong")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected a {kind}") from None
    except Exception as error:
        # Damage surfaces from zipfile, zlib or the unpickler, as almost anything.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read, expected a {kind}: {reason}") from None
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise InputError(f"{path} is not a {kind}")
    found = content.get("version")
    if found != version:
        older = isinstance(found, int) and found < version
        raise InputError(
            f"{path} has version {found!r:.20}, expected {version}"
            + (" as this version of gepc_geo writes it: train again" if older else "")
        )
    return content
