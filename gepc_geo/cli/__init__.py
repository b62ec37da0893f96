"""The command line ``gepc-geo``: it parses flags, calls the package and prints.

Modules of ``commands`` import at the top only what their flags need. A command imports the rest
when it runs, so that help does not import PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click

from gepc_geo._version import __version__
from gepc_geo.cli.config_file import CONFIG
from gepc_geo.cli.log_file import LOG, log_scope
from gepc_geo.cli.refusal import Group

#: The commands by name, with the line of each in the list of commands.
COMMANDS = {
    "adapt": "Adapt a run to a new camera or to false alarms.",
    "bench": "Measure the speed of each part against alternatives.",
    "calibrate": "Choose an alarm threshold for a rate of false alarms.",
    "convert": "Convert poses to another format.",
    "demo": "Simulate, train, score, evaluate and report.",
    "evaluate": "Measure a run on labelled poses.",
    "experiment": "Compare methods by a protocol of the paper.",
    "export": "Write a run as one ONNX or PyTorch graph.",
    "info": "Describe poses or a run.",
    "merge": "Join the parts of score --shard.",
    "render": "Draw a video of skeletons coloured by score.",
    "report": "Write a page that explains the scores of poses.",
    "score": "Score poses with a run.",
    "train": "Train a detector on normal poses.",
    "watch": "Watch a stream of frames and write alerts.",
}


class _Commands(Mapping[str, click.Command]):
    """The commands by name; looking a command up imports its module."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"{__name__}.commands.{name}"), name)
        _add_common_flags(command)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _add_common_flags(command: click.Command) -> None:
    """Adds ``--config`` and ``--log`` to a command that does not have them."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            _add_common_flags(part)
        return
    names = {name for parameter in command.params for name in parameter.opts}
    command.params += [flag for flag in (CONFIG, LOG) if flag.opts[0] not in names]


class _Main(Group):
    def main(self, *args: Any, **more: Any) -> Any:
        # The log also gets the sentence of a refusal.
        with log_scope():
            return super().main(*args, **more)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Main,
    commands=_Commands(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="gepc-geo")
def main() -> None:
    """Find abnormal human behaviour in tracked poses."""
