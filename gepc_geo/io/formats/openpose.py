"""OpenPose: a JSON file for each frame, as ``--write_json`` writes them.

``NAME_000000000012_keypoints.json`` is ``{"version": ..., "people": [...]}``. Each person has
``pose_keypoints_2d`` (x, y, score of each joint; 25 of BODY_25 or BODY_25B, or 18 of COCO) and
``person_id`` (``[-1]`` without tracking). Versions before 1.3 call the key points
``pose_keypoints``. Frames of a video count from 0, in 12 digits; pictures of a folder keep their
names. Face, hands and part candidates are ignored. Source: the OpenPose documentation, "Output".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips, FrameFiles, Remark, build_clip
from gepc_geo.io._common.joint_orders import ORDERS, nearest_order
from gepc_geo.io._common.people import pose_array, skeleton_of
from gepc_geo.io._common.text import head, read_json, whole_number
from gepc_geo.io._common.writing import clips_by_frame, flat_poses
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "an OpenPose key point file"
JOINTS = {25: SKELETONS["body25"], 18: SKELETONS["coco18"]}
# Skeletons of other tools with this layout.
_OTHERS = {26: SKELETONS["halpe26"], 17: SKELETONS["coco17"]}
_OF_VIDEO = re.compile(r"(^|.*_)\d{12}_keypoints", re.DOTALL)


def detect(path: Path) -> bool:
    """Whether a file is a JSON object that begins with ``people``."""
    return bool(
        re.match(r'\s*\{\s*("version"\s*:\s*[^,]{1,20},\s*)?"(people|bodies)"\s*:\s*\[', head(path))
    )


def read_openpose(files: FrameFiles, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip.

    Args:
        files: The files of the frames.
        skeleton: Names the joints; ``None``: by their number and the lengths of bones BODY_25,
            BODY_25B or COCO-18, or of other tools Halpe's 26 or COCO's 17.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    frame: list[int] = []
    person: list[int | None] = []
    poses: list[list[Any]] = []
    owner: list[Path] = []
    faces: list[Path] = []
    for number, path in zip(files.frames, files.paths, strict=True):
        for detection in _people(path):
            pose = pose_of(detection)
            if pose == []:
                faces.append(path)
                continue
            if pose is None:
                raise InputError(
                    f"{path}: a person must have pose_keypoints_2d (x, y, score of each joint), "
                    "got none"
                )
            pose_array([pose], path)
            if poses and len(pose) != len(poses[0]):
                raise InputError(
                    f"{path} must have poses of {len(poses[0]) // 3} joints as in the frames "
                    f"before, got {len(pose) // 3}"
                )
            frame.append(number)
            poses.append(pose)
            owner.append(path)
            person.append(_id(detection.get("person_id", -1), path))
    first = files.paths[0]
    values = pose_array(poses, first)
    named = skeleton_of(values.shape[1] if poses else None, skeleton, {**JOINTS, **_OTHERS}, first)
    if poses and skeleton is None and named in ORDERS:
        named = nearest_order(values, ORDERS)
    clips = build_clip(
        files.parts,
        values,
        frame,
        person,
        named,
        owner or first,
        listed=files.frames,
        counted=not files.timed and not all(_OF_VIDEO.fullmatch(path.stem) for path in files.paths),
    )
    if faces:
        text = "{count} of {total} people have only a face or hands and are left out"
        clips.remarks.append(Remark(text, len(faces), len(faces) + len(poses), faces[0]))
    return clips


def write_openpose(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes a folder for each clip with a file for each frame, values to three decimals.

    Raises:
        InputError: Negative ids.
    """
    if (tracks.track < 0).any():
        raise InputError(
            f"person ids must be 0 or more in OpenPose's files, got {tracks.track.min()}"
        )
    return write_files(folder, _files(tracks))


def people_of(content: Any, path: Path) -> list[dict[str, Any]]:
    """The people of a frame: ``people``, or ``bodies`` with ``joints`` in AlphaPose's cmu format.

    Raises:
        InputError: Another value than a list of objects.
    """
    people = content.get("people", content.get("bodies")) if isinstance(content, dict) else None
    if not isinstance(people, list) or not all(isinstance(detection, dict) for detection in people):
        raise InputError(f"{path} must be {_KIND} with a list of people, got none")
    return people


def pose_of(detection: dict[str, Any]) -> Any:
    """A person's key points, by any of their names; ``None`` without any."""
    names = ("pose_keypoints_2d", "pose_keypoints", "joints")
    return next((detection[name] for name in names if name in detection), None)


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = flat_poses(tracks)
    for name, _, frames in clips_by_frame(tracks):
        for frame, rows in enumerate(frames):
            people = [
                {"person_id": [int(tracks.track[row])], "pose_keypoints_2d": poses[row]}
                for row in rows
            ]
            text = json.dumps({"version": 1.3, "people": people})
            yield f"{name}/{name}_{frame:012d}_keypoints.json", text


def _people(path: Path) -> list[dict[str, Any]]:
    content = read_json(path, _KIND)
    return people_of(content, path)


def _id(value: Any, path: Path) -> int | None:
    """A person's id; ``None`` for OpenPose's -1, which means untracked."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    number = whole_number(value, path, "person_id")
    return None if number < 0 else number
