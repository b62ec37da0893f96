"""AlphaPose: result lists, and tracked persons as dicts.

A result list is one JSON array with an object a person and frame: ``image_id`` (the frame number is
its last run of digits before the ending), ``keypoints`` (x, y, score of each joint), ``score`` and ``idx`` (person).
A tracked-person file maps person -> frame -> ``{"keypoints": [...]}``; frame numbers may be padded
with zeros, and a person may be a list of such dicts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.files import atomic_path
from gepc_geo.io.text import head, read_json, whole_number
from gepc_geo.skeleton import SKELETONS, Skeleton
from gepc_geo.tracks import PoseTracks

_TRACKED = "_alphapose_tracked_person"
_RESULTS = "alphapose-results"
_BY_JOINTS = {17: SKELETONS["coco17"], 18: SKELETONS["coco18"]}


def detect_tracks(path: Path) -> bool:
    """A JSON object of persons (or no person at all)."""
    start = head(path)
    return bool(
        re.match(r'\s*\{\s*("-?\d+"\s*:\s*[\[{]|\}\s*$)', start)
        or (path.stem.endswith(_TRACKED) and path.suffix.lower() == ".json")
    )


def detect_results(path: Path) -> bool:
    """A JSON array of objects with ``image_id`` (or an empty one)."""
    start = head(path)
    return bool(re.match(r"\s*\[\s*(\{|\]\s*$)", start)) and (
        '"image_id"' in start or start.strip() == "[]"
    )


def read_alphapose_tracks(path: Path, skeleton: Skeleton | None = None) -> PoseTracks:
    """Reads one tracked-person file; the clip is named after it.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18, by their number.
    """
    content = read_json(path, "an AlphaPose tracked-person file")
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {_kind(content)}, expected an object of persons")
    rows = []
    for person, frames in content.items():
        track = whole_number(person, path, "person")
        for part in frames if isinstance(frames, list) else [frames]:
            if not isinstance(part, dict):
                raise InputError(
                    f"{path} has a {_kind(part)} for person {person}, expected frames by number"
                )
            for frame, pose in part.items():
                number = whole_number(frame, path, "frame")
                rows.append((number, track, _points(pose, path, f"person {person} frame {frame}")))
    return _tracks(path, path.stem.removesuffix(_TRACKED) or path.stem, rows, skeleton)


def read_alphapose_results(path: Path, skeleton: Skeleton | None = None) -> PoseTracks:
    """Reads one result list; the clip is named after it (or after its folder).

    Of several poses of one person in one frame the one with the highest score is kept.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18, by their number.
    """
    content = read_json(path, "an AlphaPose result list")
    if not isinstance(content, list):
        raise InputError(f"{path} holds a {_kind(content)}, expected a list of poses")
    best: dict[tuple[int, int], tuple[float, Any]] = {}
    for i, pose in enumerate(content):
        if not isinstance(pose, dict):
            raise InputError(f"{path} has a {_kind(pose)} at position {i}, expected an object")
        frame = _frame_of(pose.get("image_id"), path, i)
        track = _person_of(pose.get("idx"), path, i)
        score = pose.get("score", 0.0)
        if isinstance(score, bool) or not isinstance(score, (int, float)) or score != score:
            raise InputError(f"{path} has score {score!r:.40} at position {i}, expected a number")
        points = _points(pose, path, f"position {i}")
        if (frame, track) not in best or score > best[frame, track][0]:
            best[frame, track] = score, points
    # AlphaPose always writes this one name, into a folder a video; resolved, so that a file of the
    # working directory has a folder too.
    folder = path.resolve().parent.name if path.stem == _RESULTS else ""
    name = folder or path.stem.removesuffix(f"_{_RESULTS}") or path.stem
    rows = [(*key, points) for key, (_, points) in best.items()]
    return _tracks(path, name, rows, skeleton)


def write_alphapose(tracks: PoseTracks, folder: str | Path) -> list[Path]:
    """Writes one tracked-person file a clip: positions to a hundredth of a pixel, confidences to a
    thousandth. :func:`read_alphapose_tracks` gives the same tracks back, to this rounding.

    Raises:
        InputError: Poses in other than two dimensions or of other than 17 or 18 joints.
    """
    if tracks.dims != 2:
        raise InputError(f"the poses have {tracks.dims} coordinates, AlphaPose files have 2")
    if tracks.num_joints not in _BY_JOINTS:
        raise InputError(
            f"the poses have {tracks.num_joints} joints, AlphaPose files have 17 or 18"
        )
    written = []
    values = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
    values = np.round(values.astype(np.float64), 2)
    values[..., 2] = np.round(tracks.confidence.astype(np.float64), 3)
    # A joint without confidence has no position; one with a little keeps it, and is not rounded
    # onto the origin, where joints are taken for missing.
    missing = tracks.confidence == 0
    values[..., 2] = np.maximum(values[..., 2], 0.001)
    origin = (values[..., :2] == 0).all(-1)
    values[origin, 0] = np.copysign(0.01, tracks.keypoints[origin][:, 0])
    values[missing] = 0
    flat = values.reshape(len(values), -1)
    starts = np.searchsorted(tracks.clip, np.arange(tracks.num_clips + 1))
    for clip, name in enumerate(tracks.clip_names):
        people: dict[str, dict[str, Any]] = {}
        for row in range(starts[clip], starts[clip + 1]):
            frames = people.setdefault(str(tracks.track[row]), {})
            frames[f"{tracks.frame[row]:04d}"] = {"keypoints": flat[row].tolist()}
        path = Path(folder) / f"{name}{_TRACKED}.json"
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(people), encoding="utf-8")
        written.append(path)
    return written


# -- inner -----------------------------------------------------------------------------------------


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", type(None): "null", bool: "truth value"}
    return names.get(type(value), "number")


def _points(pose: Any, path: Path, where: str) -> list[Any]:
    points = pose.get("keypoints") if isinstance(pose, dict) else None
    if not isinstance(points, list) or not points or len(points) % 3:
        found = f"{len(points)} values" if isinstance(points, list) else _kind(points)
        raise InputError(
            f"{path} has {found} as key points at {where}, expected x, y, score of each joint"
        )
    return points


def _frame_of(image: Any, path: Path, position: int) -> int:
    if isinstance(image, str):
        # An ending such as .jp2 is no frame number.
        digits = re.findall(r"\d+", re.sub(r"\.[A-Za-z]\w*$", "", image))
        if digits:
            return whole_number(digits[-1], path, "frame")
    elif isinstance(image, int) and not isinstance(image, bool):
        return whole_number(image, path, "frame")
    shown = repr(image)[:40]
    raise InputError(f"{path} has image_id {shown} at position {position}, expected a frame number")


def _person_of(idx: Any, path: Path, position: int) -> int:
    # Some trackers write the id inside one or two lists.
    while isinstance(idx, list) and len(idx) >= 1:
        idx = idx[0]
    if idx is None or isinstance(idx, list):
        raise InputError(
            f"{path} has no person id (idx) at position {position}, "
            "expected the output of AlphaPose with tracking"
        )
    return whole_number(idx, path, "idx")


def _tracks(
    path: Path,
    name: str,
    rows: Iterable[tuple[int, int, list[Any]]],
    wanted: Skeleton | None,
) -> PoseTracks:
    frames, people, points = [], [], []
    for frame, person, pose in rows:
        frames.append(frame)
        people.append(person)
        points.append(pose)
    lengths = {len(pose) for pose in points}
    if len(lengths) > 1:
        few, many = min(lengths) // 3, max(lengths) // 3
        raise InputError(f"{path} has poses of {few} and of {many} joints, expected one number")
    skeleton = _skeleton(lengths.pop() // 3 if lengths else None, wanted, path)
    joints = skeleton.num_joints
    try:
        values = np.array(points, dtype=np.float64).reshape(len(points), joints, 3)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path} has key points that are no numbers, expected numbers") from None
    if not np.isfinite(values).all() or (np.abs(values) > np.finfo(np.float32).max).any():
        row = int(np.argwhere(~np.isfinite(values.astype(np.float32)))[0][0])
        raise InputError(
            f"{path} has a key point of person {people[row]} in frame {frames[row]} that is NaN or "
            "infinite, expected finite numbers"
        )
    confidence = np.clip(values[..., 2], 0, 1)
    # Estimators write joints they did not find at the origin.
    confidence[(values[..., :2] == 0).all(-1)] = 0
    keypoints = np.where(confidence[..., None] > 0, values[..., :2], 0)
    return PoseTracks.build(
        keypoints,
        confidence,
        frames,
        people,
        np.zeros(len(frames), dtype=np.int64),
        skeleton,
        [name],
        origin=str(path),
    )


def _skeleton(joints: int | None, wanted: Skeleton | None, path: Path) -> Skeleton:
    """What names ``joints`` joints; ``None``: a file with nobody in it."""
    if joints is None:
        return wanted or _BY_JOINTS[17]
    if wanted is not None and wanted.num_joints == joints:
        return wanted
    if joints in _BY_JOINTS:
        return _BY_JOINTS[joints]
    expected = "17 or 18 (COCO)"
    if wanted is not None:
        expected = f"{wanted.num_joints} (skeleton {wanted.name!r})"
    raise InputError(f"{path} has poses of {joints} joints, expected {expected}")
