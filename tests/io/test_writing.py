"""Writing: names of clips that lead astray, nobody in the poses, and nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.io import WRITABLE, read, write
from gepc_geo.skeleton import SKELETONS, coco17_to_coco18
from gepc_geo.tracks import PoseTracks

FOLDERS = [form for form in WRITABLE if form != "native"]


@pytest.fixture(scope="module")
def pair(walkers):
    """Two clips of 18 joints, which all formats that are written have."""
    tracks = walkers.select(clips=[0, 1])
    keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
    return tracks.with_(keypoints=keypoints, confidence=confidence, skeleton="coco18")


def again(folder: Path, form: str) -> PoseTracks:
    """What was written; tables of DeepLabCut do not say how joints are connected."""
    return read(folder, format=form, skeleton="coco18" if form == "deeplabcut" else "auto")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize(
    "name",
    ["../../evil", "/tmp/evil", "a/../../evil", "..", "..\\evil", "", "a//b", ".hid", "x/.hid"]
    + ["a\0b", "a\nb", "\ud800", "README", "licence.old", "x_alphapose-results"],
)
def test_names_that_lead_astray_or_are_not_read_back(name, form, pair, tmp_path):
    """Before anything is written, the good first clip included."""
    with pytest.raises(InputError, match="cannot give its name to a file") as caught:
        write(pair.with_(clip_names=["good", name]), tmp_path / "in" / "out", form)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FOLDERS)
def test_names_with_folders_are_read_back(form, pair, tmp_path):
    write(pair.with_(clip_names=["x/a", "y\\a"]), tmp_path / "out", form)
    assert again(tmp_path / "out", form).clip_names == ("x_a", "y_a")
    with pytest.raises(InputError, match="clips 'x/a' and 'x_a' would both be in files called"):
        write(pair.with_(clip_names=["x/a", "x_a"]), tmp_path / "two", form)


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize("names", [("results_a", "labels"), ("cam_001", "cam-2"), ("a.jpg", "7")])
def test_odd_names_survive(names, form, pair, tmp_path):
    write(pair.with_(clip_names=names), tmp_path / "out", form)
    assert sorted(again(tmp_path / "out", form).clip_names) == sorted(names)


def test_names_in_the_files_of_others_do_not_lead_out_of_the_folder(tmp_path):
    one = {"category_id": 1, "score": 0.9, "keypoints": [1.5] * 51}
    images = [f"../../evil_{i}.jpg" for i in (1, 2)] + ["good_1.jpg"]
    (tmp_path / "a.json").write_text(json.dumps([{**one, "image_id": name} for name in images]))
    with pytest.raises(InputError, match=r"clip '\.\./\.\./evil' cannot give its name"):
        write(read(tmp_path / "a.json"), tmp_path / "deep" / "out", "coco-results")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("form", WRITABLE)
def test_an_empty_camera(form, pair, tmp_path):
    """Clips with nobody in them are written; read back, where the format can say that they are."""
    nobody = pair.rows(np.zeros(pair.num_frames, dtype=bool))
    assert (nobody.num_frames, nobody.num_clips) == (0, 2)
    path = tmp_path / ("out.npz" if form == "native" else "out")
    assert write(nobody, path, form)
    assert again(path, form).num_frames == 0


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_leaves_what_was_there(form, existed, pair, tmp_path, monkeypatch):
    out = tmp_path / "out"
    if existed:
        out.mkdir()
        (out / "other.txt").write_text("x")
    before = contents(tmp_path)
    calls = []

    def fail(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device", "/somewhere/.temporary")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="No space left on device") as caught:
        write(pair, out, form)
    assert f"{out} cannot be written to" in str(caught.value)
    assert "temporary" not in str(caught.value) and ".writing" not in str(caught.value)
    assert contents(tmp_path) == before and out.exists() == existed


def test_clips_of_many_files_are_not_mixed_with_older_ones(pair, tmp_path):
    write(pair, tmp_path, "openpose")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=rf"{pair.clip_names[0]} is there already, expected a new"):
        write(pair, tmp_path, "openpose")
    assert contents(tmp_path) == before
    # Files of one clip each are replaced.
    write(pair, tmp_path / "coco", "coco-results")
    write(pair.rows(pair.frame < 3), tmp_path / "coco", "coco-results")
    assert read(tmp_path / "coco").frame.max() == 2


def test_a_folder_that_is_a_file(pair, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"cannot be written to, expected a writable folder"):
            write(pair, out, "coco-results")
    assert contents(tmp_path) == {"file": b"x"}


def test_people_without_id_beside_the_highest_one(tmp_path):
    """Numbers after all others: there is room for them, or it is said."""
    people = [
        {"person_id": [number], "pose_keypoints_2d": [1.5] * 75} for number in (2**62 - 1, -1)
    ]
    path = tmp_path / "a_1_keypoints.json"
    path.write_text(json.dumps({"people": people}))
    tracks = read(path)
    assert tracks.skeleton == SKELETONS["body25"]
    assert tracks.track.tolist() == [2**62 - 1, 2**62]
    people[0]["person_id"] = [2**63 - 1]
    path.write_text(json.dumps({"people": people}))
    with pytest.raises(InputError, match="a_1_keypoints.json has person 9223372036854775807"):
        read(path)
    path.write_text(json.dumps({"people": people[:1]}))
    assert read(path).track.tolist() == [2**63 - 1]
