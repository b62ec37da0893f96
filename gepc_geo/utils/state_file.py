"""Files of tensors and plain values, written completely or not at all, never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from gepc_geo.errors import InputError
from gepc_geo.utils.files import atomic_stream


def save(content: dict[str, Any], path: str | Path, *, kind: str, version: int) -> None:
    """Writes tensors, numbers, strings, lists and dicts.

    Args:
        content: Values by name.
        path: The file.
        kind: Kind of the file, stored in it.
        version: Version of the kind, stored in the file.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_stream(path) as stream:
        torch.save({"kind": kind, "version": version, **content}, stream)


def load(path: str | Path, *, kind: str, version: int) -> dict[str, Any]:
    """Reads a file of :func:`save` onto the CPU; never unpickles.

    Args:
        path: The file.
        kind: The kind that the file must have.
        version: The version that the file must have.

    Raises:
        InputError: The file does not exist, is damaged (checksums included), or has another kind or
            version.
    """
    try:
        # torch.load does not verify the CRC-32 of each tensor in the zip file.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"a wrong checksum of {damaged!r}")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except Exception as error:
        # A damaged file raises errors of many types, from zipfile, zlib or the unpickler.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} must be a {kind}, got an error: {reason}") from None
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise InputError(f"{path} must be a {kind}, got another kind of file")
    found = content.get("version")
    if found != version:
        newer = isinstance(found, int) and found > version
        raise InputError(
            f"{path} must have version {version}, got {found!r:.20}"
            + (": update gepc_geo" if newer else ": train again with this version of gepc_geo")
        )
    return content
