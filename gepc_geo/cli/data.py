"""Flags that several commands share: which data, which part of it, and where to compute."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.choices import FORMATS
from gepc_geo.errors import InputError


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``DATA`` and the flags that say how to read it."""
    for decorate in (
        click.option(
            "--image-size",
            metavar="WIDTHxHEIGHT",
            callback=lambda context, parameter, value: _image_size(value),
            help="Pixels of the images, where the data does not say; makes pixels of shares of them.",
        ),
        click.option("--fps", type=float, help="Frames a second, where the data does not say."),
        click.option(
            "--normal",
            metavar="A,B,C",
            help="Classes that are normal, where the data carries class labels.",
        ),
        click.option("--split", help="Use the clips of this split only (train, test)."),
        click.option(
            "--skeleton",
            default="auto",
            show_default=True,
            help="Built-in skeleton or JSON file; auto: by the format.",
        ),
        click.option(
            "--format",
            "format_",
            type=click.Choice(["auto", *FORMATS]),
            default="auto",
            show_default=True,
            help="File format; auto: by the content.",
        ),
        click.argument("data", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--device``."""
    return click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
    )(command)


def _image_size(text: str | None) -> tuple[float, float] | None:
    """``"1920x1080"`` as numbers."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if match is None or not (int(match[1]) and int(match[2])):
        raise InputError(f"--image-size is {text!r}, expected WIDTHxHEIGHT as in 1920x1080")
    return float(match[1]), float(match[2])


def class_names(normal: str | None) -> list[str] | None:
    """``"a,b,c"`` as a list."""
    if normal is None:
        return None
    names = [name.strip() for name in normal.split(",") if name.strip()]
    if not names:
        raise InputError(f"--normal is {normal!r}, expected class names separated by commas")
    return names
