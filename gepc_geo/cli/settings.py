"""Every option of a detector as a flag, made from :class:`~gepc_geo.options.Options` itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.options.metadata import default_of, written_name
from gepc_geo.options.presets import preset_changes
from gepc_geo.utils.files import parse_yaml, read_yaml

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks


class ListOf(click.ParamType):
    """Values separated by commas.

    Args:
        kind: The type of each.
    """

    name = "list"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return [self.kind(one.strip()) for one in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of {self.kind.__name__}", param, ctx)


class CountOr(click.ParamType):
    """A whole number, or a word that stands for none (see :func:`resolve`).

    Args:
        word: The word.
    """

    name = "integer"

    def __init__(self, word: str) -> None:
        self.word = word

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return value if value == self.word else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor {self.word}", param, ctx)


def setting_options(**base: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A flag for each option; flags that are not given are ``None``.

    Args:
        base: The command's own defaults where they differ, for the help.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(fields(Options)):
            command = _setting(option, base)(command)
        return command

    return add


def _setting(option: Field, base: dict[str, Any]) -> Callable[[Callable[..., Any]], Any]:
    default, meta = default_of(option), option.metadata
    flag = "--" + written_name(option).replace("_", "-")
    text = f"{meta['help']}  [default: {_show(base.get(option.name, default), meta['none'])}]"
    kind: Any
    if isinstance(default, bool):
        flag, kind = f"{flag}/--no-{flag[2:]}", None
    elif isinstance(default, list):
        kind = ListOf(type(default[0]))
    elif meta["choices"]:
        kind = click.Choice(meta["choices"])
    elif meta["none"]:
        kind = CountOr(meta["none"])
    else:
        kind = int if default is None else type(default)
    return click.option(flag, option.name, type=kind, default=None, help=text)


def _show(default: Any, none: str | None) -> str:
    if isinstance(default, list):
        return ",".join(map(str, default))
    return (
        {None: none or "off", True: "yes", False: "no"}.get(default, str(default))
        if (default is None or isinstance(default, bool))
        else str(default)
    )


def assignments(flag: str, texts: Sequence[str]) -> dict[str, Any]:
    """Values by name of texts ``NAME=VALUE``, the values in YAML.

    Args:
        flag: Whose texts they are, for messages.
        texts: Each of them.

    Raises:
        InputError: One without a sign or a value.
    """
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise InputError(f"{flag} is {text!r}, expected NAME=VALUE")
        try:
            values[name] = parse_yaml(value)
        except ValueError:
            raise InputError(f"{flag} is {text!r}, expected a value in YAML") from None
        if values[name] is None:
            raise InputError(
                f"{flag} is {text!r}, expected a value (null is for a file of options, --config)"
            )
    return values


def resolve(
    flags: dict[str, Any],
    config: Path | None,
    preset: str,
    base: dict[str, Any] | None = None,
    tracks: PoseTracks | None = None,
) -> Options:
    """Defaults (or ``base``), then preset, then file, then flags.

    Args:
        flags: Option values by name; ``None`` means not given, which an option's own word for it
            (``converge`` of ``budget``) is not.
        config: A YAML file of options (or of a run: its ``options`` section).
        preset: See :func:`gepc_geo.options.presets.preset_changes`.
        base: Values in place of the defaults: the demo's, or those a resumed run began with.
        tracks: The poses, once they are read: a preset may depend on them, what is given does not.

    Raises:
        InputError: A value that is not allowed, or lengths of windows for whole clips.
    """
    given = {} if config is None else Options.read(_file_options(config), str(config))
    words = {option.name: option.metadata["none"] for option in fields(Options)}
    given |= {
        name: None if value == words.get(name) else value
        for name, value in flags.items()
        if value is not None
    }
    changes = preset_changes(preset, None if "scale" in given else tracks)
    values = dict(base or {}) | changes | given
    options = Options(**Options.read(values, "the command line"))
    options.check()
    if flags.get("lengths") is not None and options.frames is not None:
        raise InputError(
            f"lengths is {', '.join(options.lengths)}, expected none with frames {options.frames}, as a "
            "whole clip is one window of those"
        )
    return options


def _file_options(path: Path) -> Any:
    """The options in a configuration file: its ``options`` section, or a flat file of options."""
    content = read_yaml(path, "configuration")
    return content.get("options", content)
