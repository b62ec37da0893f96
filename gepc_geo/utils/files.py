"""Writes files completely or not at all; reads NumPy files and YAML safely."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gepc_geo.errors import InputError


def as_text(name: str) -> str:
    r"""Replaces bytes of a file name that are not UTF-8 by escapes such as ``\xe9``.

    Python stores bytes of a file name that it cannot decode as surrogates. In an ASCII locale these
    may be UTF-8; they become text.
    """
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # JSON may hold other surrogates.
        data = name.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


def check_destination(path: str | Path) -> None:
    """Checks that a file can be written to ``path``, before a long computation; writes nothing.

    Raises:
        InputError: ``path`` is a folder, its folder is not writable, or the locale does not allow
            the name.
    """
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise InputError(f"could not write {path}: the name needs a UTF-8 locale") from None
    if os.path.isdir(path):
        raise InputError(f"{path} must be a file to write, got a folder")
    nearest = next(folder for folder in Path(path).parents if os.path.exists(folder))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"could not write {path}: {nearest} is not a writable folder")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary file beside ``path``; renames it to ``path`` on success, else deletes it.

    The content is on the disk before the file is renamed: after a power failure ``path`` is the old
    file or the new one. If writing fails, folders that this function made are removed.

    Raises:
        InputError: ``path`` is a folder, its folder is not writable, or writing fails.
    """
    path = Path(path)
    check_destination(path)
    made = [folder for folder in path.parents if not os.path.exists(folder)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        _remove_empty(made)
        raise write_error(path, error) from None
    temporary = Path(name)
    try:
        # mkstemp makes private files; results get the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        _remove_empty(made)
        if isinstance(error, OSError):
            raise write_error(path, error) from None
        raise


@contextmanager
def atomic_stream(path: str | Path) -> Iterator[io.FileIO]:
    """As :func:`atomic_path`, but yields an open file for a writer in C++ such as PyTorch's.

    Such a writer hides the reason of a failed write, or ends the process. Writes to this file
    therefore never fail; the first error is raised after the block.

    Raises:
        InputError: As :func:`atomic_path`.
    """
    with atomic_path(path) as temporary, _DeferredErrors(temporary, "w") as stream:
        yield stream
        if stream.error is not None:
            raise stream.error


class _DeferredErrors(io.FileIO):
    """A file that stores the first error of its writes and discards later writes."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.error is None and rest:
                # A nearly full disk takes a part of the data first.
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return size


def write_csv(path: str | Path, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Writes a CSV file completely or not at all.

    Args:
        path: The file.
        head: Names of the columns.
        rows: Values of each row.

    Raises:
        InputError: As :func:`atomic_path`.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)


def write_error(path: str | Path, error: OSError) -> InputError:
    """The InputError of a failed write; ``str(error)`` may name a temporary file."""
    reason = error.strerror or (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"could not write {path}: {reason}")


def _remove_empty(folders: Iterable[Path]) -> None:
    """Removes empty folders, the innermost first."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def write_files(folder: str | Path, files: Iterable[tuple[str, str]]) -> list[Path]:
    """Writes texts into a folder: all of them, or none if one fails.

    Existing files are replaced. Existing folders below ``folder`` are refused: they would get a
    mixture of old and new files.

    Args:
        folder: Made if it does not exist.
        files: Pairs of name and text; the iterator may raise :class:`InputError`.

    Returns:
        The written files.

    Raises:
        InputError: ``folder`` is a file or not writable, a folder below it exists already, or
            writing fails.
    """
    folder = Path(folder)
    nearest = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"could not write {folder}: {nearest} is not a writable folder")
    written = []
    try:
        # On the file system of the folder, so that files can be renamed; hidden, so that readers of
        # poses skip it.
        with tempfile.TemporaryDirectory(prefix=".writing.", dir=nearest) as temporary:
            for name, text in files:
                path = Path(temporary, name)
                check_destination(folder / name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("w", encoding="utf-8") as stream:
                    stream.write(text)
                    stream.flush()
                    os.fsync(stream.fileno())
                written.append(folder / name)
            entries = sorted(Path(temporary).iterdir())
            for entry in entries:
                target = folder / entry.name
                if target.is_dir() or (entry.is_dir() and target.exists()):
                    raise InputError(f"{target} must be a new name, got one that exists already")
            folder.mkdir(parents=True, exist_ok=True)
            for entry in entries:
                os.replace(entry, folder / entry.name)
    except OSError as error:
        raise write_error(folder, error) from None
    return written


class _YamlLoader(yaml.SafeLoader):
    """PyYAML's safe loader; it refuses repeated names, of which PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = [name for position, name in enumerate(names) if name in names[:position]]
        if twice:
            raise ValueError(f"names must be different, got {twice[0]!r} twice")
        return super().construct_mapping(node, deep)


# 1e-3 is text in YAML 1.1, which PyYAML follows, and a number in YAML 1.2.
_YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str) -> Any:
    """Reads one value from a text in YAML.

    Raises:
        ValueError: The text is not valid; the message has one line.
    """
    try:
        return yaml.load(text, _YamlLoader)
    except Exception as error:
        # Dates and numbers that are not valid raise errors of many types.
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from None


def read_yaml(path: str | Path, kind: str) -> dict[str, Any]:
    """Reads the values of a YAML file by name; an empty file has none.

    Args:
        path: The file.
        kind: What the file must be, for messages.

    Raises:
        InputError: The file does not exist, is damaged, or has no values by name.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} must be a {kind} in YAML, got an error: {reason}") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise InputError(
            f"{path} must be a {kind} with values by name, got a {type(content).__name__}"
        )
    return content


