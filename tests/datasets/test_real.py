"""The real data sets, if available: the counts that their owners publish."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gepc_geo.datasets import NWUCLA, PennAction, ShanghaiTech
from gepc_geo.errors import InputError


def test_penn_action_has_all_clips_splits_and_classes(real_data):
    tracks = PennAction(real_data("penn_action")).tracks()
    assert (tracks.num_clips, tracks.num_frames) == (2326, 163_841)
    assert [tracks.clip_split.count(split) for split in ("train", "test")] == [1258, 1068]
    assert len(set(tracks.clip_label)) == 15
    assert 0.2 < (tracks.confidence == 0).mean() < 0.24
    seen = tracks.keypoints[tracks.confidence > 0]
    assert (np.abs(seen).max(1) >= 2).all(), "placeholders are no positions"


def test_nw_ucla_has_all_clips_splits_and_classes(real_data):
    tracks = NWUCLA(real_data("nw_ucla")).tracks()
    assert (tracks.num_clips, tracks.num_frames) == (1484, 58_534)
    assert [tracks.clip_split.count(split) for split in ("train", "test")] == [1020, 464]
    assert set(tracks.clip_label) == {"1", "2", "3", "4", "5", "6", "8", "9", "11", "12"}


def test_shanghaitech_has_all_clips_people_and_frame_labels(real_data):
    data = ShanghaiTech(real_data("shanghaitech_boxes"))
    train, test = data.tracks("train"), data.tracks("test")
    assert (train.num_clips, train.num_frames, train.num_tracks) == (330, 825_982, 5646)
    assert (test.num_clips, test.num_frames, test.num_tracks) == (107, 137_965, 1190)
    assert int(test.clip_length.sum()) == 40_791
    assert int((test.frame_labels == 1).sum()) == 17_326
    assert train.frame_labels is None and set(test.clip_split) == {"test"}
    assert (test.fps == 24).all() and (test.image_size == [856, 480]).all()
    # The files carry each frame's label too: an independent witness that masks are aligned.
    wrong = 0
    for clip, name in enumerate(test.clip_names):
        table = np.loadtxt(data.folders["test"] / f"{name}.txt", skiprows=1, dtype=np.int64)
        mask = test.frame_labels[test.frame_offset[clip] : test.frame_offset[clip + 1]]
        wrong += int((mask[table[:, 0]] != table[:, 8]).sum())
    assert wrong == 0
    with pytest.raises(InputError, match="split must be train or test, got 'val'"):
        data.tracks("val")


@pytest.mark.parametrize(
    ("kind", "name", "files"),
    [
        (
            PennAction,
            "labels",
            ".mat files of Penn Action (the archive Penn_Action.tar.gz from Weiyu Zhang's page at "
            "the University of Pennsylvania)",
        ),
        (
            NWUCLA,
            "all_sqe",
            ".json files of Northwestern-UCLA Multiview Action 3D (the skeletons as JSON, all_sqe, "
            "as skeleton action recognition projects such as CTR-GCN link them)",
        ),
        (
            ShanghaiTech,
            "train_txt",
            ".txt files of ShanghaiTech Campus person box tracks (published with trajectory-based "
            "anomaly detection, arXiv 2207.02279) and the official frame masks (ShanghaiTech "
            "Campus data set)",
        ),
    ],
)
def test_missing_files_say_where_they_come_from(kind, name, files, tmp_path):
    for root, missing in ((tmp_path / "none", tmp_path / "none"), (tmp_path, tmp_path / name)):
        message = f"{missing} does not exist: put the {files} into {root / name}"
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            kind(root)
    (tmp_path / name).mkdir()
    message = f"{tmp_path / name} must have the {files}, got none: put them into {tmp_path / name}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        kind(tmp_path)
