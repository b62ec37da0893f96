"""Reads pickles of numbers, text, plain containers and NumPy arrays without running their code.

A pickle is a program that names functions and calls them. This reader accepts only the names in
pickles of NumPy arrays and plain containers. It does not call NumPy's functions for them, which
trust sizes, types and flags in the file, but the functions below, which check these.

``pickle.Unpickler`` with a ``find_class`` of its own would check names alone: a file of 9 bytes can
claim a memo that takes 16 GB, and keys are hashed without a check.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gepc_geo.errors import InputError

_TYPES = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[SU]\d{1,4})")


class _Refused(Exception):
    """What a pickle has in place of arrays and plain containers."""


class _Type:
    """Stands for ``numpy.dtype``, with types of numbers, truth values and text, not of objects."""

    def __init__(self, name: Any, *rest: Any) -> None:
        if not isinstance(name, str) or not _TYPES.fullmatch(name):
            raise _Refused("an array of something other than numbers and text")
        self.dtype = np.dtype(name)

    def restore(self, state: Any) -> None:
        # NumPy's state: version, byte order, and fields that these types do not use.
        if not (isinstance(state, tuple) and len(state) > 2 and state[1] in ("<", ">", "|", "=")):
            raise _Refused("an array of an unknown type")
        self.dtype = self.dtype.newbyteorder(state[1])


class Array:
    """Stands for ``numpy.ndarray``; ``value`` is the array, once its state has been read."""

    def __init__(self, value: np.ndarray | None = None) -> None:
        self.value = value

    def restore(self, state: Any) -> None:
        """Sets ``value`` from NumPy's state: version, shape, type, column order, bytes."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise _Refused("an array of an unknown form")
        _, shape, dtype, by_columns, content = state
        self.value = _array(content, dtype, shape, "F" if by_columns else "C")


class _Class:
    """Stands for the class ``numpy.ndarray`` as an argument of a call."""


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(content, (bytes, bytearray)) or not isinstance(dtype, _Type):
        raise _Refused("an array of an unknown form")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise _Refused("an array whose shape is not a tuple of sizes")
    if order not in ("C", "F") or len(shape) > 32:
        raise _Refused("an array of an unknown form")
    if math.prod(shape) * dtype.dtype.itemsize != len(content):
        raise _Refused(f"an array of shape {shape!r:.40} in {len(content)} bytes")
    return np.frombuffer(bytes(content), dtype.dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    return Array()


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> Array:
    return Array(_array(content, dtype, shape, order))


def _scalar(dtype: Any, content: Any) -> Any:
    return _array(content, dtype, (), "C").item()


def _encode(text: Any, encoding: Any) -> bytes:
    # Bytes, in pickles of protocols before 3.
    if not isinstance(text, str) or encoding != "latin1":
        raise _Refused("bytes of an unknown form")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    # Empty bytes, in pickles of protocols before 3.
    return b""


def _set(items: Any) -> set[Any]:
    # Sets, in pickles of protocols before 4.
    if not isinstance(items, list):
        raise _Refused("a set of an unknown form")
    _check_keys(items)
    return set(items)


def _check_keys(keys: list[Any]) -> None:
    # A hash visits all nested parts. In a short file these can be so many that it never ends, or
    # so deep that the stack overflows.
    for key in keys:
        if isinstance(key, tuple) and any(isinstance(part, tuple) for part in key):
            raise _Refused("a key of nested tuples")


_NAMES: dict[str, Any] = {"numpy.ndarray": _Class, "numpy.dtype": _Type, "_codecs.encode": _encode}
# NumPy 1 and NumPy 2 have different names of the same module.
for _core in ("numpy.core", "numpy._core"):
    _NAMES |= {
        f"{_core}.multiarray._reconstruct": _reconstruct,
        f"{_core}.multiarray.scalar": _scalar,
        f"{_core}.numeric._frombuffer": _from_buffer,
    }
# So have Python 2 and Python 3.
for _builtins in ("__builtin__", "builtins"):
    _NAMES |= {f"{_builtins}.bytes": _no_bytes, f"{_builtins}.set": _set}
# The functions that a pickle may call.
_CALLED = (_Type, _reconstruct, _scalar, _from_buffer, _encode, _no_bytes, _set)


class _Unpickler(pickle._Unpickler):
    """The pure-Python unpickler of the standard library; it calls only functions in ``_CALLED``."""

    # The method of each operation, by the code of the operation.
    dispatch: ClassVar[dict[int, Callable[[Any], None]]]
    stack: list[Any]
    read: Callable[[int], bytes]

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _NAMES:
            raise _Refused(f"the name {full!r:.60}")
        return _NAMES[full]

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is one for one in _CALLED) or not isinstance(arguments, tuple):
            raise _Refused("a call")
        self.stack[-1] = function(*arguments)

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Type, Array)):
            raise _Refused("an object")
        self.stack[-1].restore(state)

    def load_bytearray8(self) -> None:
        # Python's method allocates as many bytes as the file claims to hold.
        self.stack.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    def refuse(self) -> None:
        raise _Refused("an object")


# The places on the stack of the keys that an operation hashes.
_KEYS = {
    pickle.SETITEM: slice(-2, -1),
    pickle.SETITEMS: slice(None, None, 2),
    pickle.DICT: slice(None, None, 2),
    pickle.ADDITEMS: slice(None),
    pickle.FROZENSET: slice(None),
}


def _with_checked_keys(code: int, keys: slice) -> Callable[[Any], None]:
    load = pickle._Unpickler.dispatch[code]

    def checked(unpickler: Any) -> None:
        _check_keys(unpickler.stack[keys])
        load(unpickler)

    return checked


_Unpickler.dispatch = {
    **pickle._Unpickler.dispatch,
    pickle.REDUCE[0]: _Unpickler.load_reduce,
    pickle.BUILD[0]: _Unpickler.load_build,
    pickle.BYTEARRAY8[0]: _Unpickler.load_bytearray8,
    **{code[0]: _with_checked_keys(code[0], keys) for code, keys in _KEYS.items()},
    **dict.fromkeys(
        [
            code[0]
            for code in (
                *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
                *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),
            )
        ],
        _Unpickler.refuse,
    ),
}


def read_pickle(path: Path, kind: str) -> Any:
    """Reads the pickle in a file; arrays become :class:`Array`.

    Args:
        path: The file.
        kind: The expected kind of file, for errors.

    Raises:
        InputError: The file cannot be read, is damaged, or holds anything but numbers, text, lists,
            tuples, dicts, sets and arrays.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"could not read {path} as {kind}: {error}") from None
    return parse_pickle(content, path, kind)


def parse_pickle(content: bytes, path: Path, kind: str) -> Any:
    """Reads a pickle in bytes of the file ``path``; otherwise as :func:`read_pickle`."""
    try:
        return _Unpickler(io.BytesIO(content)).load()
    except _Refused as error:
        raise InputError(
            f"{path} must be {kind} of nothing but arrays and plain containers, got {error}"
        ) from None
    except Exception as error:
        # A damaged pickle can raise any error in the unpickler; few have a message about it.
        reason = str(error) if isinstance(error, pickle.UnpicklingError) else ""
        raise InputError(
            f"{path} must be {kind}, got a damaged pickle: {reason or type(error).__name__}"
        ) from None
