"""Bad input ends a command with one sentence and exit code 2; of doubtful input a line warns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from gepc_geo.errors import InputError, InputWarning


class Refused(click.ClickException):
    """How bad input is shown."""

    exit_code = 2


class _Refuses(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _warnings_in_a_line():
                return super().invoke(ctx)
        except InputError as error:
            raise Refused(str(error)) from None


class Command(_Refuses):
    """A command by itself: ``@click.command(cls=Command)``, as the examples are."""


class Group(_Refuses, click.Group):
    """A command with commands of its own."""


# -- inner -----------------------------------------------------------------------------------------


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Shows warnings about the input without their place in the code, as errors are shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, InputWarning):
                click.echo(f"warning: {message}", err=True)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        yield
