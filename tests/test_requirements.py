"""What setup.cfg asks for: ranges, and the constraints within them."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def requirements() -> list[Requirement]:
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    parts = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    lines = [line.strip() for part in parts for line in part.splitlines()]
    # %(test)s: an extra that includes another.
    return [Requirement(line) for line in lines if line and not line.startswith("%")]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda one: one.name)
def test_ranges_have_both_ends_and_hold_what_make_installs(requirement):
    assert {one.operator for one in requirement.specifier} == {">=", "<"}
    pinned = [
        Requirement(line)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    (version,) = [
        str(one.specifier).removeprefix("==") for one in pinned if one.name == requirement.name
    ]
    assert requirement.specifier.contains(version)
