"""Writing files so that nothing half-written is left behind, and reading NumPy's own safely."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary name beside ``path``; renames it to ``path`` on success, else deletes it.

    Raises:
        InputError: The folder of ``path`` cannot be written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise InputError(f"{path} cannot be written, expected a writable folder: {error}") from None
    temporary = Path(name)
    try:
        # mkstemp makes private files; results are meant to be as readable as any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_npy(path: str | Path, kind: str) -> np.ndarray:
    """The array of a ``.npy`` file; nothing is ever unpickled.

    Raises:
        InputError: No such file, or a damaged one; ``kind`` says what was expected.
    """
    content = _read_numpy(Path(path), kind)
    if not isinstance(content, np.ndarray):
        raise InputError(f"{path} is not a readable {kind}: it holds several arrays")
    return content


def read_npz(path: str | Path, kind: str) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` file by name; nothing is ever unpickled.

    Raises:
        InputError: No such file, or a damaged one; ``kind`` says what was expected.
    """
    content = _read_numpy(Path(path), kind)
    if isinstance(content, np.ndarray):
        raise InputError(f"{path} is not a readable {kind}: it holds one array without a name")
    return content


def _read_numpy(path: Path, kind: str) -> np.ndarray | dict[str, np.ndarray]:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected a {kind}") from None
    except Exception as error:
        # Damage surfaces from zipfile, zlib, tokenize or the header's parser, as almost anything.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "pickle" in reason:
            # NumPy's own words advise to load it nevertheless.
            reason = "it holds Python objects, which are never loaded"
        raise InputError(f"{path} is not a readable {kind}: {reason}") from None
    # A member that does not begin like an array comes back as bytes.
    strange = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strange:
        raise InputError(f"{path} is not a readable {kind}: {strange[0]!r} is no array")
    garbled = [name for name, array in arrays.items() if not _is_text(array)]
    if garbled:
        raise InputError(f"{path} is not a readable {kind}: {garbled[0]!r} holds damaged text")
    return arrays


def _is_text(array: np.ndarray) -> bool:
    """Whether strings hold only characters (NumPy looks when one is taken out, and breaks)."""
    if array.dtype.kind != "U":
        return True
    codes = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    return not ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any()
