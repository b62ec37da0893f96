"""Writing files so that nothing half-written is left behind; reading NumPy's own and YAML safely."""

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
    """A name with escapes (``"caf\\xe9"``) for what is no text in it; every encoding of Unicode takes it.

    Python marks bytes of a file's name that it cannot decode. Those of UTF-8, which an ASCII locale cannot
    decode either, become text.
    """
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Halves of characters that are no such marks, as JSON may hold them.
        data = name.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


def check_destination(path: str | Path) -> None:
    """Makes sure, before long work for it, that a file can be written to ``path``; writes nothing.

    Raises:
        InputError: ``path`` is a folder, lies where nothing can be written, or has a name that files
            cannot have in this locale.
    """
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise InputError(
            f"{path} cannot be written in this locale, expected a UTF-8 locale for such a name"
        ) from None
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder, expected the name of a file to write")
    nearest = next(folder for folder in Path(path).parents if os.path.exists(folder))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"{path} cannot be written, expected a writable folder: {nearest} is none")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary name beside ``path``; renames it to ``path`` on success, else deletes it.

    The content is on the disk before it gets its name: a machine that loses power leaves the old
    file or the new one. Folders that were made for a file that fails are removed again.

    Raises:
        InputError: ``path`` is a folder, its folder cannot be written to, or writing fails.
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
        # Its own words name the temporary file.
        reason = error.strerror or error
        raise InputError(
            f"{path} cannot be written, expected a writable folder with room: {reason}"
        ) from None
    temporary = Path(name)
    try:
        # mkstemp makes private files; results are meant to be as readable as any other file.
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
            raise no_room(path, error) from None
        raise


@contextmanager
def atomic_stream(path: str | Path) -> Iterator[io.FileIO]:
    """As :func:`atomic_path`, the file opened for a writer in C++ such as torch's.

    Such a writer makes of a full disk an error of its own, or ends the process. So writing to this
    file never fails; what did fail is raised when the writer is done.

    Raises:
        InputError: As :func:`atomic_path`.
    """
    with atomic_path(path) as temporary, _Patient(temporary, "w") as stream:
        yield stream
        if stream.error is not None:
            raise stream.error


class _Patient(io.FileIO):
    """A file that keeps the first error of its writes, and then takes everything and writes nothing."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.error is None and rest:
                # A nearly full disk takes a part, and refuses only what comes then.
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return size


def write_csv(path: str | Path, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Writes a table of comma-separated values, whole or not at all.

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


def no_room(path: str | Path, error: OSError) -> InputError:
    """What to raise where writing a file failed; the error's own words may name a temporary file."""
    reason = error.strerror or (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{path} cannot be written, expected room for it: {reason}")


def _remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders, the innermost first, unless there is something in them by now."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def write_files(folder: str | Path, files: Iterable[tuple[str, str]]) -> list[Path]:
    """Writes texts into a folder: all of them, or where anything fails none.

    Files are replaced. Folders below ``folder`` are not, as what they hold already would be mixed
    with what is new.

    Args:
        folder: Made where it does not exist.
        files: Names within it, and texts. They may raise :class:`InputError` too.

    Returns:
        The written files.

    Raises:
        InputError: ``folder`` is a file or cannot be written to, one of the folders below it is
            there already, or writing fails.
    """
    folder = Path(folder)
    nearest = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(
            f"{folder} cannot be written to, expected a writable folder: {nearest} is none"
        )
    written = []
    try:
        # On the file system of the folder, so that what is written need only be renamed; hidden, so
        # that nobody takes it for poses.
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
                    raise InputError(f"{target} is there already, expected a new name for it")
            folder.mkdir(parents=True, exist_ok=True)
            for entry in entries:
                os.replace(entry, folder / entry.name)
    except OSError as error:
        # Its own words name the temporary folder.
        reason = error.strerror or type(error).__name__
        raise InputError(f"{folder} cannot be written to, expected room for it: {reason}") from None
    return written


class _YamlLoader(yaml.SafeLoader):
    """PyYAML's safe loader that refuses a name that stands twice, where PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = [name for position, name in enumerate(names) if name in names[:position]]
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice")
        return super().construct_mapping(node, deep)


# PyYAML follows YAML 1.1, to which 1e-3 is text, as it has no point. To YAML 1.2 it is a number.
_YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str) -> Any:
    """The value of a text in YAML.

    Raises:
        ValueError: It is none; says why in one line.
    """
    try:
        # Safe: the loader makes plain values alone.
        return yaml.load(text, _YamlLoader)
    except Exception as error:
        # Beside its own errors PyYAML lets through whatever making a date or a number raises.
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from None


def read_yaml(path: str | Path, kind: str) -> dict[str, Any]:
    """The values by name of a YAML file; of an empty one none.

    Raises:
        InputError: No such file, a damaged one, or no values by name; ``kind`` says what was
            expected.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected a {kind}") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read, expected a {kind} in YAML: {reason}") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds a {type(content).__name__}, expected a {kind}: options by name"
        )
    return content


def read_npy(path: str | Path, kind: str) -> np.ndarray:
    """The array of a ``.npy`` file; nothing is ever unpickled.

    Raises:
        InputError: No such file, or a damaged one; ``kind`` says what was expected.
    """
    content = _read_numpy(Path(path), kind)
    if not isinstance(content, np.ndarray):
        raise InputError(f"{path} is not a readable {kind}: it holds several arrays")
    return content


def read_npz(path: str | Path, kind: str, mapped: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` file by name; nothing is ever unpickled.

    Args:
        path: The file.
        kind: What was expected, for errors.
        mapped: Arrays to leave in the file and map into memory, read-only: their values are read
            when they are used, and damage to them goes unnoticed.

    Raises:
        InputError: No such file, a damaged one, or a compressed array that is to be mapped.
    """
    content = _read_numpy(Path(path), kind, mapped)
    if isinstance(content, np.ndarray):
        raise InputError(f"{path} is not a readable {kind}: it holds one array without a name")
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


def _map_member(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of an archive, mapped read-only; any error tells what is wrong with it."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name!r} is compressed, and only plain arrays can be mapped")
    # Opening it checks what zipfile checks: that its local header is one, and not encrypted.
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"{name!r} has array format {version}, expected (1, 0) or (2, 0)")
        start = stream.tell()
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject:
        raise ValueError(f"{name!r} is pickled")
    if start + size != info.file_size:
        raise ValueError(f"{name!r} has {info.file_size - start} bytes, expected {size}")
    if not size:
        return np.empty(shape, dtype)
    with path.open("rb") as file:
        # The member follows its local header, whose name and extra field have lengths of their own.
        file.seek(info.header_offset + 26)
        lengths = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
        offset = info.header_offset + 30 + lengths + start
        return np.memmap(
            file, dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C"
        )


def _is_text(array: np.ndarray) -> bool:
    """Whether strings hold only characters (NumPy looks when one is taken out, and breaks)."""
    if array.dtype.kind != "U":
        return True
    codes = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    return not ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any()
