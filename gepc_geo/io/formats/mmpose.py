"""MMPose and RTMPose: the predictions of a video as JSON, or of each image of a folder.

``demo/topdown_demo_with_mmdet.py --save-predictions`` writes ``{"meta_info": {...},
"instance_info": [...]}``, ``MMPoseInferencer(pred_out_dir=...)`` the list alone. Its entries are
``{"frame_id": 1, "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}``; an
instance has a ``track_id`` where something tracked it. The demos count frames from 1, the inferencer
from 0. Results of the inferencer that were saved by hand are a list of frames, each a list of
instances, or ``{"predictions": [...]}`` of these.

Of a folder of images the inferencer writes the instances of each into a file of the image's name, some
versions in a list of one list; the demo writes ``results_NAME.json`` with ``instance_info``, a list of
instances. Versions before 1.0 give x, y, score of each joint. 3D lifters give three coordinates a
joint, in metres. Source: MMPose 1.x, demo and inferencer.
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
# Frames with nobody may come first.
_NESTED = re.compile(r'\s*\[\s*(\[\s*\]\s*,\s*)*\[\s*\{[^{}]*"keypoints"\s*:\s*\[\s*\[')
# Many frames with nobody may come first.
_LONG = 65536
# The lifters that MMPose has by name give Human3.6M's joints.
_LIFTED = {17: SKELETONS["h36m17"]}


def detect(path: Path) -> bool:
    """A JSON object that begins with ``meta_info`` or its frames, or the list of frames."""
    if detect_images(path):
        return False
    start = head(path, _LONG)
    return bool(
        re.match(
            r'\s*(\{\s*"(meta_info|instance_info)"|\[?\s*\{\s*"predictions"\s*:\s*\[\s*\[|\[\s*\{\s*"(frame_id|instances)")',
            start,
        )
    ) or bool(_NESTED.match(start))


def detect_images(path: Path) -> bool:
    """A JSON list of objects that begin with key points in pairs; the same in a list of one, or as the demo
    writes it."""
    start = head(path, _LONG)
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
    """Whether it is a list of lists of instances: of one, it is an image or a video of one frame."""
    return bool(_NESTED.match(head(path, _LONG)))


def read_mmpose(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one video; the clip is named after the file, without the demo's ``results_``.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: the names in ``meta_info``; without it COCO's or Halpe's by
            their number, of 3D poses Human3.6M's.
    """
    content = read_json(path, _KIND)
    meta = content.get("meta_info") if isinstance(content, dict) else None
    info = _frames_of(content)
    if not isinstance(info, list):
        raise InputError(f"{path} has no list of frames called instance_info, expected {_KIND}")
    frames: list[tuple[int, list[Any], Path]] = []
    for position, entry in enumerate(info):
        if isinstance(entry, list):
            frames.append((position, entry, path))
            continue
        people = entry.get("instances") if isinstance(entry, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{path} has a frame without a list of instances, expected {_KIND}")
        frames.append((whole_number(entry.get("frame_id"), path, "frame_id"), people, path))
    name = path.stem.removeprefix("results_") or path.stem
    return _clip((name,), frames, skeleton, path, meta, counted=True)


def read_mmpose_images(files: FrameFiles, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip, a file an image.

    Args:
        files: Its frames.
        skeleton: Names the joints; ``None``: COCO's or Halpe's by their number, of 3D poses Human3.6M's.
    """
    frames: list[tuple[int, list[Any], Path]] = []
    meta = None
    for number, path in zip(files.frames, files.paths, strict=True):
        people = read_json(path, _IMAGE_KIND)
        if isinstance(people, dict) and "instance_info" in people:
            meta, people = people.get("meta_info"), people.get("instance_info")
        if not isinstance(people, list):
            raise InputError(f"{path} holds {kind_of(people)}, expected {_IMAGE_KIND}")
        nested = len(people) == 1 and isinstance(people[0], list)
        frames.append((number, people[0] if nested else people, path))
    parts = tuple(one.removeprefix("results_") for one in files.parts)
    return _clip(parts, frames, skeleton, files.paths[0], meta, counted=not files.timed)


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
    """The list of frames in any of the layouts."""
    if isinstance(content, dict):
        return content.get("instance_info", content.get("predictions"))
    if isinstance(content, list) and all(
        isinstance(c, dict) and "predictions" in c for c in content
    ):
        frames = [c["predictions"] or [[]] for c in content]
        # Whatever is no list is refused as a frame is.
        return [one for some in frames for one in (some if isinstance(some, list) else [some])]
    return content


def _clip(
    parts: tuple[str, ...],
    frames: Sequence[tuple[int, list[Any], Path]],
    skeleton: Skeleton | None,
    origin: Path,
    meta: Any = None,
    counted: bool = False,
) -> Clips:
    """One clip of frame numbers, instances and the file that each is in."""
    frame: list[int] = []
    person: list[int | None] = []
    poses: list[np.ndarray] = []
    owner: list[Path] = []
    for number, people, path in frames:
        for one in people:
            poses.append(_pose(one, path, number))
            frame.append(number)
            owner.append(path)
            track = one.get("track_id")
            person.append(None if track is None else whole_number(track, path, "track_id"))
            if poses[-1].shape[1] != poses[0].shape[1]:
                raise InputError(
                    f"{path} has keypoints of {poses[-1].shape[1] - 1} coordinates in frame {number}, "
                    f"expected {poses[0].shape[1] - 1} as in the frames before"
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


def _pose(one: Any, path: Path, frame: int) -> np.ndarray:
    """x, y (and z), score of each joint, :math:`[V, 3]` or :math:`[V, 4]`."""
    if not isinstance(one, dict):
        raise InputError(
            f"{path} has {kind_of(one)} as an instance of frame {frame}, expected its keypoints"
        )
    points = finite_array(one.get("keypoints", []), path)
    if "keypoint_scores" not in one and points.ndim == 2 and points.shape[1] == 3:
        # As versions before 1.0 have them.
        return points
    scores = finite_array(one.get("keypoint_scores", one.get("scores", [])), path)
    # Lifters give a list of one pose.
    points = points[0] if points.ndim == 3 and len(points) == 1 else points
    scores = scores[0] if scores.ndim == 2 and len(scores) == 1 else scores
    if points.ndim != 2 or points.shape[1] not in (2, 3) or scores.shape != points.shape[:1]:
        raise InputError(
            f"{path} has keypoints of shape {list(points.shape)} and keypoint_scores of "
            f"{list(scores.shape)} in frame {frame}, expected joints by 2 or 3, and a score of each"
        )
    return np.concatenate([points, scores[:, None]], axis=1)