def read_npy(path: str | Path, kind: str) -> np.ndarray:
    """Reads the array of a ``.npy`` file; never unpickles.

    Args:
        path: The file.
        kind: What the file must be, for messages.

    Raises:
        InputError: The file does not exist, is damaged, or is a ``.npz`` file.
    """
    content = _read_numpy(Path(path), kind)
    if not isinstance(content, np.ndarray):
        raise InputError(f"{path} must be a {kind} with one array, got an archive of arrays")
    return content


def read_npz(path: str | Path, kind: str, mapped: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Reads the arrays of a ``.npz`` file by name; never unpickles.

    Args:
        path: The file.
        kind: What the file must be, for messages.
        mapped: Names of arrays to map into memory read-only. Their values are read when they are
            used, and are not checked for damage. (default: none)

    Raises:
        InputError: The file does not exist, is damaged, is a ``.npy`` file, or an array to map is
            compressed.
    """
    content = _read_numpy(Path(path), kind, mapped)
    if isinstance(content, np.ndarray):
        raise InputError(f"{path} must be a {kind} with named arrays, got one without a name")
    return content


def _read_numpy(
    path: Path, kind: str, mapped: Collection[str] = ()
) -> np.ndarray | dict[str, np.ndarray]:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content as archive:
            arrays = {
                name: _map_member(path, archive.zip, name) if name in mapped else archive[name]
                for name in archive.files
            }
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except Exception as error:
        # A damaged file raises errors of many types, from zipfile, zlib, tokenize or the header.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "pickle" in reason:
            # NumPy's message advises to allow pickles.
            raise InputError(
                f"{path} must be a {kind}, got Python objects, which are never loaded"
            ) from None
        raise InputError(f"{path} must be a {kind}, got an error: {reason}") from None
    # NumPy returns members that are not arrays as bytes.
    others = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if others:
        raise InputError(f"{path} must be a {kind} of arrays, got other content in {others[0]!r}")
    damaged = [name for name, array in arrays.items() if not _is_text(array)]
    if damaged:
        raise InputError(f"{path} must be a {kind}, got damaged text in {damaged[0]!r}")
    return arrays


def _map_member(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Maps an array of an archive into memory, read-only; raises any error if it is damaged."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name!r} must be uncompressed to be mapped, got a compressed array")
    # zipfile checks the local header when it opens a member.
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"{name!r} must have array format (1, 0) or (2, 0), got {version}")
        start = stream.tell()
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject:
        raise ValueError(f"{name!r} must be an array of numbers or text, got a pickle")
    if start + size != info.file_size:
        raise ValueError(f"{name!r} must have {size} bytes, got {info.file_size - start}")
    if not size:
        return np.empty(shape, dtype)
    with path.open("rb") as file:
        # The local header, whose length varies, precedes the data.
        file.seek(info.header_offset + 26)
        lengths = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
        offset = info.header_offset + 30 + lengths + start
        return np.memmap(
            file, dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C"
        )


def _is_text(array: np.ndarray) -> bool:
    """Whether strings are valid text; NumPy raises an error only when a string is read."""
    if array.dtype.kind != "U":
        return True
    codes = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    return not ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any()
