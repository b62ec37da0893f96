"""MMPose and RTMPose: predictions of a video, or of each image of a folder, as JSON.

``demo/topdown_demo_with_mmdet.py --save-predictions`` writes ``{"meta_info": {...},
"instance_info": [...]}``, ``MMPoseInferencer(pred_out_dir=...)`` only the list. Its entries are
``{"frame_id": 1, "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}``; a
tracked instance has a ``track_id``. The demos count frames from 1, the inferencer from 0. Manually
saved results of the inferencer are a list of frames, each a list of instances, or ``{"predictions":
[...]}`` of these.

For a folder of images the inferencer writes the instances of each image into a file of its name,
some versions in a list of one list; the demo writes ``results_NAME.json`` with a list of instances
as ``instance_info``. Versions before 1.0 give x, y, score of each joint. 3D lifters give three
coordinates of a joint, in metres. Source: MMPose 1.x, demo and inferencer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips, FrameFiles, build_clip
from gepc_geo.io._common.people import (
    COCO,
    finite_array,
    joints_of,
    kind_of,
    skeleton_of,
)
from gepc_geo.io._common.text import head, parse_json, read_json, read_text, whole_number
from gepc_geo.io._common.writing import clips_by_frame, pixel_poses
from gepc_geo.io.formats.mmpose_meta import skeleton_of_meta
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "MMPose's predictions of a video"
_IMAGE_KIND = "MMPose's predictions of an image"
# Frames without people may come first.
_NESTED = re.compile(r'\s*\[\s*(\[\s*\]\s*,\s*)*\[\s*\{[^{}]*"keypoints"\s*:\s*\[\s*\[')
# Many frames without people may come first.
_HEAD = 65536
# MMPose's named lifters give Human3.6M's joints.
_LIFTED = {17: SKELETONS["h36m17"]}


def detect(path: Path) -> bool:
    """Whether a file is an object with ``meta_info`` or frames, or a list of frames."""
    if detect_images(path):
        return False
    start = head(path, _HEAD)
    return bool(
        re.match(
            r'\s*(\{\s*"(meta_info|instance_info)"|\[?\s*\{\s*"predictions"\s*:\s*\[\s*\[|\[\s*\{\s*"(frame_id|instances)")',
            start,
        )
    ) or bool(_NESTED.match(start))


def detect_images(path: Path) -> bool:
    """Whether a file has one image: objects with pairs of key points, in a list or the demo's."""
    start = head(path, _HEAD)
    if re.match(r'\s*\[\s*\{[^{}]*"keypoints"\s*:\s*\[\s*\[', start):
        return True
    demo = re.match(r'\s*\{\s*"(meta_info|instance_info)"', start)
    if not (demo or _NESTED.match(start)) or not re.search(r"\d", path.stem):
        return False
    try:
        text = read_text(path, _IMAGE_KIND)
        if demo:
            return bool(re.search(r'"instance_info"\s*:\s*\[\s*(\]|\{\s*"keypoints"\s*:)', text))
        return len(parse_json(text, path, _IMAGE_KIND)) == 1
    except InputError:
        return False


def is_nested(path: Path) -> bool:
    """Whether a file is a list of lists of instances, of an image or of a video."""
    return bool(_NESTED.match(head(path, _HEAD)))


