"""Reading text files with one-sentence errors."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from reprlib import repr as short
from typing import Any

from gepc_geo.errors import InputError

# By their byte order marks; UTF-32's begin as UTF-16's do.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, kind: str) -> str:
    """The text of a file: UTF-8, or what its byte order mark says; line ends become ``\\n``.

    Raises:
        InputError: No such file, or no text in it; ``kind`` says what was expected.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read, expected {kind}: {error}") from None
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no text in {encoding.upper()} (byte {error.object[error.start]:#04x} at position "
            f"{error.start}), expected {kind} in UTF-8, or in UTF-16 with a byte order mark"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _encoding(content: bytes) -> str:
    """The encoding of a text by its first bytes."""
    known = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if known is not None:
        return known
    # Without a mark: the texts that are read here begin with characters of ASCII.
    if content[1:2] == b"\0" and content[:1] != b"\0":
        return "utf-16-le"
    if content[:1] == b"\0" and content[1:2] not in (b"", b"\0"):
        return "utf-16-be"
    return "utf-8"


def read_json(path: Path, kind: str) -> Any:
    """The content of a JSON file; raises as :func:`read_text`, and where it is no JSON."""
    return parse_json(read_text(path, kind), path, kind)


def parse_json(text: str, path: Path, kind: str) -> Any:
    """The content of a JSON file's text.

    Raises:
        InputError: It is no JSON; ``kind`` says what was expected.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON, expected {kind}: {error}") from None


def json_keys(path: Path) -> set[str]:
    """The names in a JSON file's object, or in the first of its list, and in the first of each list
    of these; none of anything else."""
    try:
        found = re.match(r"\s*[\[{]", head(path, 64))
        content = json.loads(read_text(path, "JSON")) if found else None
    except (ValueError, RecursionError):
        return set()
    outer = _first_object(content)
    return set(outer).union(*map(_first_object, outer.values()))


def _first_object(content: Any) -> dict[str, Any]:
    """An object, or the first thing in a list where it is one; else an empty one."""
    if isinstance(content, list) and content:
        content = content[0]
    return content if isinstance(content, dict) else {}


def head(path: Path, size: int = 4096) -> str:
    """The first characters of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as stream:
            # Characters of UTF-32 have four bytes.
            content = stream.read(4 * size)
    except OSError:
        return ""
    text = content.decode(_encoding(content), errors="replace")[:size]
    return text.replace("\r\n", "\n").replace("\r", "\n")


def whole_number(value: Any, path: Path, name: str) -> int:
    """A frame or person number: digits as text, or a number without a fraction.

    Raises:
        InputError: Anything else, or beyond 63 bits.
    """
    try:
        number = int(value)
        if isinstance(value, float) and number != value:
            raise ValueError
        if isinstance(value, bool) or not -(2**63) <= number < 2**63:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        # reprlib's: of lists in lists a file can hold more than fits the memory.
        raise InputError(f"{path} has {name} {short(value):.40}, expected a whole number") from None
    return number
