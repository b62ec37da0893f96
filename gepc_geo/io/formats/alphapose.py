"""AlphaPose: result lists, and tracked persons as dicts.

A result list is one JSON array with an object a person and frame: ``image_id`` (the picture's name),
``keypoints`` (x, y, score of each joint), ``score`` and ``idx`` (person).
Without tracking ``idx`` is written too: 0 for everybody, mostly as a list, a zero for each detection merged.
A tracked-person file maps person -> frame -> ``{"keypoints": [...]}``; frame numbers may be padded
with zeros, and a person may be a list of such dicts.
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
from gepc_geo.io._common.image_lists import clips_of_images, image_name
from gepc_geo.io._common.names import file_names
from gepc_geo.io._common.people import COCO, kind_of, skeleton_of
from gepc_geo.io._common.text import head, parse_json, read_text, whole_number
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_TRACKED = "_alphapose_tracked_person"
_RESULTS = "alphapose-results"
_TRACKS_KIND = "an AlphaPose tracked-person file"
_RESULTS_KIND = "an AlphaPose result list"


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


def read_alphapose_tracks(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one tracked-person file; the clip is named after it.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.
    """
    text = read_text(path, _TRACKS_KIND)
    people, frames, points = _in_bulk(_bulk_tracks, text, path) or _careful_tracks(text, path)
    named, values = _named(points, skeleton, path)
    name = path.stem.removesuffix(_TRACKED) or path.stem
    clips = build_clip((name,), values, frames, people, named, path, counted=True, keep_unseen=True)
    return replace(clips, usual=0)


