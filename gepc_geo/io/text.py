"""Reading text files with one-sentence errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError


def read_text(path: Path, kind: str) -> str:
    """The text of a file.

    Raises:
        InputError: No such file, or no text in it; ``kind`` says what was expected.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read, expected {kind}: {error}") from None


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
        content = json.loads(path.read_bytes()) if re.match(r"\s*[\[{]", head(path, 64)) else None
    except (OSError, ValueError, RecursionError):
        return set()
    outer = _first_object(content)
    return set(outer).union(*map(_first_object, outer.values()))


def _first_object(content: Any) -> dict[str, Any]:
    """An object, or the first thing in a list where it is one; else an empty one."""
    if isinstance(content, list) and content:
        content = content[0]
    return content if isinstance(content, dict) else {}


def head(path: Path, size: int = 4096) -> str:
    """The beginning of a file as text; empty where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(size).decode("utf-8", errors="replace")
    except OSError:
        return ""


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
        shown = repr(value)[:40]
        raise InputError(f"{path} has {name} {shown}, expected a whole number") from None
    return number
