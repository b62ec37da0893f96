"""From other tools' files to an open report, with the very commands of the page of formats."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import NETWORK

from gepc_geo.cli import main
from gepc_geo.io import write
from gepc_geo.skeleton import coco17_to_coco18
from gepc_geo.tracks import PoseTracks

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


def alphapose(tracks: PoseTracks, folder: Path) -> None:
    """One list of the video, in pixels, with ids."""
    folder.mkdir(parents=True)
    joints = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
    content = [
        {
            "image_id": f"{tracks.frame[row]}.jpg",
            "category_id": 1,
            "keypoints": joints[row].ravel().tolist(),
            "score": 2.5,
            "idx": int(tracks.track[row]),
        }
        for row in range(tracks.num_frames)
    ]
    (folder / "alphapose-results.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("tool", "make"),
    [("OpenPose", openpose), ("Ultralytics", ultralytics), ("AlphaPose", alphapose)],
)
def test_from_files_to_an_open_report(tool, make, walkers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for clip, name in enumerate(("train", "test")):
        make(walkers.select(clips=[clip]).with_(clip_names=[name]), Path("poses", name))
    (tmp_path / "tiny.json").write_text(
        json.dumps({**NETWORK, "budget": 64, "augment": "none", "score_stride": 6})
    )
    commands = re.findall(r"^gepc-geo (.*)$", BLOCKS[tool], re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["info", "train", "report"]
    outputs = []
    for command in commands:
        more = ["--config", "tiny.json"] if command.startswith("train") else []
        result = CliRunner().invoke(main, [*shlex.split(command), *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        outputs.append(result.output)
    assert "shares of the image" not in outputs[0] and "fps             25" in outputs[0]
    assert "note:" not in outputs[2] and "warning:" not in outputs[2]
    page = Path("report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data" type="application/json">(.*?)</script>', page, re.S)[1])
    assert len(data["clips"]) == 1 and data["words_from"] == "training"
