"""AlphaPose's result lists and tracked-person files.

A result list is a JSON array with an object for each person and frame: ``image_id`` (the picture's
name), ``keypoints`` (x, y, score of each joint), ``score`` and ``idx`` (person). Without tracking,
``idx`` is 0 for all people, mostly as a list with a zero for each merged detection. A
tracked-person file maps person to frame to ``{"keypoints": [...]}``; frame numbers may be padded
with zeros, and a person may be a list of such objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.bulk import Pose, decode, decode_poses
from gepc_geo.io._common.clip import Clips, build_clip
from gepc_geo.io._common.file_names import file_names
from gepc_geo.io._common.image_lists import clips_of_images, image_name
from gepc_geo.io._common.people import COCO, kind_of, no_number, skeleton_of
from gepc_geo.io._common.text import head, parse_json, read_text, whole_number
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_TRACKED = "_alphapose_tracked_person"
_RESULTS = "alphapose-results"
_TRACKS_KIND = "an AlphaPose tracked-person file"
_RESULTS_KIND = "an AlphaPose result list"


def detect_tracks(path: Path) -> bool:
    """Whether a file is a JSON object of persons, or an empty one."""
    start = head(path)
    return bool(
        re.match(r'\s*\{\s*("-?\d+"\s*:\s*[\[{]|\}\s*$)', start)
        or (path.stem.endswith(_TRACKED) and path.suffix.lower() == ".json")
    )


def detect_results(path: Path) -> bool:
    """Whether a file is a JSON array of objects with ``image_id``, or an empty one."""
    start = head(path)
    return bool(re.match(r"\s*\[\s*(\{|\]\s*$)", start)) and (
        '"image_id"' in start or start.strip() == "[]"
    )


def read_alphapose_tracks(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one tracked-person file, which names the clip.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    text = read_text(path, _TRACKS_KIND)
    people, frames, points = _in_bulk(bulk_tracks, text, path) or careful_tracks(text, path)
    named, values = _named(points, skeleton, path)
    name = path.stem.removesuffix(_TRACKED) or path.stem
    clips = build_clip((name,), values, frames, people, named, path, counted=True, keep_unseen=True)
    return replace(clips, usual_first=0)


def read_alphapose_results(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one result list.

    The file or its folder names the clip; images of several clips name these.

    If all ids are 0 and a frame has several poses, people were not tracked and get ids. Otherwise,
    of several poses of a person in a frame, the one with the highest score is used.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    text = read_text(path, _RESULTS_KIND)
    people, images, points, scores = _in_bulk(bulk_results, text, path) or careful_results(
        text, path
    )
    named, values = _named(points, skeleton, path)
    persons = tracked(people, images)
    return clips_of_images(result_parts(path), values, images, persons, named, path, scores)


def tracked(people: Sequence[int], images: Sequence[str]) -> Sequence[int | None]:
    """The ids of people; ``None`` for all without tracking, when all ids are 0."""
    untracked = set(people) == {0} and len(set(images)) < len(images)
    return [None] * len(people) if untracked else people


def result_parts(path: Path) -> tuple[str, ...]:
    """The name of a result list's clip within its folder; empty for AlphaPose's own file name."""
    name = path.stem.removesuffix(f"_{_RESULTS}")
    return () if name in (_RESULTS, "") else (name,)


def write_alphapose(tracks: PoseTracks, folder: str | Path) -> list[Path]:
    """Writes one tracked-person file for each clip.

    Positions are rounded to a hundredth of a pixel, confidences to a thousandth.

    Args:
        tracks: The poses, in 2D.
        folder: The output folder.

    Returns:
        The written files.
    """
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    values = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
    values = np.round(values.astype(np.float64), 2)
    values[..., 2] = np.round(tracks.confidence.astype(np.float64), 3)
    # A joint without confidence has no position. Rounding must not move another joint to the
    # origin, which means missing.
    missing = tracks.confidence == 0
    values[..., 2] = np.maximum(values[..., 2], 0.001)
    origin = (values[..., :2] == 0).all(-1)
    values[origin, 0] = np.copysign(0.01, tracks.keypoints[origin][:, 0])
    values[missing] = 0
    flat = values.reshape(len(values), 3 * tracks.num_joints)
    starts = np.searchsorted(tracks.clip, np.arange(tracks.num_clips + 1))
    for clip, name in enumerate(file_names(tracks.clip_names)):
        people: dict[str, dict[str, Any]] = {}
        for row in range(starts[clip], starts[clip + 1]):
            frames = people.setdefault(str(tracks.track[row]), {})
            frames[f"{tracks.frame[row]:04d}"] = {"keypoints": flat[row].tolist()}
        yield f"{name}{_TRACKED}.json", json.dumps(people)


# Persons, frame numbers, and x, y, score of each joint: [F, 3 V] float32.
_Rows = tuple[list[int], list[int], np.ndarray]
# Persons, images, key points as above, and the score of each pose.
_ScoredRows = tuple[list[int], list[str], np.ndarray, list[float]]


_R = TypeVar("_R")
# Ids below this need no check.
_MAX_ID = 2**62


class _Result(Pose):
    image_id: int | str
    idx: int | float | str | list[int | float | list[int | float]]
    score: int | float = 0.0


_Frames = dict[str, msgspec.Raw]
_POSES_DECODER = msgspec.json.Decoder(list[Pose])
_RESULTS_DECODER = msgspec.json.Decoder(list[_Result])
_PIECES_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_TRACKS_DECODER = msgspec.json.Decoder(dict[str, _Frames | list[_Frames]])


def _in_bulk(read: Callable[[str, Path], _R | None], text: str, path: Path) -> _R | None:
    """Calls a bulk reader; ``None`` on errors, which the careful reader then reports."""
    try:
        return read(text, path)
    except InputError:
        return None


def bulk_tracks(text: str, path: Path) -> _Rows | None:
    """Reads a tracked-person file of plain poses; ``None`` for any other."""
    people, frames = [], []
    pieces: list[msgspec.Raw] = []
    for person, parts in (decode(_TRACKS_DECODER, text) or {}).items():
        track = whole_number(person, path, "person")
        for part in parts if isinstance(parts, list) else [parts]:
            people += [track] * len(part)
            frames += [whole_number(frame, path, "frame") for frame in part]
            pieces += part.values()
    found = decode_poses(pieces, _POSES_DECODER)
    return None if found is None else (people, frames, found[1])


def careful_tracks(text: str, path: Path) -> _Rows:
    """Reads any tracked-person file and reports errors."""
    content = parse_json(text, path, _TRACKS_KIND)
    if not isinstance(content, dict):
        raise InputError(f"{path} must be an object of persons, got {kind_of(content)}")
    people, frames, points = [], [], []
    for person, parts in content.items():
        track = whole_number(person, path, "person")
        for part in parts if isinstance(parts, list) else [parts]:
            if not isinstance(part, dict):
                raise InputError(
                    f"{path}: person {person} must be frames by number, got {kind_of(part)}"
                )
            for frame, pose in part.items():
                people.append(track)
                frames.append(whole_number(frame, path, "frame"))
                points.append(points_of(pose, path, f"person {person} frame {frame}"))
    return people, frames, numbers_of(points, path)


def bulk_results(text: str, path: Path) -> _ScoredRows | None:
    """Reads a result list of plain poses; ``None`` for any other."""
    pieces = decode(_PIECES_DECODER, text)
    found = None if pieces is None else decode_poses(pieces, _RESULTS_DECODER)
    if found is None:
        return None
    poses, points = found
    people, images = [], []
    image, name = None, ""
    for i, pose in enumerate(poses):
        # The poses of a frame are consecutive.
        if pose.image_id != image:
            image, name = pose.image_id, image_name(pose.image_id, path, f"position {i}")
        images.append(name)
        people.append(person_of(pose.idx, path, f"position {i}"))
    return people, images, points, [pose.score for pose in poses]


def careful_results(text: str, path: Path) -> _ScoredRows:
    """Reads any result list and reports errors."""
    content = parse_json(text, path, _RESULTS_KIND)
    if not isinstance(content, list):
        raise InputError(f"{path} must be a list of poses, got {kind_of(content)}")
    people, images, scores, points = [], [], [], []
    for i, pose in enumerate(content):
        where = f"position {i}"
        if not isinstance(pose, dict):
            raise InputError(f"{path}: {where} must be an object, got {kind_of(pose)}")
        images.append(image_name(pose.get("image_id"), path, where))
        people.append(person_of(pose.get("idx"), path, where))
        scores.append(score_of(pose, "score", path, where))
        points.append(points_of(pose, path, where))
    return people, images, numbers_of(points, path), scores


def points_of(pose: Any, path: Path, where: str) -> list[Any]:
    """The flat list of key points of a pose.

    Raises:
        InputError: Another value.
    """
    points = pose.get("keypoints") if isinstance(pose, dict) else None
    if not isinstance(points, list) or not points or len(points) % 3:
        found = f"{len(points)} values" if isinstance(points, list) else kind_of(points)
        raise InputError(
            f"{path}: key points at {where} must be x, y, score of each joint, got {found}"
        )
    return points


def numbers_of(points: list[list[Any]], path: Path) -> np.ndarray:
    """Converts lists of key points to :math:`[F, 3 V]` float32; infinite beyond its range.

    Raises:
        InputError: Poses of different numbers of joints, or values that are no numbers.
    """
    lengths = {len(pose) for pose in points}
    if len(lengths) > 1:
        few, many = min(lengths) // 3, max(lengths) // 3
        raise InputError(
            f"{path} must have poses of one number of joints, got poses of {few} and of {many}"
        )
    try:
        values = np.array(points, dtype=np.float64).reshape(len(points), *(lengths or {0}))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: key points must be numbers, got {no_number(points)}") from None
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def person_of(idx: Any, path: Path, where: str) -> int:
    """The id of a person.

    Raises:
        InputError: A missing id, or one that is no whole number.
    """
    if type(idx) is int and abs(idx) < _MAX_ID:
        return idx
    # For merged detections AlphaPose writes the ids of all of them, each possibly in a list.
    while isinstance(idx, list) and len(idx) >= 1:
        idx = idx[0]
    if idx is None or isinstance(idx, list):
        raise InputError(
            f"{path} must have a person id (idx) at {where}, as AlphaPose writes with and without "
            "tracking, got none"
        )
    return whole_number(idx, path, "idx")


def score_of(pose: dict[str, Any], name: str, path: Path, where: str) -> float:
    """The score of a pose; 0 without one.

    Raises:
        InputError: A score that is no number.
    """
    score = pose.get(name, 0.0)
    if isinstance(score, bool) or not isinstance(score, (int, float)) or score != score:
        raise InputError(f"{path}: {name} at {where} must be a number, got {score!r:.40}")
    return score


def _named(points: np.ndarray, wanted: Skeleton | None, path: Path) -> tuple[Skeleton, np.ndarray]:
    """The skeleton, and x, y, score of each joint: :math:`[F, V, 3]`."""
    skeleton = skeleton_of(points.shape[1] // 3 if len(points) else None, wanted, COCO, path)
    return skeleton, points.reshape(len(points), skeleton.num_joints, 3)
