"""Damaged files given to the commands: exit code 2, one sentence, nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from helpers import NETWORK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gepc_geo import GEPC, PoseTracks
from gepc_geo.cli import main
from gepc_geo.errors import InputError
from gepc_geo.experiments.protocol import fingerprint
from gepc_geo.options import Options

FUZZ = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SMALL = {
    **NETWORK,
    "mode": "assignment",
    "lengths": ["12", "18"],
    "budget": 0,
    "augment": "none",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, walkers) -> Path:
    """Good files: poses in two formats, a run of theirs."""
    folder = tmp_path_factory.mktemp("good")
    walkers.save(folder / "poses.npz")
    poses = {str(i): {"keypoints": [1.5 + i] * 51} for i in range(20)}
    (folder / "a_alphapose_tracked_person.json").write_text(json.dumps({"1": poses}))
    (folder / "run").mkdir()
    GEPC(**SMALL).fit(walkers, device="cpu").save(folder / "run" / "model.pt")
    content = {"options": Options(**SMALL).to_dict(), "data": {}}
    (folder / "run" / "config.yaml").write_text(yaml.safe_dump(content))
    return folder


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """Cut short, or a byte put in that is no text and shifts what follows."""
    at = data.draw(st.integers(0, len(content) - 1), label="at")
    if data.draw(st.booleans(), label="cut"):
        return content[:at]
    return content[:at] + b"\xff" + content[at:]


def assert_refused(path: Path, *arguments: object) -> None:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.output.startswith("Error: ") and str(path) in result.output
    assert len(result.output.strip().splitlines()) == 1


def same_poses(path: Path, good: Path) -> bool:
    """Whether a file is read at all; what it holds is then exactly what the good one holds."""
    try:
        found = PoseTracks.load(path)
    except InputError:
        return False
    assert fingerprint(found) == fingerprint(PoseTracks.load(good))
    return True


def test_a_byte_at_the_very_end_of_poses_changes_nothing(folder, tmp_path):
    path, content = tmp_path / "poses.npz", (folder / "poses.npz").read_bytes()
    for at in range(len(content) - 22, len(content)):
        path.write_bytes(content[:at] + b"\xff" + content[at:])
        assert same_poses(path, folder / "poses.npz") == (at >= len(content) - 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["poses.npz", "a_alphapose_tracked_person.json"])
@FUZZ
@given(data=st.data())
def test_damaged_poses_are_refused_in_one_sentence(name, folder, tmp_path, data):
    path = tmp_path / name
    path.write_bytes(damaged((folder / name).read_bytes(), data))
    if name.endswith(".npz") and same_poses(path, folder / name):
        # A byte that nothing looks at, in the length of the zip's comment at its very end.
        return
    assert_refused(path, "train", path, "--out", tmp_path / "run")
    assert_refused(path, "score", folder / "run", path, "--out", tmp_path / "s.csv")
    assert_refused(path, "convert", path, "--out", tmp_path / "o.npz")
    assert_refused(path, "info", path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@FUZZ
@given(data=st.data())
def test_damaged_models_are_refused_in_one_sentence(folder, tmp_path, data):
    path = tmp_path / "model.pt"
    path.write_bytes(damaged((folder / "run" / "model.pt").read_bytes(), data))
    poses, out = folder / "poses.npz", tmp_path / "s.csv"
    if CliRunner().invoke(main, ["score", str(tmp_path), str(poses), "--out", str(out)]).exit_code:
        assert_refused(path, "score", tmp_path, poses, "--out", out)
        assert_refused(path, "info", path)
        assert list(tmp_path.iterdir()) == [path]
    else:
        # A byte that nothing looks at, in the zip's padding: the scores are what they were.
        good = folder / "good.csv"
        CliRunner().invoke(main, ["score", str(folder / "run"), str(poses), "--out", str(good)])
        assert out.read_bytes() == good.read_bytes()
        out.unlink()


@pytest.mark.slow
@FUZZ
@given(data=st.data())
def test_damaged_configurations_are_refused_in_one_sentence(folder, tmp_path, data):
    """A file cut short may still be a configuration: here only what is no text is put in."""
    content = (folder / "run" / "config.yaml").read_bytes()
    at = data.draw(st.integers(0, len(content)))
    path = tmp_path / "config.yaml"
    path.write_bytes(
        content[:at] + data.draw(st.sampled_from([b"\xff", b"\x00", b"\n}"])) + content[at:]
    )
    out = tmp_path / "run"
    assert_refused(path, "train", folder / "poses.npz", "--out", out, "--config", path)
    assert_refused(path, "train", folder / "poses.npz", "--out", tmp_path, "--resume")
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_masks_are_refused_in_one_sentence(folder, tmp_path):
    masks, out = tmp_path / "masks", tmp_path / "o.npz"
    masks.mkdir()
    path = masks / f"{PoseTracks.load(folder / 'poses.npz').clip_names[0]}.npy"
    np.save(path, np.zeros(72, dtype=np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert_refused(path, "convert", folder / "poses.npz", "--labels", masks, "--out", out)
    assert list(tmp_path.iterdir()) == [masks]
