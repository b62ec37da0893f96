"""A flag for each option of a detector, from the fields of :class:`~gepc_geo.options.Options`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gepc_geo.errors import InputError
from gepc_geo.options import REMOVED, Options
from gepc_geo.options.metadata import default_of, not_chosen, written_name
from gepc_geo.options.presets import preset_changes
from gepc_geo.options.reading import read_options
from gepc_geo.utils.files import parse_yaml, read_yaml

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks

    _ParamType = click.ParamType[Any]
    _Choice = click.Choice[Any]
else:
    # These are not generic in click 8.1.
    _ParamType = click.ParamType
    _Choice = click.Choice


class ListOf(_ParamType):
    """Values separated by commas.

    Args:
        kind: The type of each value.
    """

    name = "list"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parses a text; a list stays as it is."""
        if not isinstance(value, str):
            return value
        try:
            return [self.kind(text.strip()) for text in value.split(",")]
        except ValueError:
            self.fail(f"must be a list of {self.kind.__name__}, got {value!r}", param, ctx)


class OneOf(_Choice):
    """The choices of an option; a former one is refused with what to use instead.

    Args:
        option: The dataclass field of the option.
    """

    def __init__(self, option: Field[Any]) -> None:
        super().__init__(option.metadata["choices"])
        self.option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Checks a text."""
        if value in self.option.metadata["removed"]:
            self.fail(f"must be {not_chosen(self.option, value)}", param, ctx)
        return super().convert(value, param, ctx)


class CountOr(_ParamType):
    """A whole number, or a word for ``None`` (see :func:`resolve`).

    Args:
        word: The word.
    """

    name = "integer"

    def __init__(self, word: str) -> None:
        self.word = word

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parses a text."""
        try:
            return value if value == self.word else int(value)
        except ValueError:
            self.fail(f"must be a whole number or {self.word}, got {value!r}", param, ctx)


def setting_options(**base: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds a flag for each option; a flag that is not given is ``None``.

    Args:
        base: Defaults of the command that differ from those of the options, for the help.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(fields(Options)):
            command = _setting(option, base)(command)
        for name, (_, instead) in REMOVED.items():
            command = _removed(name, instead)(command)
        return command

    return add


def _removed(name: str, instead: str) -> Callable[[Callable[..., Any]], Any]:
    """Refuses a former flag and says what to use instead."""
    flag = "--" + name.replace("_", "-")

    def refuse(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise InputError(f"{flag} must not be given: {instead}")

    return click.option(flag, hidden=True, expose_value=False, callback=refuse)


def _setting(option: Field[Any], base: dict[str, Any]) -> Callable[[Callable[..., Any]], Any]:
    default, meta = default_of(option), option.metadata
    flag = "--" + written_name(option).replace("_", "-")
    text = f"{meta['help']}  [default: {_show(base.get(option.name, default), meta['none'])}]"
    kind: Any
    if isinstance(default, bool):
        flag, kind = f"{flag}/--no-{flag[2:]}", None
    elif isinstance(default, list):
        kind = ListOf(type(default[0]))
    elif meta["choices"]:
        kind = OneOf(option)
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
    """Parses texts ``NAME=VALUE``; values are YAML.

    Args:
        flag: The flag of the texts, for messages.
        texts: The texts.

    Returns:
        Values by name.

    Raises:
        InputError: A text is not ``NAME=VALUE``.
    """
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise InputError(f"{flag} must be NAME=VALUE, got {text!r}")
        try:
            values[name] = parse_yaml(value)
        except ValueError:
            raise InputError(f"{flag} must have a value in YAML, got {text!r}") from None
        if values[name] is None:
            raise InputError(f"{flag} must have a value (only --config takes null), got {text!r}")
    return values


def resolve(
    flags: dict[str, Any],
    config: Path | None,
    preset: str,
    base: dict[str, Any] | None = None,
    tracks: PoseTracks | None = None,
) -> Options:
    """Options from defaults (or ``base``), preset, file and flags; later sources override.

    Args:
        flags: Option values by name; ``None``: the flag is not given. An option's word for ``None``
            (``converge`` of ``budget``) sets the option to ``None``.
        config: A YAML file of options, or a run's ``config.yaml``.
        preset: See :func:`gepc_geo.options.presets.preset_changes`.
        base: Values that replace the defaults: of the demo, or of a run to resume.
            (default: :obj:`None`)
        tracks: The poses, as a preset may depend on them. (default: :obj:`None`)

    Raises:
        InputError: A value is not allowed, or lengths of windows are given for whole clips.
    """
    given = {} if config is None else read_options(_file_options(config), str(config))
    words = {option.name: option.metadata["none"] for option in fields(Options)}
    given |= {
        name: None if value == words.get(name) else value
        for name, value in flags.items()
        if value is not None
    }
    changes = preset_changes(preset, None if "scale" in given else tracks)
    values = dict(base or {}) | changes | given
    options = Options(**read_options(values, "the command line"))
    options.check()
    if flags.get("lengths") is not None and options.frames is not None:
        raise InputError(
            f"lengths must not be given with frames {options.frames} (a whole clip is one window), "
            f"got {', '.join(options.lengths)}"
        )
    return options


def _file_options(path: Path) -> Any:
    """The options in a configuration file: its section ``options``, or all of it."""
    content = read_yaml(path, "configuration")
    return content.get("options", content)
