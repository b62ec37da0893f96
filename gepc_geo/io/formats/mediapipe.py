"""MediaPipe pose landmarks as JSON, in the layout below (MediaPipe itself writes no files).

.. code-block:: json

    {"image_size": [1920, 1080], "fps": 25,
     "frames": [{"frame": 0, "pose_landmarks": [[{"x": 0.5, "y": 0.5, "visibility": 0.9}]]}]}

``pose_landmarks`` is that of ``PoseLandmarkerResult``: a list of people, each a list of 33
landmarks in shares of the image's width and height, or in pixels. A single person may be a list of
landmarks, no person null. ``image_size`` and ``fps`` are optional, and so are ``frame`` (default:
the position in the list; given numbers start at 0 or 1) and ``visibility`` (default, and value of
null: 1). Other entries (``z``, ``presence``, ``pose_world_landmarks``) are ignored.
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
    kind_of,
    skeleton_of,
)
from gepc_geo.io._common.text import head, read_json, whole_number
from gepc_geo.io._common.units import are_shares
from gepc_geo.io._common.writing import clips_by_frame, share_poses
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "MediaPipe pose landmarks"
JOINTS = {33: SKELETONS["mediapipe33"]}
_LANDMARK = ("x", "y", "visibility")


def detect(path: Path) -> bool:
    """Whether a file is a JSON object of ``image_size``, ``fps`` and ``frames``."""
    return bool(re.match(r'\s*\{\s*("(image_size|fps)"\s*:[^"]*)*"frames"\s*:', head(path)))


def read_mediapipe(path: Path) -> Clips:
    """Reads one video, which names the clip.

    Positions are in pixels if the file has an ``image_size``, otherwise in shares of a 1 by 1
    image. Visibility is the confidence, by default 1.

    Args:
        path: The file.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    content = read_json(path, _KIND)
    entries = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{path} must be {_KIND} with a list of frames, got none")
    size = content.get("image_size", [1, 1])
    if not (isinstance(size, list) and len(size) == 2 and all(_is_positive(v) for v in size)):
        raise InputError(f"{path}: image_size must be width and height in pixels, got {size!r:.40}")
    fps = content.get("fps")
    if fps is not None and not _is_positive(fps):
        raise InputError(f"{path}: fps must be a number above 0, got {fps!r:.40}")
    frame: list[int] = []
    poses: list[list[list[float]]] = []
    listed: list[int] = []
    for position, entry in enumerate(entries):
        people = entry.get("pose_landmarks", 0) if isinstance(entry, dict) else 0
        people = [] if people is None else people
        if isinstance(people, list) and people and isinstance(people[0], dict):
            people = [people]
        if not isinstance(people, list):
            raise InputError(
                f"{path}: frame at position {position} must have a list of people called "
                "pose_landmarks, got none"
            )
        number = whole_number(entry.get("frame", position), path, "frame")
        listed.append(number)
        for person in people:
            poses.append(_pose(person, path, number))
            frame.append(number)
    for pose in poses:
        skeleton_of(len(pose), None, JOINTS, path)
    values = finite_array(poses, path).reshape(len(poses), 33, 3)
    if are_shares(values[..., :2]):
        values[..., :2] *= np.array(size, dtype=np.float64)
    return build_clip(
        (path.stem,),
        values,
        frame,
        None,
        JOINTS[33],
        path,
        listed=listed,
        counted=True,
        image_size=[size],
        fps=None if fps is None else [fps],
    )


def write_mediapipe(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one file for each clip, positions to six decimals of the image's size, without ids.

    Raises:
        InputError: A clip of unknown image size.
    """
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = share_poses(tracks)
    for name, clip, frames in clips_by_frame(tracks):
        content: dict[str, Any] = {"image_size": tracks.image_size[clip].tolist()}
        if not np.isnan(tracks.fps[clip]):
            content["fps"] = float(tracks.fps[clip])
        content["frames"] = [
            {"frame": frame, "pose_landmarks": [_person(poses[row]) for row in rows]}
            for frame, rows in enumerate(frames)
        ]
        yield f"{name}.json", json.dumps(content)


def _person(pose: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(_LANDMARK, mark, strict=True)) for mark in pose.tolist()]


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9


def _pose(person: Any, path: Path, frame: int) -> list[list[float]]:
    """x, y, visibility of each landmark; values of any type."""
    if not isinstance(person, list):
        raise InputError(
            f"{path}: a person in frame {frame} must be a list of landmarks, got {kind_of(person)}"
        )
    for landmark in person:
        if not isinstance(landmark, dict) or not {"x", "y"} <= set(landmark):
            raise InputError(f"{path}: a landmark in frame {frame} must have x and y, got less")
    marks = ((mark["x"], mark["y"], mark.get("visibility")) for mark in person)
    return [[x, y, 1.0 if visibility is None else visibility] for x, y, visibility in marks]
