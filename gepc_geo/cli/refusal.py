"""Bad input ends a command with one sentence and exit code 2."""

from __future__ import annotations

from typing import Any

import click

from gepc_geo.errors import InputError


class Refused(click.ClickException):
    """How bad input is shown."""

    exit_code = 2


class _Refuses(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise Refused(str(error)) from None


class Command(_Refuses):
    """A command by itself: ``@click.command(cls=Command)``, as the examples are."""


class Group(_Refuses, click.Group):
    """A command with commands of its own."""
