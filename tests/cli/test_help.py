"""Help comes without what it does not need, and says what the package knows."""

from __future__ import annotations

import json
import pkgutil
import re
import subprocess
import sys

from click.testing import CliRunner

from gepc_geo import export, io
from gepc_geo.bench import suites
from gepc_geo.cli import COMMANDS, choices, commands, main
from gepc_geo.evaluation import score_options
from gepc_geo.experiments import DIRECTIONS, PACKAGED, Coarse, Fine, Noise, Streams, methods_for
from gepc_geo.experiments.noise import SHARES
from gepc_geo.scoring import aggregation

HEAVY = ("torch", "torch_geometric", "sklearn", "scipy", "matplotlib", "plotly", "msgspec")
SCRIPT = f"""
import json, sys
from click.testing import CliRunner
from gepc_geo.cli import main

def imported():
    return [name for name in {HEAVY} if name in sys.modules]

found = {{}}
for name in (None, *main.commands):
    words = [] if name is None else [name]
    parsed = main if name is None else main.commands[name]
    several = getattr(parsed, "commands", ()) if name is not None else ()
    for more in ([], *([one] for one in several)):
        result = CliRunner().invoke(main, [*words, *more, "--help"])
        assert result.exit_code == 0 and result.output.startswith("Usage: "), result.output
        found[" ".join([*words, *more])] = imported()
print(json.dumps(found))
"""


def test_help_of_every_command_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert {"", "train", "experiment", "experiment coarse"} < set(found)
    assert set(COMMANDS) < set(found)
    assert found == {words: [] for words in found}


def test_paths_that_do_not_exist_are_refused_without_anything_heavy():
    paths = {
        "score": ["none", "none", "--out", "s.csv"],
        "train": ["none", "--out", "run"],
        "info": ["none"],
        "evaluate": [".", ".", "--labels", "none", "--out", "m.json"],
        "render": [".", "--scores", "none", "--out", "v.gif"],
        "merge": ["none", "--out", "s.csv"],
        "watch": ["none"],
    }
    code = f"""
import sys
from click.testing import CliRunner
from gepc_geo.cli import main

for name, words in {paths}.items():
    result = CliRunner().invoke(main, [name, *words])
    assert result.exit_code == 2, name
    assert result.output.startswith("Error: none does not exist"), result.output
    assert result.output.count("\\n") == 1, result.output
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_list_has_every_command():
    assert set(COMMANDS) == {module.name for module in pkgutil.iter_modules(commands.__path__)}
    text = CliRunner().invoke(main, ["--help"]).output
    for name, line in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", text, re.M), name
        assert main.commands[name].name == name
    assert "nonsense" not in main.commands
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_choices_are_what_the_package_knows():
    assert choices.FORMATS == io.FORMATS
    assert choices.WRITABLE == io.WRITABLE
    assert choices.LEVELS == score_options.LEVELS
    assert choices.PROTOCOLS == aggregation.PROTOCOLS
    assert choices.GRAPHS == export.FORMATS
    assert tuple(suites.SUITES) == choices.SUITES
    assert choices.DIRECTIONS == DIRECTIONS
    assert tuple(PACKAGED) == choices.PACKAGED
    assert choices.SHARES == SHARES


def test_methods_are_those_of_each_experiment():
    assert set(choices.METHODS) == {"coarse", "fine", "streams", "noise"}
    for protocol in (Coarse, Fine, Streams, Noise):
        known = methods_for(protocol.level, protocol.supervised).items()
        names = [name if 3 in method.dims else f"{name} (poses in 2D)" for name, method in known]
        assert list(choices.METHODS[protocol.name]) == names
