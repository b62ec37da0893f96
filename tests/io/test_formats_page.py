"""The page of formats is complete and true."""

from __future__ import annotations

import json
import re
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from pages import parse

from gepc_geo.io import FORMATS, WRITABLE, read
from gepc_geo.poses.skeleton import SKELETONS, Skeleton

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
TABLES = PAGE.split("\n## Where clips, people")
ROWS = re.findall(r"^\| `([a-z0-9-]+)`( \*)? \|[^|]*\|([^|]*)\|", TABLES[0], re.MULTILINE)
SOURCES = re.findall(r"^\| (`[a-z0-9-]+`(?:, `[a-z0-9-]+`)*) \|", TABLES[1], re.MULTILINE)


def test_every_format_is_in_the_table():
    assert sorted(name for name, _, _ in ROWS) == sorted(FORMATS)
    assert sorted(name for name, star, _ in ROWS if star) == sorted(WRITABLE)


def test_every_format_says_where_its_values_come_from():
    named = [name for cell in SOURCES for name in re.findall(r"[a-z0-9-]+", cell)]
    assert sorted(named) == sorted(FORMATS)


def test_the_page_names_all_built_in_skeletons():
    named = {name for _, _, joints in ROWS for name in re.findall(r"`(\w+)`", joints)}
    assert named == set(SKELETONS)


def test_the_commands_on_the_page_parse():
    lines = re.findall(r"^gepc-geo (\w+) (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 9
    for name, rest in lines:
        assert parse(name, *rest.split())


def test_the_layouts_on_the_page_are_read(tmp_path):
    layout = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    (person,) = layout["frames"][0]["pose_landmarks"]
    person *= 33
    (tmp_path / "gate.json").write_text(json.dumps(layout))
    tracks = read(tmp_path / "gate.json")
    np.testing.assert_allclose(tracks.keypoints[0, 0], [0.51 * 1920, 0.22 * 1080], rtol=1e-6)
    own = json.loads(re.search(r'`(\{"name": "mouse".*?\})`', PAGE)[1])
    assert Skeleton.from_dict(own).num_joints == 3


BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
assert len(BLOCKS) == 3  # each of them runs below
# What the other tools' packages give, as their documentation describes it.
DETECTION = {
    "name": "person",
    "class": 0,
    "confidence": 0.9,
    "box": {"x1": 0.0, "y1": 0.0, "x2": 40.0, "y2": 90.0},
    "track_id": 7,
    "keypoints": {
        "x": [float(joint + 1) for joint in range(17)],
        "y": [float(2 * joint + 1) for joint in range(17)],
        "visible": [0.8] * 17,
    },
}


class YOLO:
    """Two frames with one person each."""

    def __init__(self, _: str) -> None: ...

    def track(self, _: str, stream: bool) -> list[SimpleNamespace]:
        assert stream
        one = SimpleNamespace(
            summary=lambda: [DETECTION], to_json=lambda: json.dumps([DETECTION], indent=2)
        )
        return [one, one]


def test_code_for_ultralytics_writes_files_that_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ultralytics", SimpleNamespace(YOLO=YOLO))
    whole, frames = (block for block in BLOCKS if "ultralytics" in block)
    for block, names in ((whole, ["gate.json"]), (frames, ["gate_0.json", "gate_1.json"])):
        exec(compile(block, "formats.md", "exec"), {})
        assert sorted(path.name for path in tmp_path.iterdir()) == names
        tracks = read(tmp_path)
        assert tracks.track.tolist() == [7, 7] and tracks.frame.tolist() == [0, 1]
        assert tracks.keypoints[1, 16].tolist() == [17, 33]
        for name in names:
            (tmp_path / name).unlink()


@dataclass
class Landmark:
    x: float
    y: float
    z: float = 0.0
    visibility: float = 0.7
    presence: float = 0.9


def test_code_for_mediapipe_writes_a_file_that_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marks = [Landmark(0.25 + joint / 100, 0.5) for joint in range(33)]
    times = []

    def detect(image: SimpleNamespace, milliseconds: int) -> SimpleNamespace:
        assert image.image_format == "SRGB"
        times.append(milliseconds)
        return SimpleNamespace(pose_landmarks=[marks] * image.data)

    landmarker = nullcontext(SimpleNamespace(detect_for_video=detect))
    vision = SimpleNamespace(
        PoseLandmarkerOptions=lambda **options: options,
        RunningMode=SimpleNamespace(VIDEO="VIDEO"),
        PoseLandmarker=SimpleNamespace(create_from_options=lambda options: landmarker),
    )
    mediapipe = SimpleNamespace(
        tasks=SimpleNamespace(vision=vision, BaseOptions=lambda **options: options),
        Image=SimpleNamespace,
        ImageFormat=SimpleNamespace(SRGB="SRGB"),
    )
    monkeypatch.setitem(sys.modules, "mediapipe", mediapipe)
    (block,) = (block for block in BLOCKS if "mediapipe" in block)
    # Nobody in the second of three frames: images here are numbers of people.
    exec(compile(block, "formats.md", "exec"), {"frames": [1, 0, 1]})
    tracks = read(tmp_path / "gate.json")
    assert times == [0, 40, 80] and tracks.frame.tolist() == [0, 2]
    np.testing.assert_allclose(tracks.keypoints[0, 3], [0.28 * 1920, 540], rtol=1e-6)
    assert tracks.fps[0] == 25
