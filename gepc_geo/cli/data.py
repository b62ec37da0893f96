"""Flags that several commands share: paths to read, the data and the device."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.choices import FORMATS
from gepc_geo.errors import InputError


class InputPath(click.Path):
    """A file or folder to read, which is checked before the command imports PyTorch.

    Args:
        note: What the message says of a path that does not exist. (default: nothing more)
    """

    def __init__(self, note: str = "") -> None:
        super().__init__(path_type=Path)
        self._note = note

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuses a path that does not exist or cannot be read."""
        # Ranks of torchrun refuse a path together, when they read it: one of them prints.
        if os.environ.get("WORLD_SIZE", "1") == "1":
            check_readable(Path(value), self._note)
        return super().convert(value, param, ctx)


def check_readable(path: Path, note: str) -> None:
    """Refuses a path that does not exist or cannot be read; the message of the first has a note."""
    try:
        os.stat(path)
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} does not exist{note and ': '}{note}") from None
    except OSError as error:
        raise InputError(f"could not read {path}: {error.strerror}") from None


#: What a message says of a ``RUN`` that does not exist.
RUN_MUST_BE = "RUN must be the folder of a run or its model.pt"
#: Adds ``RUN``.
run_argument = click.argument("run", type=InputPath(RUN_MUST_BE))


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``DATA`` and the flags for reading it."""
    for decorate in (
        click.option(
            "--image-size",
            metavar="WIDTHxHEIGHT",
            callback=lambda context, parameter, value: _image_size(value),
            help="Image size, for data without one; coordinates from 0 to 1 become pixels.",
        ),
        click.option("--fps", type=float, help="Frames per second, for data without a rate."),
        click.option(
            "--normal",
            metavar="A,B,C",
            help="Normal classes, for data with class labels.",
        ),
        click.option("--split", help="Use only the clips of this split (train, test)."),
        click.option(
            "--skeleton",
            default="auto",
            show_default=True,
            help="Built-in skeleton or JSON file; auto: from the format.",
        ),
        click.option(
            "--format",
            "format_",
            type=click.Choice(["auto", *FORMATS]),
            # The names would fill the help of every command.
            metavar="NAME",
            default="auto",
            show_default=True,
            help="File format (gepc-geo convert --help lists them); auto: from the content.",
        ),
        click.argument("data", type=InputPath()),
    ):
        command = decorate(command)
    return command


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--device``."""
    return click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
    )(command)


def check_one_kind_of_labels(labels: Path | None, normal: str | None) -> None:
    """Refuses ``--labels`` together with ``--normal``."""
    if labels is not None and normal is not None:
        raise InputError(
            "only one of --labels (of frames) and --normal (of clips) must be given, got "
            f"{labels} and {normal}"
        )


def _image_size(text: str | None) -> tuple[float, float] | None:
    """Parses ``"1920x1080"``."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if match is None or not (int(match[1]) and int(match[2])):
        raise InputError(f"--image-size must be WIDTHxHEIGHT as in 1920x1080, got {text!r}")
    return float(match[1]), float(match[2])


def class_names(normal: str | None) -> list[str] | None:
    """The class names in ``"a,b,c"``; ``None`` for ``None``.

    Raises:
        InputError: The text names no class.
    """
    if normal is None:
        return None
    names = [name.strip() for name in normal.split(",") if name.strip()]
    if not names:
        raise InputError(f"--normal must be class names separated by commas, got {normal!r}")
    return names
