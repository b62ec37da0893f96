"""From other tools' files to an open report, with the very commands of the page of formats."""

from __future__ import annotations

import json
import re
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gepc_geo.cli import main
from gepc_geo.io import write
from gepc_geo.poses.skeleton import coco17_to_coco18
from gepc_geo.poses.tracks import PoseTracks

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
BLOCKS = dict(
    re.findall(
        r"^(OpenPose|Ultralytics|AlphaPose)\b[^`]*```text\n[^`]*```\n\n```\n(.*?)```",
        PAGE,
        re.M | re.S,
    )
)


def openpose(tracks: PoseTracks, folder: Path) -> None:
    """A file a frame, in pixels, without ids."""
    keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
    posed = tracks.with_(keypoints=keypoints, confidence=confidence, skeleton="coco18")
    for path in write(posed, folder, "openpose"):
        path.write_text(re.sub(r'"person_id": \[\d+\]', '"person_id": [-1]', path.read_text()))


def ultralytics(tracks: PoseTracks, folder: Path) -> None:
    """A file for each frame with somebody in it, in shares of the image."""
    (folder / "labels").mkdir(parents=True)
    lines: dict[int, str] = {}
    for row, (frame, person) in enumerate(zip(tracks.frame, tracks.track, strict=True)):
        joints = np.column_stack([tracks.keypoints[row] / [1920, 1080], tracks.confidence[row]])
        values = " ".join(f"{value:g}" for value in joints.ravel())
        lines[frame] = lines.get(frame, "") + f"0 0.5 0.5 0.1 0.2 {values} 0.9 {person}\n"
    for frame, text in lines.items():
        (folder / "labels" / f"{folder.name}_{frame + 1}.txt").write_text(text)


def alphapose(tracks: PoseTracks, folder: Path, tracked: bool = True) -> None:
    """One list of the video, in pixels, with ids from 1; without tracking everybody's is 0."""
    folder.mkdir(parents=True)
    joints = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
    content = [
        {
            "image_id": f"{tracks.frame[row]}.jpg",
            "category_id": 1,
            "keypoints": joints[row].ravel().tolist(),
            "score": 2.5,
            "box": [*joints[row, :, :2].min(0).tolist(), *np.ptp(joints[row, :, :2], 0).tolist()],
            "idx": 1 + int(tracks.track[row]) if tracked else [[0.0]] * (1 + row % 2),
        }
        for row in np.argsort(tracks.frame, kind="stable")
    ]
    (folder / "alphapose-results.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("tool", "make"),
    [
        pytest.param("OpenPose", openpose, marks=pytest.mark.slow),
        ("Ultralytics", ultralytics),
        ("AlphaPose", alphapose),
        pytest.param("AlphaPose", partial(alphapose, tracked=False), marks=pytest.mark.slow),
    ],
)
def test_from_files_to_an_open_report(tool, make, walkers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for clip, name in enumerate(("train", "test")):
        make(walkers.select(clips=[clip]).with_(clip_names=[name]), Path("poses", name))
    (tmp_path / "tiny.json").write_text(
        json.dumps({"lengths": ["12", "18"], "stride": 4, "augment": "none", "score_stride": 6})
    )
    commands = re.findall(r"^gepc-geo (.*)$", BLOCKS[tool], re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["info", "train", "report"]
    outputs = []
    for command in commands:
        more = ["--config", "tiny.json"] if command.startswith("train") else []
        result = CliRunner().invoke(main, [*shlex.split(command), *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        outputs.append(result.output)
    poses = walkers.select(clips=[0]).num_frames
    assert re.search(rf"^person-frames +{poses}$", outputs[0], re.MULTILINE)
    assert "shares of the image" not in outputs[0] and "fps             25" in outputs[0]
    # People who leave the picture early are not judged; nothing else is noted.
    notes = [line for line in outputs[2].splitlines() if line.startswith("note: ")]
    assert all(" of 8 people were not judged (too short): " in line for line in notes)
    assert len(notes) <= 1 and "warning:" not in outputs[2]
    page = Path("report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data" type="application/json">(.*?)</script>', page, re.S)[1])
    assert len(data["clips"]) == 1 and data["words_from"] == "training"


def test_poses_left_out_are_warned_of_in_a_line(walkers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alphapose(walkers.select(clips=[0]), Path("poses"))
    path = Path("poses", "alphapose-results.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps([*content, {**content[0], "score": 1.0}, *content[:2]]))
    result = CliRunner().invoke(main, ["info", "poses", "--fps", "25"], catch_exceptions=False)
    assert result.exit_code == 0
    (warning,) = [line for line in result.output.splitlines() if "left out" in line]
    assert warning == (
        f"warning: {path}: a person has several poses in a frame: the best is used, "
        f"3 of {len(content) + 3} poses are left out"
    )
