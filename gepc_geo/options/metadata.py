"""Dataclass fields with help text and limits."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np

from gepc_geo.errors import InputError

_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    removed: Mapping[str, str] | None = None,
    low: float | None = None,
    high: float | None = None,
    none: str | None = None,
    written: str | None = None,
) -> Any:
    """Makes a dataclass field with help text and limits.

    Args:
        default: The default value; a list is copied.
        help: What the option does.
        choices: The allowed values. (default: ``None``, any)
        removed: Former choices, and what to use instead. (default: ``None``, none)
        low: The smallest allowed value. (default: ``None``, any)
        high: The largest allowed value. (default: ``None``, any)
        none: The word for ``None`` on the command line. (default: ``None``, no word)
        written: The name on the command line and in files. (default: ``None``, the field's name)
    """
    metadata = {"help": help, "choices": choices, "removed": removed or {}, "low": low}
    metadata |= {"high": high, "none": none, "written": written}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def written_name(option: Field[Any]) -> str:
    """The name of an option in files and, with dashes, on the command line."""
    return option.metadata["written"] or option.name


def default_of(option: Field[Any]) -> Any:
    """The default value of an option."""
    return option.default_factory() if option.default_factory is not MISSING else option.default


def check_given(
    owner: str, names: Sequence[str], values: Sequence[Any], given: Iterable[str]
) -> None:
    """Checks that all parameters of a class are given by name, and that it has them.

    Args:
        owner: Name of the class.
        names: Names of its parameters.
        values: Values without a name.
        given: Names of the other values.

    Raises:
        InputError: There is a value without a name, or the class has no such parameter.
    """
    if values:
        raise InputError(f"parameters of {owner} must have names, got {values[0]!r:.80}")
    for name in given:
        if name not in names:
            close = get_close_matches(name, names, 1)
            instead = f"did you mean {close[0]}?" if close else f"help({owner}) lists them"
            raise InputError(f"{owner} has no parameter {name}: {instead}")


def not_chosen(option: Field[Any], value: Any) -> str:
    """The choices of an option, a value that is none of them, and what replaces a former one."""
    instead = option.metadata["removed"].get(value)
    text = f"{' or '.join(option.metadata['choices'])}, got {value!r}"
    return f"{text}: {instead}" if instead else text


def check_value(option: Field[Any], value: Any, name: str) -> None:
    """Checks a value of an option.

    Args:
        option: The dataclass field of the option.
        value: The value.
        name: Name of the option in messages.

    Raises:
        InputError: The value has another type, is outside the limits or not among the choices.
    """
    default, meta = default_of(option), option.metadata
    if value is None and default is None:
        return
    if isinstance(default, list):
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{name} must be a list, got {value!r}")
        values, kind = list(value), type(default[0])
    else:
        values, kind = [value], int if default is None else type(default)
    # Numbers of NumPy are accepted; bool is a number in Python, but not here.
    accepted = {int: Integral, float: Real}.get(kind, kind)
    for entry in values:
        if option.name == "lengths" and isinstance(entry, Integral) and not isinstance(entry, bool):
            # A length in frames may be a number.
            continue
        if not isinstance(entry, accepted) or isinstance(entry, bool) != (kind is bool):
            shown = entry.item() if isinstance(entry, np.generic) else entry
            raise InputError(f"{name} must be {_KINDS[kind]}, got {shown!r}")
        if meta["choices"] and entry not in meta["choices"]:
            raise InputError(f"{name} must be {not_chosen(option, entry)}")
        # These comparisons refuse NaN.
        if meta["low"] is not None and not entry >= meta["low"]:
            raise InputError(f"{name} must be at least {meta['low']}, got {entry}")
        if meta["high"] is not None and not entry <= meta["high"]:
            raise InputError(f"{name} must be at most {meta['high']}, got {entry}")


def documented(docstring: str | None, options: type) -> str | None:
    """Replaces the entry ``**options`` of a docstring by an entry for each field.

    Args:
        docstring: A docstring with the entry ``**options:`` in its ``Args:``; ``None`` if Python
            strips docstrings.
        options: The dataclass with the fields.

    Returns:
        The new docstring; ``None`` for ``None``.
    """
    if docstring is None:
        return None
    before, line = docstring.split("        **options:", 1)
    _, after = line.split("\n", 1)
    entries = []
    for field in fields(options):
        meta, low, high = field.metadata, field.metadata["low"], field.metadata["high"]
        sentences = [meta["help"]]
        if meta["choices"]:
            sentences.append(f"One of {', '.join(meta['choices'])}.")
        elif low is not None:
            sentences.append(f"{low:g} or more." if high is None else f"From {low:g} to {high:g}.")
        sentences.append(f"(default: {default_of(field)!r})")
        entries.append(
            textwrap.fill(
                f"{field.name} ({field.type}): {' '.join(sentences)}",
                width=100,
                initial_indent=" " * 8,
                subsequent_indent=" " * 12,
            )
        )
    return before + "\n".join(entries) + "\n" + after
