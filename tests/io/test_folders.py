"""Folders of pose files: files that are read, files that are ignored, and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gepc_geo.datasets import ShanghaiTech
from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks

HEADER = "Frame_Number Person_ID State BB_tl_0 BB_tl_1 BB_br_0 BB_br_1 anomaly\n"


def people(joints: int = 17) -> str:
    return json.dumps({"1": {"0": {"keypoints": [5.0] * (3 * joints)}}})


def results() -> str:
    return json.dumps([{"image_id": "0.jpg", "idx": 1, "keypoints": [5.0] * 51, "score": 1.0}])


def fill(folder, **files) -> None:
    """Writes files; ``__`` in a name is a folder, its last ``_`` the dot."""
    for name, content in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_all_files_of_all_folders_in_the_order_of_their_paths(tmp_path):
    fill(tmp_path, b_json=people(), a__z_json=people(), a__y_json=results(), c__d__e_json=people())
    assert read(tmp_path).clip_names == ("y", "z", "b", "e")


def test_formats_may_be_mixed_and_none_is_dropped(tmp_path):
    fill(tmp_path, a_json=people(), b_json=results())
    read(tmp_path / "a.json").with_(clip_names=["c"]).save(tmp_path / "c.npz")
    assert read(tmp_path).clip_names == ("a", "b", "c")


def test_suffixes_in_upper_case_are_read(tmp_path):
    fill(tmp_path, a_json=people(), b_JSON=people(), c_Json=results())
    assert read(tmp_path).clip_names == ("a", "b", "c")
    fill(tmp_path, d_JSON="{")
    with pytest.raises(InputError, match=r"d\.JSON "):
        read(tmp_path)


def test_data_sets_and_masks_may_have_suffixes_in_upper_case(tmp_path):
    row = HEADER + "0 1 2 1 2 3 4 0\n"
    fill(tmp_path, train_txt__01_001_TXT=row, test_txt__01_0014_TXT=row)
    (tmp_path / "test_frame_mask").mkdir()
    with (tmp_path / "test_frame_mask" / "01_0014.NPY").open("wb") as stream:
        np.save(stream, np.array([1, 0, 1]))
    tracks = ShanghaiTech(tmp_path).tracks()
    assert tracks.clip_names == ("01_001", "01_0014")
    assert tracks.frame_labels.tolist()[-3:] == [1, 0, 1]


def test_documents_hidden_files_and_masks_are_left_alone(tmp_path):
    fill(tmp_path, **{"01_001_txt": HEADER + "0 1 2 1 2 3 4 0\n", "README_txt": "About these."})
    fill(tmp_path, LICENSE_txt="Free.", readme__notes_md="x", changelog_txt="1", script_py="x")
    (tmp_path / ".01_001.txt.x7.txt").write_text("")
    (tmp_path / "._01_001.txt").write_bytes(b"\0\5\x16\7")
    fill(tmp_path, **{".cache__a_txt": "x"})
    (tmp_path / "~$01_001.txt").write_bytes(b"\x05Me")
    np.save(tmp_path / "01_001.npy", np.zeros(3))
    assert read(tmp_path).clip_names == ("01_001",)
    assert read(tmp_path, format="shanghaitech-boxes").clip_names == ("01_001",)


@pytest.mark.parametrize("first", ["a", "z"])
@pytest.mark.parametrize("content", ["", "{", '{"x": {}}', "not poses", people()[:40]])
def test_broken_files_among_good_ones_are_errors(first, content, tmp_path):
    fill(tmp_path, m_json=people(), **{f"{first}_json": content})
    with pytest.raises(InputError, match=rf"{first}\.json\b"):
        read(tmp_path)


@pytest.mark.parametrize("content", ["", "Frame_Num", "0 1 2 1 2 3 4 0\n"])
def test_broken_box_files_are_errors(content, tmp_path):
    fill(tmp_path, m_txt=HEADER, a_txt=content)
    header = repr(content.strip())
    with pytest.raises(
        InputError, match=rf"a\.txt must be a ShanghaiTech box file, got header {header}$"
    ):
        read(tmp_path)


def test_files_of_no_known_format_beside_others_are_counted(tmp_path):
    fill(tmp_path, gate_json=people(), notes_txt="x", other_txt="y")
    with pytest.warns(
        InputWarning,
        match=r"^2 of 3 files have no known format and are left out \(the first is "
        r".*notes\.txt\)$",
    ):
        assert read(tmp_path).clip_names == ("gate",)


def test_folders_without_pose_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="must have files of poses .*, got none: the folder is"):
        read(tmp_path)
    fill(tmp_path, README_txt="About")
    there = r"must have files of poses .*, got none: other files, such as README\.txt"
    with pytest.raises(InputError, match=there):
        read(tmp_path)
    fill(tmp_path, other_txt="About")
    with pytest.raises(InputError, match=r"other.txt must be .*, got no known format"):
        read(tmp_path)


def test_clips_of_one_name_get_the_folders_that_tell_them_apart(tmp_path):
    fill(tmp_path, x__p__a_json=people(), y__p__a_json=people(), y__p__b_json=people())
    assert read(tmp_path).clip_names == ("x/a", "y/a", "b")


def test_clips_that_nothing_tells_apart_are_refused_with_both_files(tmp_path):
    fill(tmp_path, x__a_json=people())
    read(tmp_path / "x" / "a.json").save(tmp_path / "x" / "a.npz")
    with pytest.raises(
        InputError,
        match="must have one file a clip and clips of different names, "
        r"got 'a' in .*x.a\.json and .*x.a\.npz$",
    ):
        read(tmp_path)


def test_poses_of_different_kinds_are_refused_with_both_files(tmp_path):
    fill(tmp_path, a_json=people(17), b_json=people(18))
    message = (
        r"b\.json must have poses of 17 joints \(coco17\) in 2 dimensions as in .*a\.json, "
        r"got 18 \(coco18\) in 2$"
    )
    with pytest.raises(InputError, match=message):
        read(tmp_path)
    # Asked for 18, the file of 17 gets its neck.
    assert read(tmp_path, skeleton="coco18").num_clips == 2


@pytest.mark.parametrize("empty", ["{}", "[]"])
def test_clips_with_nobody_have_the_joints_of_the_others(empty, tmp_path):
    fill(tmp_path, a_json=empty, b_json=people(18), c_json=empty)
    tracks = read(tmp_path)
    assert tracks.clip_names == ("a", "b", "c")
    assert tracks.skeleton == SKELETONS["coco18"]
    np.testing.assert_array_equal(tracks.clip_length, [0, 1, 0])


def test_own_skeletons_of_any_number_of_joints(tmp_path):
    own = {"name": "wand", "joints": list("abc"), "bones": [[0, 1], [1, 2]], "center": 1}
    path = tmp_path / "wand.skeleton"
    path.write_text(json.dumps(own))
    fill(tmp_path, poses__a_json=people(3), poses__b_json="{}")
    assert read(tmp_path / "poses", skeleton=path).skeleton.name == "wand"
    with pytest.raises(
        InputError, match=r"a\.json must have poses of 13 joints \(skeleton 'penn13'\), got 3"
    ):
        read(tmp_path / "poses", skeleton="penn13")
    fill(tmp_path, seventeen__c_json=people(17))
    with pytest.raises(InputError, match=r"c\.json must have 3 joints \(skeleton 'wand'\), got 17"):
        read(tmp_path / "seventeen", skeleton=path)


def test_the_given_frame_rate_fills_unknown_ones_only(tmp_path):
    fill(tmp_path, a_json=people())
    tracks = read(tmp_path, fps=30)
    np.testing.assert_array_equal(tracks.fps, [30])
    joined = PoseTracks.concat([tracks, read(tmp_path / "a.json").with_(clip_names=["b"])])
    joined.save(tmp_path / "native" / "j.npz")
    np.testing.assert_array_equal(read(tmp_path / "native", fps=12).fps, [30, 12])
    with pytest.raises(InputError, match=r"fps must be finite and more than 0, got -1\.0"):
        read(tmp_path / "a.json", fps=-1)
