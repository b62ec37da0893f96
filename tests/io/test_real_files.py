"""Files of real tools, and small faulty files from reports; skipped without the data."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read

# Folder, clips, frames of the longest, people, person-frames, what the warning says.
CASES = [
    ("02_openpose_dupes", 1, 40, 2, 80, "a body has several poses"),
    ("04_openpose_shares", 1, 40, 1, 40, None),
    ("05_alphapose_open", 2, 40, 4, 160, None),
    ("08_alphapose_two_sequences/all", 2, 30, 2, 60, None),
    ("08_alphapose_two_sequences/sameid", 2, 30, 2, 60, None),
    ("08_alphapose_two_sequences/untracked", 2, 30, 2, 60, None),
    ("09_forvis", 1, 40, 3, 120, None),
    ("13_ultra_twice_noid", 1, 40, 2, 80, "a body has several poses"),
    ("18_alphapose_bom", 1, 40, 2, 80, None),
    ("18_json_bom", 1, 40, 4, 120, None),
    ("18_json_utf16", 1, 40, 4, 120, None),
    ("18_openpose_bom", 1, 40, 1, 40, None),
    ("19_mp_vis0", 1, 40, 2, 80, "all scores count as 1"),
    ("19_mp_visnull", 1, 40, 1, 40, None),
    ("21_mp_csv", 1, 40, 1, 40, None),
    ("22_sleap_csv", 1, 40, 2, 80, None),
    ("25_mmpose_demo/poses", 1, 40, 3, 119, None),
    ("25_mmpose_inferencer/poses", 1, 40, 3, 120, None),
    ("25_mmpose_nested", 1, 40, 2, 80, None),
    ("27_ntu_idflicker", 1, 90, 1, 85, None),
    ("30_kinetics", 2, 60, 2, 60, None),
    (
        "51_dup_id_openpose",
        1,
        40,
        2,
        80,
        "gate_000000000025_keypoints.json: a person has several poses",
    ),
    ("51_dup_id_ultra_labels", 1, 40, 2, 80, "gate_26.txt: a person has several poses"),
    ("54_alphapose_sep", 1, 40, 1, 40, None),
    ("54_alphapose_suffix", 1, 40, 1, 40, None),
    ("54_alphapose_time", 1, 40, 1, 40, None),
    ("54_coco_suffix", 1, 40, 1, 40, None),
    ("54_openpose_cam", 1, 20, 1, 20, None),
    ("54_openpose_suffix", 1, 40, 1, 40, None),
]


@pytest.mark.parametrize(("case", "clips", "frames", "people", "poses", "told"), CASES)
def test_reported_files_have_their_clips_people_and_warnings(
    case, clips, frames, people, poses, told, real_data
):
    folder = real_data("cases") / case
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        tracks = read(folder)
    assert (tracks.num_clips, tracks.clip_length.max()) == (clips, frames)
    assert (tracks.num_tracks, tracks.num_frames) == (people, poses)
    said = [str(one.message) for one in caught]
    assert len(said) == (told is not None) and all(told in one for one in said)


def test_openpose_shares_become_pixels_and_clips_are_named_by_outer_folders(real_data):
    tracks = read(real_data("cases") / "04_openpose_shares", image_size=(1280, 720))
    assert tracks.keypoints.max() > 400 and tracks.image_size.tolist() == [[1280, 720]]
    assert read(real_data("cases") / "05_alphapose_open").clip_names == ("back", "front")
    assert read(real_data("cases") / "54_alphapose_sep").clip_names == ("v",)


def test_masks_decide_the_length_of_a_clip(real_data):
    case = real_data("cases") / "25_mmpose_demo"
    tracks = read(case / "poses", labels=case / "masks")
    assert tracks.clip_length.tolist() == [40] and (tracks.frame_labels >= 0).all()


def test_files_that_need_a_skeleton_or_arrays_are_refused(real_data, tmp_path):
    with pytest.raises(
        InputError, match="clip 'v000': keypoint must be an array of 4 dimensions, got a list"
    ):
        read(real_data("cases") / "31_pyskl_list")
    case = real_data("cases") / "24_dlc_excel_de"
    with pytest.raises(InputError, match=r"\(--skeleton\), got nose, spine, tail, cornerTL"):
        read(case)
    mouse = {"name": "mouse", "joints": ["nose", "spine", "tail"], "bones": [[0, 1], [1, 2]]}
    (tmp_path / "mouse.json").write_text(json.dumps({**mouse, "center": 1}))
    tracks = read(case, skeleton=tmp_path / "mouse.json")
    assert (tracks.clip_names, tracks.num_tracks) == (("cage",), 2)
    np.testing.assert_allclose(tracks.keypoints[0, 0], [100.6981, 98.9273], rtol=1e-6)


def test_openpose_clips_of_several_trials_are_named_by_trial_and_camera(real_data):
    tracks = read(real_data("tool_output") / "openpose")
    assert tracks.clip_names == ("trial_a/cam01", "trial_b/cam01")
    assert tracks.skeleton.name == "body25b" and tracks.clip_length.tolist() == [20, 20]


def test_alphapose_pictures_named_by_time_are_in_order(real_data):
    tracks = read(real_data("tool_output") / "alphapose_timestamps")
    assert tracks.num_frames == 240 and len(np.unique(tracks.frame)) == 192
    assert tracks.fps[0] == pytest.approx(21.0, abs=0.05)
    assert tracks.num_tracks < 10 and tracks.clip_length[0] == 204


def test_mmpose_files_lifted_to_3d_are_read(real_data):
    tracks = read(real_data("tool_output") / "mmpose_3d")
    assert (tracks.skeleton.name, tracks.dims, tracks.clip_length[0]) == ("h36m17", 3, 5)


def test_openpifpaf_files_and_labels_of_one_picture_are_read(real_data):
    assert read(real_data("tool_output") / "openpifpaf").num_frames == 5
    assert read(real_data("tool_output") / "yolo_pose_txt").num_frames == 12
