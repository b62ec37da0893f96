"""Files of tensors and plain values: written whole or not at all, never unpickled."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from gepc_geo.errors import InputError
from gepc_geo.files import atomic_path


def save(content: dict[str, Any], path: str | Path, *, kind: str, version: int) -> None:
    """Writes tensors, numbers, strings, lists and dicts, marked with what the file is."""
    with atomic_path(path) as temporary:
        torch.save({"kind": kind, "version": version, **content}, temporary)


def load(path: str | Path, *, kind: str, version: int) -> dict[str, Any]:
    """Reads what :func:`save` wrote, with ``weights_only=True``, onto the CPU.

    Raises:
        InputError: No such file, not a file of this kind, another version, a corrupt file.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected a {kind}") from None
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        EOFError,
        AttributeError,
        TypeError,
        IndexError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read, expected a {kind}: {reason}") from None
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise InputError(f"{path} is not a {kind}")
    if content.get("version") != version:
        raise InputError(f"{path} has version {content.get('version')}, expected {version}")
    return content
