"""MMPose and RTMPose: the predictions of a video as JSON, or of each image of a folder.

``demo/topdown_demo_with_mmdet.py --save-predictions`` writes ``{"meta_info": {...},
"instance_info": [...]}``, ``MMPoseInferencer(pred_out_dir=...)`` the list alone. Its entries are
``{"frame_id": 1, "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}``; an
instance has a ``track_id`` where something tracked it. Of a folder of images the inferencer writes
the instances of each into a file of the image's name. Source: MMPose 1.x, demo and inferencer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.files import write_files
from gepc_geo.io.frames import clip_of
from gepc_geo.io.people import (
    COCO,
    build_clip,
    finite_array,
    joints_of,
    kind_of,
    lists_of,
    skeleton_of,
)
from gepc_geo.io.text import head, read_json, whole_number
from gepc_geo.io.writing import clips_by_frame, pixel_poses
from gepc_geo.skeleton import Skeleton
from gepc_geo.tracks import PoseTracks

_KIND = "MMPose's predictions of a video"
_IMAGE_KIND = "MMPose's predictions of an image"


def detect(path: Path) -> bool:
    """A JSON object that begins with ``meta_info`` or its frames, or the list of frames."""
    return bool(
        re.match(
            r'\s*(\{\s*"(meta_info|instance_info)"|\[\s*\{\s*"(frame_id|instances)")', head(path)
        )
    )


def detect_images(path: Path) -> bool:
    """A JSON list of objects that begin with key points in pairs."""
    return bool(re.match(r'\s*\[\s*\{\s*"keypoints"\s*:\s*\[\s*\[', head(path)))


def read_mmpose(path: Path, skeleton: Skeleton | None = None) -> PoseTracks:
    """Reads one video; the clip is named after the file, without the demo's ``results_``.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's or Halpe's by their number, where the names in
            ``meta_info``, if it has them, are the same.
    """
    content = read_json(path, _KIND)
    meta = content.get("meta_info") if isinstance(content, dict) else None
    info = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(info, list):
        raise InputError(f"{path} has no list of frames called instance_info, expected {_KIND}")
    frames: list[tuple[int, list[Any], Path]] = []
    for entry in info:
        people = entry.get("instances") if isinstance(entry, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{path} has a frame without a list of instances, expected {_KIND}")
        frames.append((whole_number(entry.get("frame_id"), path, "frame_id"), people, path))
    return _clip(path.stem.removeprefix("results_") or path.stem, frames, skeleton, path, meta)


def read_mmpose_images(files: Sequence[Path], skeleton: Skeleton | None = None) -> PoseTracks:
    """Reads one clip, a file an image.

    Args:
        files: Its frames.
        skeleton: Names the joints; ``None``: COCO's or Halpe's, by their number.
    """
    return _clip(clip_of(files[0]), lists_of(files, _IMAGE_KIND), skeleton, files[0])


def write_mmpose(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one ``results_NAME.json`` a clip, as the demo does, with ``track_id``; positions and
    scores to three decimals."""
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = pixel_poses(tracks)
    meta = {"keypoint_id2name": dict(enumerate(tracks.skeleton.joints))}
    for name, _, frames in clips_by_frame(tracks):
        info = [
            {
                "frame_id": frame,
                "instances": [_person(poses[row], int(tracks.track[row])) for row in rows],
            }
            for frame, rows in enumerate(frames)
        ]
        yield f"results_{name}.json", json.dumps({"meta_info": meta, "instance_info": info})


def _person(pose: np.ndarray, track: int) -> dict[str, Any]:
    return {
        "keypoints": pose[:, :2].tolist(),
        "keypoint_scores": pose[:, 2].tolist(),
        "track_id": track,
    }


def _clip(
    name: str,
    frames: Sequence[tuple[int, list[Any], Path]],
    skeleton: Skeleton | None,
    origin: Path,
    meta: Any = None,
) -> PoseTracks:
    """One clip of frame numbers, instances and the file that each is in."""
    frame: list[int] = []
    person: list[int | None] = []
    poses: list[np.ndarray] = []
    for number, people, path in frames:
        for one in people:
            poses.append(_pose(one, path, number))
            frame.append(number)
            track = one.get("track_id")
            person.append(None if track is None else whole_number(track, path, "track_id"))
    named = skeleton_of(joints_of(poses, origin), skeleton, COCO, origin)
    if skeleton is None and poses:
        _check_names(meta, named, origin)
    values = np.array(poses).reshape(len(poses), named.num_joints, 3)
    length = max((number + 1 for number, _, _ in frames), default=0)
    return build_clip(name, values, frame, person, named, origin, length)


def _check_names(meta: Any, skeleton: Skeleton, path: Path) -> None:
    """Other data sets have 17 joints too (Human3.6M), under other names."""
    names = meta.get("keypoint_id2name") if isinstance(meta, Mapping) else None
    if not isinstance(names, Mapping):
        return
    for joint, expected in enumerate(skeleton.joints):
        found = names.get(str(joint), expected)
        if found != expected:
            raise InputError(
                f"{path} calls joint {joint} {found!r:.40}, expected {expected!r} as in skeleton "
                f"{skeleton.name!r}, or a skeleton of its own (--skeleton)"
            )


def _pose(one: Any, path: Path, frame: int) -> np.ndarray:
    """x, y, score of each joint, :math:`[V, 3]`."""
    if not isinstance(one, dict):
        raise InputError(
            f"{path} has {kind_of(one)} as an instance of frame {frame}, expected its keypoints"
        )
    points = finite_array(one.get("keypoints", []), path)
    scores = finite_array(one.get("keypoint_scores", []), path)
    if points.ndim != 2 or points.shape[1:] != (2,) or scores.shape != points.shape[:1]:
        raise InputError(
            f"{path} has keypoints of shape {list(points.shape)} and keypoint_scores of "
            f"{list(scores.shape)} in frame {frame}, expected joints by 2, and a score of each"
        )
    return np.concatenate([points, scores[:, None]], axis=1)
