"""Options by name, from a file or the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.options import REMOVED, Options
from gepc_geo.options.metadata import check_value, written_name


def read_options(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Checks options from a file or the command line; returns them by their Python names.

    Args:
        values: Options by their names in files (:meth:`Options.written`) or in Python.
        origin: Name of the file or command, for messages.

    Raises:
        InputError: An option is unknown or repeated, or a value is not allowed.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{origin} must have options by name, got a {type(values).__name__}")
    by_written_name = {written_name(field): field for field in fields(Options)}
    by_name = by_written_name | {field.name: field for field in fields(Options)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in REMOVED:
            in_effect, instead = REMOVED[name]
            if value == in_effect:
                continue
            raise InputError(
                f"{origin} must not have option {name}: {instead}, got {value!r}; "
                "train again without it"
            )
        if name not in by_name:
            raise InputError(
                f"{origin} must have only the options {', '.join(by_written_name)}, got {name!r}"
            )
        field = by_name[name]
        written = written_name(field)
        if field.name in found:
            raise InputError(f"{origin} must have {written} or {field.name}, got both")
        try:
            check_value(field, value, written)
        except InputError as error:
            raise InputError(f"{origin}: {error}") from None
        found[field.name] = value
    return found
