"""``convert`` from and to other tools' formats, and what ``info`` says of their files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import poses_for

from gepc_geo.cli import main
from gepc_geo.io import WRITABLE, read
from gepc_geo.poses.tracks import PoseTracks


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    return result.exit_code, result.output


def good(*arguments: object) -> str:
    code, output = run(*arguments)
    assert code == 0, output
    return output


def refused(*arguments: object) -> str:
    code, output = run(*arguments)
    assert code == 2, output
    assert output.startswith("Error: ") and len(output.strip().splitlines()) == 1
    return output


@pytest.fixture(scope="module")
def poses(walkers, tmp_path_factory):
    """Two clips of 18 joints, which most formats that are written have."""
    folder = tmp_path_factory.mktemp("poses")
    walkers.select(clips=[0, 1]).save(folder / "coco17.npz")
    good("convert", folder / "coco17.npz", "--skeleton", "coco18", "--out", folder / "coco18.npz")
    return folder / "coco18.npz"


def test_the_suffix_of_the_output_must_be_that_of_the_format(walkers, tmp_path):
    walkers.select(clips=[0]).with_(fps=[20]).save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    words = ["convert", str(tmp_path / "a.npz"), "--to", "csv", "--out"]
    result = CliRunner().invoke(main, [*words, str(tmp_path / "a.npz")])
    assert (
        result.exit_code == 2 and "must have suffix .csv with --to csv, got '.npz'" in result.output
    )
    assert (tmp_path / "a.npz").read_bytes() == before
    result = CliRunner().invoke(main, [*words, str(tmp_path / "a.csv")])
    assert (
        result.exit_code == 0
        and "csv files have no frame rate: read this one with --fps 20" in result.output
    )


@pytest.mark.parametrize("to", WRITABLE)
def test_every_format_is_converted_back_to_the_same_poses(to, walkers, tmp_path):
    """The way of every format: native, the format, native again."""
    poses = tmp_path / "poses.npz"
    poses_for(to, walkers.select(clips=[0, 1])).save(poses)
    there = tmp_path / ("there" + {"native": ".npz", "pyskl": ".pkl", "csv": ".csv"}.get(to, ""))
    text = good("convert", poses, "--to", to, "--out", there)
    assert f"poses: {there}" in text
    shape = ("--image-size", "856x480", "--fps", 24)
    # Whose tables name joints, and do not say how they are connected.
    joints = ("--skeleton", "coco18") if to == "deeplabcut" else ()
    shape = (*shape, *joints)
    good("convert", there, *shape, "--out", tmp_path / "back.npz")
    before, after = PoseTracks.load(poses), PoseTracks.load(tmp_path / "back.npz")
    assert after.clip_names == before.clip_names and after.skeleton == before.skeleton
    np.testing.assert_array_equal(after.image_size, before.image_size)
    order = [np.lexsort((t.keypoints[:, 1, 0].round(1), t.frame, t.clip)) for t in (before, after)]
    seen = before.confidence[order[0]] > 0
    np.testing.assert_array_equal(after.confidence[order[1]] > 0, seen)
    found = after.keypoints[order[1]][seen]
    np.testing.assert_allclose(found, before.keypoints[order[0]][seen], atol=0.011)
    if to not in ("kinetics-skeleton", "deeplabcut", "mediapipe", "ntu", "pyskl"):
        np.testing.assert_array_equal(after.track, before.track)
    assert f"format          {to} (" in good("info", there, *joints)


def test_lost_frame_labels_are_noted(walkers, tmp_path):
    tracks = walkers.select(clips=[0])
    labels = np.zeros(int(tracks.clip_length.sum()), dtype=np.int8)
    tracks.with_(frame_labels=labels).save(tmp_path / "a.npz")
    to = ("convert", tmp_path / "a.npz", "--out")
    assert "note: mmpose files have no frame labels, which are lost" in good(
        *to, tmp_path / "out", "--to", "mmpose"
    )
    assert "note" not in good(*to, tmp_path / "b.npz")


def test_poses_that_a_format_cannot_store_are_refused(poses, tmp_path):
    message = refused(
        *("convert", poses.with_name("coco17.npz"), "--to", "openpose", "--out", tmp_path / "x")
    )
    text = "openpose files in 2D must have body25 or coco18, got skeleton 'coco17' (17 joints): "
    assert f"{text}use --skeleton" in message
    assert "a format that can store them: native, alphapose-tracks, coco-results" in message
    file = tmp_path / "file"
    file.write_text("x")
    assert "file must be a folder with --to openpose, got a file" in refused(
        "convert", poses, "--to", "openpose", "--out", file
    )
    for size in ("856", "0x5", "axb"):
        assert "--image-size must be WIDTHxHEIGHT as in 1920x1080, got" in refused(
            "convert", poses, "--image-size", size, "--out", tmp_path / "x.npz"
        )
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.npz").exists()
    assert run("convert", poses, "--to", "ntu", "--out", tmp_path / "x")[0] == 2


def test_clip_names_become_file_names_or_are_refused(poses, tmp_path):
    tracks = PoseTracks.load(poses)
    tracks.with_(clip_names=["x/a", "b"]).save(tmp_path / "folders.npz")
    out = ("--to", "openpose", "--out", tmp_path / "out")
    assert "note: clip 'x/a' is called 'x_a' in the files" in good(
        "convert", tmp_path / "folders.npz", *out
    )
    assert "must be a new name, got one that exists already" in refused(
        "convert", tmp_path / "folders.npz", *out
    )
    tracks.with_(clip_names=["../../evil", "b"]).save(tmp_path / "evil.npz")
    message = refused("convert", tmp_path / "evil.npz", "--to", "openpose", "--out", tmp_path / "x")
    assert "the name of a clip must be printable and relative" in message
    assert "got '../../evil'" in message
    assert not (tmp_path / "x").exists()


def test_info_notes_shares_of_the_image_and_ids_that_jump(tmp_path):
    """Labels of an Ultralytics run: shares of the image, an id that jumps."""
    for frame in range(30):
        x = 0.2 + frame / 1000 if frame < 20 else 0.9
        joints = " ".join(f"{x + 0.001 * v:g} {0.4 + 0.01 * v:g} 0.9" for v in range(17))
        (tmp_path / f"gate_{frame}.txt").write_text(f"0 {x:g} 0.5 0.1 0.2 {joints} 7\n")
    text = good("info", tmp_path)
    for expected in (
        "format          ultralytics-labels (30 files)",
        "clips           1",
        "people          1 tracks",
        "frames          30",
        "joints          17 (coco17), 2D",
        "coordinates     x 0.2 to 0.916, y 0.4 to 0.56",
        "image size      1 x 1",
        "fps             unknown",
        "looks wrong     coordinates must be in pixels, got shares of the image's width and height",
        "got 1 jump in 1 of 1 tracks: person 7 of clip 'gate' moves by",
    ):
        assert expected in text
    text = good("info", tmp_path, "--image-size", "1920x1080", "--fps", 25)
    assert "shares" not in text and "coordinates     x 384 to 1759" in text


def test_shares_of_an_image_are_noted_where_poses_are_read(tmp_path):
    """By every command, not by info alone: they would be trained on, and scored, as they are."""
    joints = " ".join(f"{0.3 + 0.01 * v:g} {0.4 + 0.01 * v:g} 0.9" for v in range(17))
    (tmp_path / "gate_1.txt").write_text(f"0 0.3 0.5 0.1 0.2 {joints} 7\n")
    noted = good("convert", tmp_path, "--out", tmp_path / "a.npz")
    assert f"note: {tmp_path} holds shares" in noted and "give --image-size" in noted
    sized = ["--image-size", "1920x1080", "--out", tmp_path / "b.npz"]
    assert "note" not in good("convert", tmp_path / "gate_1.txt", *sized)


def test_info_draws_a_pose(poses, tmp_path):
    picture = tmp_path / "pose.png"
    text = good("info", poses, "--picture", picture)
    assert f"picture         {picture}" in text and "looks wrong" not in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "must have suffix .png, got '.jpg'" in refused(
        "info", poses, "--picture", tmp_path / "a.jpg"
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    message = refused("info", tmp_path / "run", "--picture", picture)
    assert "--picture must be given with poses only, got" in message


def test_people_without_ids_get_tracks_that_can_be_scored(tmp_path):
    """COCO results of another tool give tracks that are long enough for windows."""
    rng = np.random.default_rng(0)
    figure = rng.uniform(0, 80, (17, 2))
    content = []
    for frame in range(40):
        for x in (100 + 5 * frame, 500 - 5 * frame):
            points = np.column_stack([figure + [x, 60], np.full(17, 0.9)]) + rng.normal(
                0, 0.5, (17, 3)
            )
            one = {"image_id": frame, "category_id": 1, "score": 0.9}
            content.append({**one, "keypoints": np.clip(points, 0.1, 900).ravel().tolist()})
    (tmp_path / "gate.json").write_text(json.dumps(content))
    tracks = read(tmp_path / "gate.json")
    assert tracks.num_tracks == 2
    np.testing.assert_array_equal(np.bincount(tracks.track), [40, 40])
