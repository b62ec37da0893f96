"""OpenPifPaf: a file of people for each picture, or a line of JSON for each frame of a video.

``openpifpaf.predict --json-output`` writes ``NAME.jpg.predictions.json``, a list of people, and
``openpifpaf.video --json-output`` writes ``NAME.mp4.openpifpaf.json``, lines with ``frame`` and
``predictions``. Frames count from 1 (from 0 in old versions). Missing joints have score 0. Source:
the OpenPifPaf documentation, "Prediction", and ``openpifpaf.video``, ``openpifpaf.stream``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips, FrameFiles, build_clip
from gepc_geo.io._common.people import COCO, lists_of, pose_array, skeleton_of
from gepc_geo.io._common.text import head, parse_json, read_text, whole_number
from gepc_geo.poses.skeleton import Skeleton

_KIND = "OpenPifPaf's predictions"
_ENTRIES = {"keypoints", "bbox", "score"}
# This holds an annotation of up to 133 joints.
_HEAD = 1 << 14


def detect(path: Path) -> bool:
    """Whether a file is a list of people with flat key points, without COCO's ``image_id``."""
    first = re.match(r"\s*\[\s*\{[^{}]*\}", head(path, _HEAD))
    if first is None or re.search(r'"keypoints"\s*:\s*\[\s*\[', first[0]):
        return False
    names = set(re.findall(r'"(\w+)"\s*:', first[0]))
    return names >= _ENTRIES and "image_id" not in names


def detect_video(path: Path) -> bool:
    """Whether a file is an object that begins with ``frame`` and ``predictions``."""
    return bool(
        re.match(r'\s*\{\s*"frame"\s*:\s*\d+\s*,\s*"predictions"\s*:\s*\[', head(path, 256))
    )


def read_openpifpaf(files: FrameFiles, skeleton: Skeleton | None) -> Clips:
    """Reads one clip with a file for each picture.

    Args:
        files: The files of the frames.
        skeleton: Names the joints; ``None``: COCO's, by their number.

    Raises:
        InputError: Another kind of file, people with different joints.
    """
    people = [
        (frame, prediction, path)
        for frame, found, path in lists_of(files, _KIND)
        for prediction in found
    ]
    return _clip(
        files.parts,
        people,
        skeleton,
        files.paths[0],
        listed=files.frames,
        counted=not files.timed,
    )


def read_openpifpaf_video(path: Path, skeleton: Skeleton | None) -> Clips:
    """Reads one video, which names the clip.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's, by their number.

    Raises:
        InputError: A line of another kind, people with different joints.
    """
    people: list[tuple[int, Any, Path]] = []
    listed = []
    for number, line in enumerate(read_text(path, _KIND).split("\n"), start=1):
        if not line.strip():
            continue
        entry = parse_json(line, path, f"{_KIND} in line {number}")
        found = entry.get("predictions") if isinstance(entry, dict) else None
        if not isinstance(found, list):
            raise InputError(
                f"{path} must be {_KIND} with a list of predictions in line {number}, got none"
            )
        frame = whole_number(entry.get("frame"), path, f"frame in line {number}")
        listed.append(frame)
        people += [(frame, prediction, path) for prediction in found]
    name = re.sub(r"\.openpifpaf$", "", path.stem)
    name = re.sub(r"\.(mp4|avi|mov|mkv|webm)$", "", name, flags=re.IGNORECASE)
    return _clip((name,), people, skeleton, path, listed=listed, counted=True)


# -- inner -----------------------------------------------------------------------------------------


def _clip(
    parts: tuple[str, ...],
    people: list[tuple[int, Any, Path]],
    skeleton: Skeleton | None,
    first: Path,
    **clip: Any,
) -> Clips:
    frame: list[int] = []
    person: list[int | None] = []
    score: list[float] = []
    poses: list[list[Any]] = []
    owner: list[Path] = []
    for number, prediction, path in people:
        if not isinstance(prediction, dict) or "keypoints" not in prediction:
            raise InputError(
                f"{path}: a prediction in frame {number} must have keypoints, got none"
            )
        pose = prediction["keypoints"]
        pose_array([pose], path)
        if poses and len(pose) != len(poses[0]):
            raise InputError(
                f"{path} must have poses of {len(poses[0]) // 3} joints as in the poses before, "
                f"got {len(pose) // 3}"
            )
        frame.append(number)
        poses.append(pose)
        score.append(_score(prediction.get("score", 0), path))
        owner.append(path)
        identity = prediction.get("id_")
        person.append(None if identity is None else whole_number(identity, path, "id_"))
    values = pose_array(poses, first)
    named = skeleton_of(values.shape[1] if poses else None, skeleton, COCO, first)
    # Missing joints have positions outside the image.
    values[values[..., 2] == 0] = 0
    return build_clip(parts, values, frame, person, named, owner or first, score=score, **clip)


def _score(value: Any, path: Path) -> float:
    """The score of a pose, to choose among poses of one person."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1e9:
        raise InputError(f"{path}: score must be a number, got {json.dumps(value)[:40]}")
    return float(value)