def read_alphapose_results(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one result list; the clip is named after it (or after its folder), or, where the images are
    of several clips, after the images.

    Where all ids are 0 and a frame has several poses, nobody was tracked, and people get ids. Else
    of several poses of one person in one frame the one with the highest score is kept.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.
    """
    text = read_text(path, _RESULTS_KIND)
    people, images, points, scores = _in_bulk(_bulk_results, text, path) or _careful_results(
        text, path
    )
    named, values = _named(points, skeleton, path)
    persons = tracked(people, images)
    return clips_of_images(result_parts(path), values, images, persons, named, path, scores)


def tracked(people: Sequence[int], images: Sequence[str]) -> Sequence[int | None]:
    """The ids of people, or ``None`` for all: where nobody was tracked all ids are 0."""
    untracked = set(people) == {0} and len(set(images)) < len(images)
    return [None] * len(people) if untracked else people


def result_parts(path: Path) -> tuple[str, ...]:
    """What names a result list's clip within its folder: the file, but for AlphaPose's own name of it."""
    name = path.stem.removesuffix(f"_{_RESULTS}")
    return () if name in (_RESULTS, "") else (name,)


def write_alphapose(tracks: PoseTracks, folder: str | Path) -> list[Path]:
    """Writes one tracked-person file a clip: positions to a hundredth of a pixel, confidences to a
    thousandth. :func:`read_alphapose_tracks` gives the same tracks back, to this rounding."""
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
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
# Persons, images, the same, and the score of each pose.
_ScoredRows = tuple[list[int], list[str], np.ndarray, list[float]]


_R = TypeVar("_R")
# Ids that need no further look.
_SMALL = 2**62


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
    """What a bulk reader reads; of what it refuses, the careful one finds the first fault."""
    try:
        return read(text, path)
    except InputError:
        return None


def _bulk_tracks(text: str, path: Path) -> _Rows | None:
    """A tracked-person file of nothing but plain poses; ``None`` for any other."""
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


def _careful_tracks(text: str, path: Path) -> _Rows:
    """Any tracked-person file; says what is wrong with a broken one."""
    content = parse_json(text, path, _TRACKS_KIND)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {kind_of(content)}, expected an object of persons")
    people, frames, points = [], [], []
    for person, parts in content.items():
        track = whole_number(person, path, "person")
        for part in parts if isinstance(parts, list) else [parts]:
            if not isinstance(part, dict):
                raise InputError(
                    f"{path} has {kind_of(part)} for person {person}, expected frames by number"
                )
            for frame, pose in part.items():
                people.append(track)
                frames.append(whole_number(frame, path, "frame"))
                points.append(points_of(pose, path, f"person {person} frame {frame}"))
    return people, frames, numbers_of(points, path)


def _bulk_results(text: str, path: Path) -> _ScoredRows | None:
    """A result list of nothing but plain poses; ``None`` for any other."""
    pieces = decode(_PIECES_DECODER, text)
    found = None if pieces is None else decode_poses(pieces, _RESULTS_DECODER)
    if found is None:
        return None
    poses, points = found
    people, images = [], []
    image, name = None, ""
    for i, pose in enumerate(poses):
        # A frame's poses stand one after the other.
        if pose.image_id != image:
            image, name = pose.image_id, image_name(pose.image_id, path, f"position {i}")
        images.append(name)
        people.append(person_of(pose.idx, path, f"position {i}"))
    return people, images, points, [pose.score for pose in poses]


def _careful_results(text: str, path: Path) -> _ScoredRows:
    """Any result list; says what is wrong with a broken one."""
    content = parse_json(text, path, _RESULTS_KIND)
    if not isinstance(content, list):
        raise InputError(f"{path} holds {kind_of(content)}, expected a list of poses")
    people, images, scores, points = [], [], [], []
    for i, pose in enumerate(content):
        where = f"position {i}"
        if not isinstance(pose, dict):
            raise InputError(f"{path} has {kind_of(pose)} at {where}, expected an object")
        images.append(image_name(pose.get("image_id"), path, where))
        people.append(person_of(pose.get("idx"), path, where))
        scores.append(score_of(pose, "score", path, where))
        points.append(points_of(pose, path, where))
    return people, images, numbers_of(points, path), scores


def points_of(pose: Any, path: Path, where: str) -> list[Any]:
    """The flat key points of a pose.

    Raises:
        InputError: No list of them.
    """
    points = pose.get("keypoints") if isinstance(pose, dict) else None
    if not isinstance(points, list) or not points or len(points) % 3:
        found = f"{len(points)} values" if isinstance(points, list) else kind_of(points)
        raise InputError(
            f"{path} has {found} as key points at {where}, expected x, y, score of each joint"
        )
    return points


def numbers_of(points: list[list[Any]], path: Path) -> np.ndarray:
    """Lists of key points as :math:`[F, 3 V]` float32; infinite where beyond its range."""
    lengths = {len(pose) for pose in points}
    if len(lengths) > 1:
        few, many = min(lengths) // 3, max(lengths) // 3
        raise InputError(f"{path} has poses of {few} and of {many} joints, expected one number")
    try:
        values = np.array(points, dtype=np.float64).reshape(len(points), *(lengths or {0}))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path} has key points that are no numbers, expected numbers") from None
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def person_of(idx: Any, path: Path, where: str) -> int:
    """The id of a person.

    Raises:
        InputError: None, or one that is no whole number.
    """
    if type(idx) is int and abs(idx) < _SMALL:
        return idx
    # Where AlphaPose merges detections, it writes the ids of all of them, each maybe in a list.
    while isinstance(idx, list) and len(idx) >= 1:
        idx = idx[0]
    if idx is None or isinstance(idx, list):
        raise InputError(
            f"{path} has no person id (idx) at {where}, "
            "expected one, as AlphaPose writes with and without tracking"
        )
    return whole_number(idx, path, "idx")


def score_of(pose: dict[str, Any], name: str, path: Path, where: str) -> float:
    """The score of a whole pose; 0 where it has none.

    Raises:
        InputError: One that is no number.
    """
    score = pose.get(name, 0.0)
    if isinstance(score, bool) or not isinstance(score, (int, float)) or score != score:
        raise InputError(f"{path} has {name} {score!r:.40} at {where}, expected a number")
    return score


def _named(points: np.ndarray, wanted: Skeleton | None, path: Path) -> tuple[Skeleton, np.ndarray]:
    """What names the joints, and x, y, score of each: :math:`[F, V, 3]`."""
    skeleton = skeleton_of(points.shape[1] // 3 if len(points) else None, wanted, COCO, path)
    return skeleton, points.reshape(len(points), skeleton.num_joints, 3)
