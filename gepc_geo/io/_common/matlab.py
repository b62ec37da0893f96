"""Reads numbers and text from MATLAB version 5 files, and checks every length.

``scipy.io.loadmat`` does not check type codes: one flipped bit of a file can end the process with a
segmentation fault (SciPy 1.17). The format is in "MAT-File Format", The MathWorks, chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError

# Type codes of elements: arrays, compressed elements, numbers, texts.
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_TEXTS = {1: "latin-1", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
# Classes of arrays of text and of numbers, and the flag of complex numbers.
_CHAR_CLASS, _NUMBER_CLASSES = 4, range(6, 16)
_COMPLEX = 0x0800
# Largest size of an array after decompression; in label files it is a few kilobytes.
_MAX_BYTES = 1 << 26


def read_matlab(path: Path, names: Collection[str], kind: str) -> dict[str, np.ndarray | str]:
    """Reads arrays and texts of a file, by name; arrays have the shape that they have in MATLAB.

    Args:
        path: The file.
        names: Variables to read. Others are skipped, and so are structs, cells and complex numbers.
        kind: The expected kind of file, for errors.

    Raises:
        InputError: The file cannot be read or is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"could not read {path} as {kind}: {error}") from None
    try:
        order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
        if order is None:
            raise ValueError("no MATLAB 5 header")
        found: dict[str, np.ndarray | str] = {}
        for code, data in _elements(content[128:], order):
            if code == _COMPRESSED:
                inner = _elements(_inflate(data), order)
                code, data = next(inner, (0, b""))
            if code != _MATRIX:
                raise ValueError(f"element of type {code}, not an array")
            name, value = _variable(data, order, names)
            if value is not None:
                found[name] = value
    except (ValueError, struct.error, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} must be {kind}, got an error: {reason}") from None
    return found


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type code and data of each element."""
    at = 0
    while at < len(content):
        code, size = struct.unpack_from(f"{order}II", content, at)
        if code >> 16:
            # A short element: the tag itself holds up to four bytes of data, and their number.
            code, size, start, end = code & 0xFFFF, code >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError(f"short element of {size} bytes")
        else:
            start = at + 8
            end = start + size
            # All but compressed elements are padded to a multiple of eight bytes.
            end += 0 if code == _COMPRESSED else -size % 8
        if start + size > len(content):
            raise ValueError(f"{start + size - len(content)} bytes are missing")
        yield code, content[start : start + size]
        at = end


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    content = stream.decompress(data, _MAX_BYTES)
    if stream.unconsumed_tail:
        raise ValueError(f"compressed array of more than {_MAX_BYTES} bytes")
    # The end mark is not checked: MATLAB leaves it out of some streams. A stream that was cut is
    # shorter than its tag says.
    return content


def _variable(
    data: bytes, order: str, names: Collection[str]
) -> tuple[str, np.ndarray | str | None]:
    """Name and value; ``None`` for one not in ``names``, or neither real numbers nor text."""
    parts = _elements(data, order)
    head = [content for _, (_, content) in zip(range(3), parts, strict=False)]
    if len(head) < 3 or len(head[0]) != 8 or len(head[1]) % 4:
        raise ValueError("array without flags, size and name")
    (flags,) = struct.unpack_from(f"{order}I", head[0])
    shape = struct.unpack(f"{order}{len(head[1]) // 4}i", head[1])
    name = head[2].decode("latin-1")
    kind = flags & 0xFF
    plain = kind == _CHAR_CLASS or (kind in _NUMBER_CLASSES and not flags & _COMPLEX)
    if name not in names or not plain:
        return name, None
    code, values = next(parts, (0, b""))
    if kind == _CHAR_CLASS:
        if code not in _TEXTS:
            raise ValueError(f"{name} is text of type {code}")
        coding = _TEXTS[code]
        if coding in ("utf-16", "utf-32"):
            coding += "-le" if order == "<" else "-be"
        return name, values.decode(coding)
    if code not in _NUMBERS:
        raise ValueError(f"{name} has numbers of type {code}")
    dtype = np.dtype(order + _NUMBERS[code])
    if min(shape, default=-1) < 0 or math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError(f"{name} has {len(values)} bytes for size {list(shape)}")
    return name, np.frombuffer(values, dtype).reshape(shape, order="F")
