"""The page of formats is complete and true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from gepc_geo.cli import main
from gepc_geo.io import FORMATS, WRITABLE, read
from gepc_geo.skeleton import SKELETONS, Skeleton

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z-]+)`( \*)? \|[^|]*\|([^|]*)\|", PAGE, re.MULTILINE)


def test_every_format_is_in_the_table():
    assert sorted(name for name, _, _ in ROWS) == sorted(FORMATS)
    assert sorted(name for name, star, _ in ROWS if star) == sorted(WRITABLE)


def test_the_joints_are_built_in_skeletons():
    named = {name for _, _, joints in ROWS for name in re.findall(r"`(\w+)`", joints)}
    assert named == set(SKELETONS)


def test_the_commands_parse():
    lines = re.findall(r"^gepc-geo (\w+) (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 9
    for name, rest in lines:
        main.commands[name].make_context(name, rest.split())


def test_the_layouts_are_read(tmp_path):
    layout = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    (person,) = layout["frames"][0]["pose_landmarks"]
    person *= 33
    (tmp_path / "gate.json").write_text(json.dumps(layout))
    tracks = read(tmp_path / "gate.json")
    np.testing.assert_allclose(tracks.keypoints[0, 0], [0.51 * 1920, 0.22 * 1080], rtol=1e-6)
    own = json.loads(re.search(r'`(\{"name": "mouse".*?\})`', PAGE)[1])
    assert Skeleton.from_dict(own).num_joints == 3
