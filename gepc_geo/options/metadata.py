"""Dataclass fields that know their help text and their limits."""

from __future__ import annotations

import textwrap
from dataclasses import MISSING, Field, field, fields
from numbers import Integral, Real
from typing import Any

from gepc_geo.errors import InputError

_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    none: str | None = None,
    written: str | None = None,
) -> Any:
    """A dataclass field with its help text and limits.

    Args:
        default: The default value; a list is copied.
        help: What the option does.
        choices: The allowed values.
        low: The least allowed value.
        high: The largest allowed value.
        none: The command line's word for ``None``.
        written: The option's name on the command line and in files, where it differs.
    """
    metadata = {"help": help, "choices": choices, "low": low, "high": high, "none": none}
    metadata["written"] = written
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def written_name(option: Field) -> str:
    """The name of an option's dataclass field in files and, with dashes, on the command line."""
    return option.metadata["written"] or option.name


def default_of(option: Field) -> Any:
    """The default value of an option's dataclass field."""
    return option.default_factory() if option.default_factory is not MISSING else option.default


def check_value(option: Field, value: Any, name: str) -> None:
    """Makes sure that an option may have a value.

    Args:
        option: The option's dataclass field.
        value: The value.
        name: What messages call the option.

    Raises:
        InputError: A value of another type, outside of the limits or not among the choices.
    """
    default, meta = default_of(option), option.metadata
    if value is None and default is None:
        return
    if isinstance(default, list):
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{name} is {value!r}, expected a list")
        values, kind = list(value), type(default[0])
    else:
        values, kind = [value], int if default is None else type(default)
    # NumPy's numbers are numbers too; to Python (and nobody else) so are true and false.
    accepted = {int: Integral, float: Real}.get(kind, kind)
    for one in values:
        if option.name == "lengths" and isinstance(one, Integral) and not isinstance(one, bool):
            # Frames may be numbers too.
            continue
        if not isinstance(one, accepted) or isinstance(one, bool) != (kind is bool):
            raise InputError(f"{name} is {one!r}, expected {_KINDS[kind]}")
        if meta["choices"] and one not in meta["choices"]:
            raise InputError(f"{name} is {one!r}, expected {' or '.join(meta['choices'])}")
        # Written so that NaN fails.
        if meta["low"] is not None and not one >= meta["low"]:
            raise InputError(f"{name} is {one}, expected at least {meta['low']}")
        if meta["high"] is not None and not one <= meta["high"]:
            raise InputError(f"{name} is {one}, expected at most {meta['high']}")


def documented(docstring: str | None, options: type) -> str | None:
    """A docstring whose ``**options`` entry is replaced by an entry for each field.

    Args:
        docstring: One with a line that begins with ``**options:`` among its ``Args:``; ``None`` where
            Python strips docstrings.
        options: The dataclass with the fields.
    """
    if docstring is None:
        return None
    before, line = docstring.split("        **options:", 1)
    _, after = line.split("\n", 1)
    entries = []
    for one in fields(options):
        meta, low, high = one.metadata, one.metadata["low"], one.metadata["high"]
        said = [meta["help"]]
        if meta["choices"]:
            said.append(f"One of {', '.join(meta['choices'])}.")
        elif low is not None:
            said.append(f"{low:g} or more." if high is None else f"From {low:g} to {high:g}.")
        said.append(f"(default: {default_of(one)!r})")
        entries.append(
            textwrap.fill(
                f"{one.name} ({one.type}): {' '.join(said)}",
                width=100,
                initial_indent=" " * 8,
                subsequent_indent=" " * 12,
            )
        )
    return before + "\n".join(entries) + "\n" + after
