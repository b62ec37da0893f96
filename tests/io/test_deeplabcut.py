"""DeepLabCut tables: one animal, several, joints by name, broken files."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read, read_all
from gepc_geo.poses.skeleton import SKELETONS

MOUSE = {
    "name": "mouse",
    "joints": ["nose", "spine", "tail"],
    "bones": [[0, 1], [1, 2]],
    "center": 1,
}

# The lamp of the tables is none of the mouse's joints.
pytestmark = pytest.mark.filterwarnings("ignore:.*passed over:gepc_geo.errors.InputWarning")
ONE = """scorer,net,net,net,net,net,net,net,net,net,net,net,net
bodyparts,tail,tail,tail,nose,nose,nose,spine,spine,spine,lamp,lamp,lamp
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y,likelihood
0,1.5,2.5,0.9,3.5,4.5,0.8,5.5,6.5,0.7,0.1,0.2,1.0
1,,,,3.6,4.6,0.8,5.6,6.6,0.7,0.1,0.2,1.0
2,,,,,,,,,,0.1,0.2,1.0
"""
SEVERAL = """scorer,net,net,net,net,net,net,net,net,net,net,net,net,net
individuals,m1,m1,m1,m1,m1,m1,m2,m2,m2,m2,m2,m2,single
bodyparts,nose,nose,nose,tail,tail,tail,nose,nose,nose,tail,tail,tail,lamp
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y,likelihood,x
0,1,2,0.9,3,4,0.8,,,,,,,7
1,1,2,0.9,3,4,0.8,5,6,0.7,7,8,0.6,7
"""


@pytest.fixture
def mouse(tmp_path):
    path = tmp_path / "mouse.json"
    path.write_text(json.dumps(MOUSE))
    return path


def test_a_table_of_one_animal_is_one_track(tmp_path, mouse):
    path = tmp_path / "box" / "cage1DLC_resnet50_mouseMay1shuffle1_100000.csv"
    path.parent.mkdir()
    path.write_text(ONE)
    tracks = read(path.parent, skeleton=mouse)
    assert tracks.clip_names == ("cage1",) and tracks.skeleton.name == "mouse"
    np.testing.assert_array_equal(tracks.frame, [0, 1])
    np.testing.assert_array_equal(tracks.clip_length, [3])
    # In the skeleton's order, whatever that of the table.
    np.testing.assert_array_equal(tracks.keypoints[0], [[3.5, 4.5], [5.5, 6.5], [1.5, 2.5]])
    np.testing.assert_allclose(tracks.confidence, [[0.8, 0.7, 0.9], [0.8, 0.7, 0]])
    assert read_all(path.parent, skeleton=mouse).formats == {"deeplabcut": 1}


def test_body_parts_that_a_built_in_skeleton_lacks_are_counted(tmp_path):
    parts = [*SKELETONS["coco17"].joints, "tail"]
    names = [[part] * 3 for part in parts]
    rows = [
        ["scorer", *["net"] * 54],
        ["bodyparts", *[one for three in names for one in three]],
        ["coords", *["x", "y", "likelihood"] * 18],
        ["0", *[f"{50 + v}" if v % 3 < 2 else "0.9" for v in range(54)]],
    ]
    (tmp_path / "a.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    with pytest.warns(
        InputWarning, match="1 of 18 joints are ignored, as coco17 has none of them: tail"
    ):
        assert read(tmp_path).skeleton.name == "coco17"


def test_many_body_parts_are_named_and_counted(tmp_path, mouse):
    parts = [f"finger{i}" for i in range(30)] + ["nose", "spine", "tail"]
    rows = [
        ["scorer", *["net"] * 99],
        ["bodyparts", *[part for part in parts for _ in range(3)]],
        ["coords", *["x", "y", "likelihood"] * 33],
        ["0", *[f"{50 + v}" if v % 3 < 2 else "0.9" for v in range(99)]],
    ]
    (tmp_path / "a.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    with pytest.raises(
        InputError,
        match=r"of a built-in skeleton, or a skeleton of its own \(--skeleton\), got finger0, "
        "finger1, finger2, finger3, finger4, finger5, finger6, finger7, finger8, "
        "finger9 and 23 more",
    ):
        read(tmp_path / "a.csv")
    with pytest.warns(InputWarning, match="30 of 33 joints are ignored, as mouse has none of them"):
        read(tmp_path / "a.csv", skeleton=mouse)


def test_joints_of_likelihood_zero_are_missing(tmp_path, mouse):
    (tmp_path / "a.csv").write_text(re.sub(r"0\.\d", "0.0", ONE))
    with pytest.warns(InputWarning, match="no joint of 2 poses has a score above 0"):
        assert (read(tmp_path / "a.csv", skeleton=mouse).confidence.max(1) == 1).all()


@pytest.mark.parametrize("numbers", [(0, 1, 4), (1, 2, 3)])
def test_rows_of_pictures_have_the_frames_of_their_names(numbers, tmp_path, mouse):
    """``analyze_time_lapse_frames`` indexes by picture: one is missing, or names start at 1."""
    lines = ONE.splitlines()
    rows = [line.split(",", 1) for line in lines[3:]]
    named = [f"img{n:04d}.png,{rest}" for n, (_, rest) in zip(numbers, rows, strict=False)]
    (tmp_path / "nestDLC_x.csv").write_text("\n".join([*lines[:3], *named, ""]))
    tracks = read(tmp_path / "nestDLC_x.csv", skeleton=mouse)
    assert tracks.frame.tolist() == list(numbers[:2])


def test_a_table_of_several_animals_has_a_track_for_each(tmp_path):
    (tmp_path / "a.csv").write_text(SEVERAL)
    rod = {"name": "rod", "joints": ["nose", "tail"], "bones": [[0, 1]], "center": 0}
    (tmp_path / "rod.json").write_text(json.dumps(rod))
    tracks = read(tmp_path / "a.csv", skeleton=tmp_path / "rod.json")
    np.testing.assert_array_equal(tracks.track, [0, 0, 1])
    np.testing.assert_array_equal(tracks.frame, [0, 1, 1])
    np.testing.assert_array_equal(tracks.keypoints[2], [[5, 6], [7, 8]])


def test_the_same_table_in_hdf5_is_read_once(tmp_path, mouse):
    (tmp_path / "cageDLC_1.csv").write_text(ONE)
    (tmp_path / "cageDLC_1.h5").write_bytes(b"\x89HDF\r\n\x1a\n and what h5py is not asked for")
    reading = read_all(tmp_path, skeleton=mouse)
    assert reading.formats == {"deeplabcut": 1} and reading.tracks.clip_names == ("cage",)
    (tmp_path / "doorDLC_1.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match="doorDLC_1.h5"):
        read(tmp_path, skeleton=mouse)


def test_body_parts_without_a_skeleton_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text(ONE)
    message = (
        r"body parts of a built-in skeleton, or a skeleton of its own \(--skeleton\), "
        "got tail, nose, spine, lamp"
    )
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.csv")
    with pytest.raises(InputError, match="must have x of 'left_eye' for skeleton 'coco17', got"):
        read(tmp_path / "a.csv", skeleton="coco17")
    with pytest.raises(
        InputError, match="must have the body parts of skeleton 'box5', got none of center, left"
    ):
        read(tmp_path / "a.csv", skeleton="box5")


@pytest.mark.parametrize(("separator", "sign"), [(";", ","), ("\t", ","), ("\t", "."), (";", ".")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_saved_by_spreadsheets_are_read(separator, sign, encoding, tmp_path, mouse):
    (tmp_path / "plain.csv").write_text(ONE)
    content = ONE.replace(",", separator).replace(".", sign)
    (tmp_path / "sheet.csv").write_text(content, encoding=encoding)
    plain, sheet = (read(tmp_path / name, skeleton=mouse) for name in ("plain.csv", "sheet.csv"))
    np.testing.assert_array_equal(sheet.keypoints, plain.keypoints)
    np.testing.assert_array_equal(sheet.confidence, plain.confidence)
    np.testing.assert_array_equal(sheet.clip_length, [3])
    assert read_all(tmp_path / "sheet.csv", skeleton=mouse).formats == {"deeplabcut": 1}


def test_nan_is_missing_and_an_empty_likelihood_is_1(tmp_path, mouse):
    (tmp_path / "a.csv").write_text(ONE.replace("3.5,", "NaN,", 1).replace("0.7,", ",", 1))
    tracks = read(tmp_path / "a.csv", skeleton=mouse)
    np.testing.assert_allclose(tracks.confidence[0], [0, 1, 0.9])


def test_body_parts_named_as_built_in_joints_need_no_skeleton(tmp_path):
    joints = SKELETONS["coco17"].joints
    columns = [(joint.title(), one) for joint in reversed(joints) for one in "xyz"]
    values = [str(100 + i) for i in range(51)]
    rows = [["scorer", *["net"] * 51], ["bodyparts", *(name for name, _ in columns)]]
    rows += [["coords", *(one for _, one in columns)], ["0", *values]]
    (tmp_path / "a.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    tracks = read(tmp_path / "a.csv")
    assert tracks.skeleton.name == "coco17" and tracks.dims == 3
    np.testing.assert_array_equal(tracks.keypoints[0, 0], [148, 149, 150])
    np.testing.assert_array_equal(tracks.confidence, 1)


def test_a_frame_twice_keeps_one_pose(tmp_path, mouse):
    (tmp_path / "a.csv").write_text(ONE.replace("\n1,", "\n0,", 1))
    with pytest.warns(InputWarning, match="1 of 2"):
        tracks = read(tmp_path / "a.csv", skeleton=mouse)
    np.testing.assert_array_equal(tracks.frame, [0])
    np.testing.assert_allclose(tracks.confidence, [[0.8, 0.7, 0.9]])


def test_a_real_table_of_a_german_spreadsheet_is_read(real_data, mouse):
    (path,) = (real_data("cases") / "24_dlc_excel_de").glob("*.csv")
    tracks = read(path, skeleton=mouse)
    assert tracks.clip_names == ("cage",) and tracks.num_frames == 114
    np.testing.assert_array_equal(tracks.clip_length, [60])
    np.testing.assert_allclose(tracks.keypoints[0, 0], [100.6981, 98.9273], rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ONE[:90], "must have 13 values in row 2, got 7"),
        (ONE[:-20], "must have 13 values in row 6, got 3"),
        (ONE.replace("3.5,", "x,", 1), "'nose x' in row 4 must be a number, got 'x'"),
        (
            ONE.replace("3.5,", "inf,", 1),
            r"'nose x' in row 4 must be from -1e\+09 to 1e\+09, got inf",
        ),
        (ONE.replace("\n1,", "\n1.5,", 1), "frame in row 5 must be a whole number, got '1.5'"),
        (ONE.replace("\n1,", "\n,", 1), "frame in row 5 must be a whole number, got ''"),
        (ONE.replace("lamp", "nose"), "must have different column names, got 'nose x' twice"),
        (ONE.replace("bodyparts", "parts"), "must have the rows scorer, bodyparts and coords of"),
        ("scorer,\n", "must have the rows scorer, bodyparts and coords of"),
    ],
)
def test_broken_tables_are_named(content, message, tmp_path, mouse):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "a.csv", skeleton=mouse)
    assert "a.csv" in str(caught.value) and "\n" not in str(caught.value)
