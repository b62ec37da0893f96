"""``--config FILE``: values of flags from a YAML file."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.data import InputPath
from gepc_geo.errors import InputError

#: The flag, without a value for the command.
CONFIG = click.Option(
    ["--config"],
    type=InputPath(),
    is_eager=True,
    expose_value=False,
    callback=lambda context, parameter, path: None if path is None else _apply(context, path),
    help="YAML file of flags by name (smooth: 3); flags of the command line override it.",
)


def _apply(context: click.Context, path: Path) -> None:
    """Makes the values of a file the defaults of the command's flags and arguments.

    Raises:
        InputError: The file cannot be read, or has a name or value that the command does not take.
    """
    from gepc_geo.utils.files import read_yaml

    parameters = {
        name: one
        for one in context.command.params
        for name in _names(one)
        if one.expose_value and name not in ("help", "log", "config")
    }
    defaults = {}
    for written, value in read_yaml(path, "file of flags").items():
        name = str(written).replace("_", "-")
        if name not in parameters:
            near = get_close_matches(name, parameters, 1)
            raise InputError(
                f"{path} must have flags of {context.command_path}, got {written!r}"
                + (f": did you mean {near[0]}?" if near else "")
            )
        if value is not None:
            parameter = parameters[name]
            _check(context, parameter, value, f"{written} of {path}")
            defaults[str(parameter.name)] = value
    context.default_map = {**(context.default_map or {}), **defaults}


def _names(parameter: click.Parameter) -> list[str]:
    """The names of a flag without dashes, or the name of an argument."""
    if isinstance(parameter, click.Argument):
        return [str(parameter.name).replace("_", "-")]
    return [name.lstrip("-") for name in parameter.opts]


def _check(context: click.Context, parameter: click.Parameter, value: Any, name: str) -> None:
    try:
        parameter.type_cast_value(context, value)
    except click.BadParameter as error:
        sentence = " ".join(error.message.split()).removesuffix(".")
        raise InputError(f"{name} must be a value of the flag, got an error: {sentence}") from None