def read_mmpose(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one video, which names the clip, without the demo's ``results_``.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: the names in ``meta_info``; without these COCO's or
            Halpe's by their number, Human3.6M's for 3D poses.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    content = read_json(path, _KIND)
    meta = content.get("meta_info") if isinstance(content, dict) else None
    info = _frames_of(content)
    if not isinstance(info, list):
        raise InputError(f"{path} must be {_KIND} with a list called instance_info, got none")
    frames: list[tuple[int, list[Any], Path]] = []
    for position, entry in enumerate(info):
        if isinstance(entry, list):
            frames.append((position, entry, path))
            continue
        people = entry.get("instances") if isinstance(entry, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{path} must be {_KIND}, got a frame without a list of instances")
        frames.append((whole_number(entry.get("frame_id"), path, "frame_id"), people, path))
    name = path.stem.removeprefix("results_") or path.stem
    return _clip((name,), frames, skeleton, path, meta, counted=True)


def read_mmpose_images(files: FrameFiles, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip with a file for each image.

    Args:
        files: The files of the frames.
        skeleton: Names the joints; ``None``: COCO's or Halpe's by their number, Human3.6M's for 3D
            poses.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    frames: list[tuple[int, list[Any], Path]] = []
    meta = None
    for number, path in zip(files.frames, files.paths, strict=True):
        people = read_json(path, _IMAGE_KIND)
        if isinstance(people, dict) and "instance_info" in people:
            meta, people = people.get("meta_info"), people.get("instance_info")
        if not isinstance(people, list):
            raise InputError(f"{path} must be {_IMAGE_KIND}, got {kind_of(people)}")
        nested = len(people) == 1 and isinstance(people[0], list)
        frames.append((number, people[0] if nested else people, path))
    parts = tuple(part.removeprefix("results_") for part in files.parts)
    return _clip(parts, frames, skeleton, files.paths[0], meta, counted=not files.timed)


def write_mmpose(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one ``results_NAME.json`` for each clip, as the demo does.

    Instances have a ``track_id``; values have three decimals.
    """
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
            for frame, rows in enumerate(frames, start=1)
        ]
        yield f"results_{name}.json", json.dumps({"meta_info": meta, "instance_info": info})


def _person(pose: np.ndarray, track: int) -> dict[str, Any]:
    return {
        "keypoints": pose[:, :2].tolist(),
        "keypoint_scores": pose[:, 2].tolist(),
        "track_id": track,
    }


def _frames_of(content: Any) -> Any:
    """The list of frames of any layout."""
    if isinstance(content, dict):
        return content.get("instance_info", content.get("predictions"))
    if isinstance(content, list) and all(
        isinstance(c, dict) and "predictions" in c for c in content
    ):
        frames = [c["predictions"] or [[]] for c in content]
        # The check of frames refuses anything but lists.
        return [
            people for frame in frames for people in (frame if isinstance(frame, list) else [frame])
        ]
    return content


def _clip(
    parts: tuple[str, ...],
    frames: Sequence[tuple[int, list[Any], Path]],
    skeleton: Skeleton | None,
    origin: Path,
    meta: Any = None,
    counted: bool = False,
) -> Clips:
    """Makes a clip from frame numbers, instances and the file of each frame."""
    frame: list[int] = []
    person: list[int | None] = []
    poses: list[np.ndarray] = []
    owner: list[Path] = []
    for number, people, path in frames:
        for instance in people:
            poses.append(_pose(instance, path, number))
            frame.append(number)
            owner.append(path)
            track = instance.get("track_id")
            person.append(None if track is None else whole_number(track, path, "track_id"))
            if poses[-1].shape[1] != poses[0].shape[1]:
                raise InputError(
                    f"{path}: keypoints in frame {number} must have {poses[0].shape[1] - 1} "
                    f"coordinates as in the frames before, got {poses[-1].shape[1] - 1}"
                )
    joints = joints_of(poses, owner)
    lifted = bool(poses) and poses[0].shape[1] == 4
    named = (
        skeleton
        if joints is None or skeleton is not None
        else skeleton_of_meta(meta, joints, origin)
    )
    if named is None or named.num_joints != joints:
        named = skeleton_of(joints, skeleton, _LIFTED if lifted else COCO, origin)
    values = np.array(poses).reshape(len(poses), named.num_joints, 4 if lifted else 3)
    listed = [number for number, _, _ in frames]
    return build_clip(
        parts, values, frame, person, named, owner or origin, listed=listed, counted=counted
    )


def _pose(instance: Any, path: Path, frame: int) -> np.ndarray:
    """x, y (and z), score of each joint, :math:`[V, 3]` or :math:`[V, 4]`."""
    if not isinstance(instance, dict):
        raise InputError(
            f"{path}: an instance in frame {frame} must be an object, got {kind_of(instance)}"
        )
    points = finite_array(instance.get("keypoints", []), path)
    if "keypoint_scores" not in instance and points.ndim == 2 and points.shape[1] == 3:
        # Versions before 1.0 have this layout.
        return points
    scores = finite_array(instance.get("keypoint_scores", instance.get("scores", [])), path)
    # Lifters give a list of one pose.
    points = points[0] if points.ndim == 3 and len(points) == 1 else points
    scores = scores[0] if scores.ndim == 2 and len(scores) == 1 else scores
    if points.ndim != 2 or points.shape[1] not in (2, 3) or scores.shape != points.shape[:1]:
        raise InputError(
            f"{path}: an instance in frame {frame} must have keypoints of joints by 2 or 3, and a "
            f"score of each joint, got shapes {list(points.shape)} and {list(scores.shape)}"
        )
    return np.concatenate([points, scores[:, None]], axis=1)
