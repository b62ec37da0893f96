"""Text and JSON files, and values in them, with one-sentence errors."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from reprlib import repr as short
from typing import Any

from gepc_geo.errors import InputError

# Encodings by byte order mark. UTF-32 precedes UTF-16, as their marks begin alike.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, kind: str) -> str:
    r"""Reads text in UTF-8, or in the encoding of its byte order mark; line ends become ``\n``.

    Args:
        path: The file.
        kind: The kind of file, for errors.

    Raises:
        InputError: A file that cannot be read, or no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"could not read {path} as {kind}: {error}") from None
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} must be {kind} in UTF-8, or in UTF-16 with a byte order mark, got byte "
            f"{error.object[error.start]:#04x} at position {error.start}, which is not "
            f"{encoding.upper()}"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _encoding(content: bytes) -> str:
    """The encoding of a text by its first bytes."""
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if marked is not None:
        return marked
    # Without a mark: all texts that are read here begin with an ASCII character.
    if content[1:2] == b"\0" and content[:1] != b"\0":
        return "utf-16-le"
    if content[:1] == b"\0" and content[1:2] not in (b"", b"\0"):
        return "utf-16-be"
    return "utf-8"


def read_json(path: Path, kind: str) -> Any:
    """Reads a JSON file; arguments and errors as :func:`read_text` and :func:`parse_json`."""
    return parse_json(read_text(path, kind), path, kind)


def parse_json(text: str, path: Path, kind: str) -> Any:
    """Parses JSON.

    Args:
        text: The JSON.
        path: The file, for errors.
        kind: The kind of file, for errors.

    Raises:
        InputError: Invalid JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} must be {kind}, got invalid JSON: {error}") from None


def json_keys(path: Path) -> set[str]:
    """The names in a JSON file's object and in the first of each of its lists.

    Of a list its first object counts; other content has no names.
    """
    try:
        found = re.match(r"\s*[\[{]", head(path, 64))
        content = json.loads(read_text(path, "JSON")) if found else None
    except (ValueError, RecursionError):
        return set()
    outer = _first_object(content)
    return set(outer).union(*map(_first_object, outer.values()))


def _first_object(content: Any) -> dict[str, Any]:
    """An object, or the first object of a list; otherwise an empty one."""
    if isinstance(content, list) and content:
        content = content[0]
    return content if isinstance(content, dict) else {}


def head(path: Path, size: int = 4096) -> str:
    """The first characters of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            # A character of UTF-32 has four bytes.
            content = stream.read(4 * size)
    except OSError:
        return ""
    text = content.decode(_encoding(content), errors="replace")[:size]
    return text.replace("\r\n", "\n").replace("\r", "\n")


def whole_number(value: Any, path: Path, name: str) -> int:
    """Converts a frame or person number: digits as text, or a number without a fraction.

    Args:
        value: The value.
        path: The file, for errors.
        name: Name of the value, for errors.

    Raises:
        InputError: Another value, or more than 63 bits.
    """
    try:
        number = int(value)
        if isinstance(value, float) and number != value:
            raise ValueError
        if isinstance(value, bool) or not -(2**63) <= number < 2**63:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        # reprlib shortens: nested lists of a small file can have a repr that exhausts memory.
        shown = f"{short(value):.40}"
        raise InputError(f"{path}: {name} must be a whole number, got {shown}") from None
    return number
