"""``gepc-geo``: parse, call, print. The work is done by the package.

Modules of ``commands`` import at the top what their flags need, and inside of a command what its work
needs: help comes without PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

import click

from gepc_geo._version import __version__
from gepc_geo.cli.refusal import Group

#: The commands by name, with the line that the list of commands shows of each.
COMMANDS = {
    "adapt": "Adapt a run to a new camera or to alarms that were false.",
    "bench": "Measure speed beside what each part replaces.",
    "calibrate": "Choose an alarm threshold by its rate of false alarms.",
    "convert": "Convert poses to the native format, or to another.",
    "demo": "Simulate, train, score, evaluate and report.",
    "evaluate": "Measure a run on labelled poses.",
    "experiment": "Run a protocol of the paper beside its competitors.",
    "export": "Write a run as one ONNX or PyTorch graph.",
    "info": "Tell what is in poses or in a run.",
    "merge": "Join the parts that score --shard wrote.",
    "render": "Film skeletons coloured by score.",
    "report": "Write a page that shows what a run finds in poses.",
    "score": "Score poses with a run.",
    "train": "Train a detector on normal poses.",
    "watch": "Watch a stream of frames, write alerts.",
}


class _Commands(Mapping[str, click.Command]):
    """The commands by name; a command's module is imported when the command is asked for."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        return getattr(import_module(f"{__name__}.commands.{name}"), name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Main(Group):
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
