"""Kinetics-skeleton, the JSON files of ST-GCN (Yan et al., AAAI 2018), one file for each clip.

``{"data": [{"frame_index": 1, "skeleton": [{"pose": [x, y, ...], "score": [...]}]}], "label": ...,
"label_index": ...}`` with OpenPose's 18 joints in shares of the image (the published files come
from videos of 340 by 256 pixels) and no person ids; frames count from 1. The published halves are
in ``kinetics_train`` and ``kinetics_val``. Source: ST-GCN's data description and its feeder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips, build_clip
from gepc_geo.io._common.people import (
    finite_array,
    joints_of,
    kind_of,
    skeleton_of,
)
from gepc_geo.io._common.text import head, read_json, whole_number
from gepc_geo.io._common.writing import clips_by_frame, share_poses
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "a Kinetics-skeleton file"
JOINTS = {18: SKELETONS["coco18"]}
# By the file's folder.
_SPLITS = {"kinetics_train": "train", "kinetics_val": "test"}


def detect(path: Path) -> bool:
    """Whether a file is a JSON object that begins with a list of frames called ``data``."""
    return bool(
        re.match(r'\s*\{\s*"data"\s*:\s*\[\s*(\]|\{\s*"(frame_index|skeleton)")', head(path))
    )


def read_kinetics(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip; its class is ``label``, and its image size is 1 by 1 (positions are shares).

    The split is ``train`` in a folder ``kinetics_train``, ``test`` in ``kinetics_val``, otherwise
    unknown.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of OpenPose.

    Raises:
        InputError: Another kind of file, or another number of joints.
    """
    content = read_json(path, _KIND)
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, list):
        raise InputError(f"{path} must be {_KIND} with a list of frames called data, got none")
    frame: list[int] = []
    poses: list[np.ndarray] = []
    listed: list[int] = []
    for entry in data:
        people = entry.get("skeleton") if isinstance(entry, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{path} must be {_KIND}, got a frame without a list called skeleton")
        number = whole_number(entry.get("frame_index"), path, "frame_index")
        listed.append(number)
        for person in people:
            poses.append(_pose(person, path, number))
            frame.append(number)
    named = skeleton_of(joints_of(poses, path), skeleton, JOINTS, path)
    values = np.array(poses).reshape(len(poses), named.num_joints, 3)
    label = content.get("label", "")
    return build_clip(
        (path.stem,),
        values,
        frame,
        None,
        named,
        path,
        listed=listed,
        counted=True,
        image_size=[[1, 1]],
        clip_label=[label if isinstance(label, str) else ""],
        # An absolute path names the folder of a file in the current folder.
        clip_split=[_SPLITS.get(path.absolute().parent.name, "")],
    )


def write_kinetics(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one file for each clip, positions to six decimals of the image's size.

    Person ids are lost. Splits are lost too, as readers take them from the folder. ``label_index``
    is the position of the class in alphabetical order.

    Raises:
        InputError: A clip of unknown image size.
    """
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = share_poses(tracks)
    classes = sorted(set(tracks.clip_label))
    for name, clip, frames in clips_by_frame(tracks):
        data = [
            {"frame_index": frame, "skeleton": [_person(poses[row]) for row in rows]}
            for frame, rows in enumerate(frames, start=1)
        ]
        label = tracks.clip_label[clip]
        content = {"data": data, "label": label, "label_index": classes.index(label)}
        yield f"{name}.json", json.dumps(content)


def _person(pose: np.ndarray) -> dict[str, list[float]]:
    return {"pose": pose[:, :2].ravel().tolist(), "score": pose[:, 2].tolist()}


def _pose(person: Any, path: Path, frame: int) -> np.ndarray:
    """x, y, score of each joint, :math:`[V, 3]`."""
    if not isinstance(person, dict):
        raise InputError(
            f"{path}: a person in frame {frame} must be an object, got {kind_of(person)}"
        )
    pose, score = (finite_array(person.get(name, []), path) for name in ("pose", "score"))
    if pose.ndim != 1 or score.ndim != 1 or not len(score) or len(pose) != 2 * len(score):
        raise InputError(
            f"{path}: a person in frame {frame} must have x and y, and a score, of each joint, got "
            f"a pose of shape {list(pose.shape)} and a score of {list(score.shape)}"
        )
    return np.concatenate([pose.reshape(-1, 2), score[:, None]], axis=1)
