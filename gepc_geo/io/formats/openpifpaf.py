"""OpenPifPaf: a file of people for every picture, or a line of JSON for every frame of a video.

``openpifpaf.predict --json-output`` writes ``NAME.jpg.predictions.json``, a list of people, and
``openpifpaf.video --json-output`` writes ``NAME.mp4.openpifpaf.json``, lines of ``frame`` and ``predictions``.
Frames are counted from 1 (from 0 in old versions). Joints that were not found have score 0. Source: the
OpenPifPaf documentation, "Prediction", and ``openpifpaf.video``, ``openpifpaf.stream``.
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
# An annotation of up to 133 joints is within this.
_HEAD = 1 << 14


def detect(path: Path) -> bool:
    """A list whose first entry is a person with flat key points, without an ``image_id``, which COCO's
    results have."""
    first = re.match(r"\s*\[\s*\{[^{}]*\}", head(path, _HEAD))
    if first is None or re.search(r'"keypoints"\s*:\s*\[\s*\[', first[0]):
        return False
    names = set(re.findall(r'"(\w+)"\s*:', first[0]))
    return names >= _ENTRIES and "image_id" not in names


def detect_video(path: Path) -> bool:
    """An object that begins with ``frame`` and ``predictions``."""
    return bool(
        re.match(r'\s*\{\s*"frame"\s*:\s*\d+\s*,\s*"predictions"\s*:\s*\[', head(path, 256))
    )


def read_openpifpaf(files: FrameFiles, skeleton: Skeleton | None) -> Clips:
    """Reads the pictures of one clip.

    Raises:
        InputError: A file of another form, people of different joints.
    """
    people = [(frame, one, path) for frame, found, path in lists_of(files, _KIND) for one in found]
    return _clip(
        files.parts,
        people,
        skeleton,
        files.paths[0],
        listed=files.frames,
        counted=not files.timed,
    )


def read_openpifpaf_video(path: Path, skeleton: Skeleton | None) -> Clips:
    """Reads one video; the clip is named after it.

    Raises:
        InputError: A line of another form, people of different joints.
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
                f"{path} has no list of predictions in line {number}, expected {_KIND}"
            )
        frame = whole_number(entry.get("frame"), path, f"in line {number} frame")
        listed.append(frame)
        people += [(frame, one, path) for one in found]
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
    for number, one, path in people:
        if not isinstance(one, dict) or "keypoints" not in one:
            raise InputError(
                f"{path} has a prediction without keypoints in frame {number}, expected {_KIND}"
            )
        pose = one["keypoints"]
        pose_array([pose], path)
        if poses and len(pose) != len(poses[0]):
            raise InputError(
                f"{path} has a pose of {len(pose) // 3} joints, expected {len(poses[0]) // 3} as in the "
                "poses before"
            )
        frame.append(number)
        poses.append(pose)
        score.append(_score(one.get("score", 0), path))
        owner.append(path)
        identity = one.get("id_")
        person.append(None if identity is None else whole_number(identity, path, "id_"))
    values = pose_array(poses, first)
    named = skeleton_of(values.shape[1] if poses else None, skeleton, COCO, first)
    # Joints that were not found lie off the image.
    values[values[..., 2] == 0] = 0
    return build_clip(parts, values, frame, person, named, owner or first, score=score, **clip)


def _score(value: Any, path: Path) -> float:
    """How sure a pose is; only to choose between two of one person."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1e9:
        raise InputError(f"{path} has score {json.dumps(value)[:40]}, expected a number")
    return float(value)
