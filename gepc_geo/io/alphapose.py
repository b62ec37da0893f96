"""AlphaPose: result lists, and tracked persons as dicts.

A result list is one JSON array with an object a person and frame: ``image_id`` (the frame number is
its last run of digits before the ending), ``keypoints`` (x, y, score of each joint), ``score`` and ``idx`` (person).
Without tracking ``idx`` is written too: 0 for everybody, mostly as a list, a zero for each detection merged.
A tracked-person file maps person -> frame -> ``{"keypoints": [...]}``; frame numbers may be padded
with zeros, and a person may be a list of such dicts.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.files import write_files
from gepc_geo.io.bulk import Pose, decode, decode_poses
from gepc_geo.io.names import file_names
from gepc_geo.io.people import COCO, build_clip, finite_array, kind_of, skeleton_of
from gepc_geo.io.text import head, parse_json, read_text, whole_number
from gepc_geo.skeleton import Skeleton
from gepc_geo.tracks import PoseTracks

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


def read_alphapose_tracks(path: Path, skeleton: Skeleton | None = None) -> PoseTracks:
    """Reads one tracked-person file; the clip is named after it.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.
    """
    text = read_text(path, _TRACKS_KIND)
    people, frames, points = _bulk_tracks(text, path) or _careful_tracks(text, path)
    name = path.stem.removesuffix(_TRACKED) or path.stem
    return _tracks(path, name, people, frames, points, skeleton)


def read_alphapose_results(path: Path, skeleton: Skeleton | None = None) -> PoseTracks:
    """Reads one result list; the clip is named after it (or after its folder).

    Where all ids are 0 and a frame has several poses, nobody was tracked, and people get ids. Else
    of several poses of one person in one frame the one with the highest score is kept, and a warning
    (:class:`~gepc_geo.errors.InputWarning`) says how many others are left out.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.
    """
    text = read_text(path, _RESULTS_KIND)
    people, frames, points, scores = _bulk_results(text, path) or _careful_results(text, path)
    if set(people) == {0} and len(set(frames)) < len(frames):
        return _untracked(path, frames, points, skeleton)
    kept = _best(people, frames, scores)
    if len(kept) < len(people):
        warnings.warn(
            f"{path} has people several times in a frame: the best scored pose of each is kept, "
            f"{len(people) - len(kept)} of {len(people)} poses are left out",
            InputWarning,
            stacklevel=2,
        )
        people, frames, points = [people[i] for i in kept], [frames[i] for i in kept], points[kept]
    return _tracks(path, result_clip(path), people, frames, points, skeleton)


def result_clip(path: Path) -> str:
    """The name of a result list's clip: that of the file, or of its folder."""
    # AlphaPose always writes this one name, into a folder a video; resolved, so that a file of the
    # working directory has a folder too.
    folder = path.resolve().parent.name if path.stem == _RESULTS else ""
    return folder or path.stem.removesuffix(f"_{_RESULTS}") or path.stem


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
# And the score of each pose.
_ScoredRows = tuple[list[int], list[int], np.ndarray, list[float]]


class _Result(Pose):
    image_id: int | str
    idx: int | float | str | list[int | float | list[int | float]]
    score: int | float = 0.0


_Frames = dict[str, msgspec.Raw]
_POSES_DECODER = msgspec.json.Decoder(list[Pose])
_RESULTS_DECODER = msgspec.json.Decoder(list[_Result])
_PIECES_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_TRACKS_DECODER = msgspec.json.Decoder(dict[str, _Frames | list[_Frames]])


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
                points.append(_points(pose, path, f"person {person} frame {frame}"))
    return people, frames, _numbers(points, path)


def _bulk_results(text: str, path: Path) -> _ScoredRows | None:
    """A result list of nothing but plain poses; ``None`` for any other."""
    pieces = decode(_PIECES_DECODER, text)
    found = None if pieces is None else decode_poses(pieces, _RESULTS_DECODER)
    if found is None:
        return None
    poses, points = found
    people, frames = [], []
    image, frame = None, 0
    for i, pose in enumerate(poses):
        # A frame's poses stand one after the other.
        if pose.image_id != image:
            image, frame = pose.image_id, _frame_of(pose.image_id, path, i)
        frames.append(frame)
        people.append(_person_of(pose.idx, path, i))
    return people, frames, points, [pose.score for pose in poses]


def _careful_results(text: str, path: Path) -> _ScoredRows:
    """Any result list; says what is wrong with a broken one."""
    content = parse_json(text, path, _RESULTS_KIND)
    if not isinstance(content, list):
        raise InputError(f"{path} holds {kind_of(content)}, expected a list of poses")
    people, frames, scores, points = [], [], [], []
    for i, pose in enumerate(content):
        if not isinstance(pose, dict):
            raise InputError(f"{path} has {kind_of(pose)} at position {i}, expected an object")
        frames.append(_frame_of(pose.get("image_id"), path, i))
        people.append(_person_of(pose.get("idx"), path, i))
        score = pose.get("score", 0.0)
        if isinstance(score, bool) or not isinstance(score, (int, float)) or score != score:
            raise InputError(f"{path} has score {score!r:.40} at position {i}, expected a number")
        scores.append(score)
        points.append(_points(pose, path, f"position {i}"))
    return people, frames, _numbers(points, path), scores


def _best(people: list[int], frames: list[int], scores: list[float]) -> list[int]:
    """The position of each person's best scored pose in each frame; the first of equal ones."""
    best: dict[tuple[int, int], int] = {}
    for i, key in enumerate(zip(people, frames, strict=True)):
        if scores[i] > scores[best.setdefault(key, i)]:
            best[key] = i
    return list(best.values())


def _points(pose: Any, path: Path, where: str) -> list[Any]:
    points = pose.get("keypoints") if isinstance(pose, dict) else None
    if not isinstance(points, list) or not points or len(points) % 3:
        found = f"{len(points)} values" if isinstance(points, list) else kind_of(points)
        raise InputError(
            f"{path} has {found} as key points at {where}, expected x, y, score of each joint"
        )
    return points


def _numbers(points: list[list[Any]], path: Path) -> np.ndarray:
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
    # Where AlphaPose merges detections, it writes the ids of all of them, each maybe in a list.
    while isinstance(idx, list) and len(idx) >= 1:
        idx = idx[0]
    if idx is None or isinstance(idx, list):
        raise InputError(
            f"{path} has no person id (idx) at position {position}, "
            "expected one, as AlphaPose writes with and without tracking"
        )
    return whole_number(idx, path, "idx")


def _untracked(
    path: Path, frames: list[int], points: np.ndarray, wanted: Skeleton | None
) -> PoseTracks:
    """The clip of a result list without ids of people."""
    skeleton = skeleton_of(points.shape[1] // 3, wanted, COCO, path)
    values = finite_array(points, path)
    return build_clip(result_clip(path), values, frames, [None] * len(frames), skeleton, path)


def _tracks(
    path: Path,
    name: str,
    people: list[int],
    frames: list[int],
    points: np.ndarray,
    wanted: Skeleton | None,
) -> PoseTracks:
    skeleton = skeleton_of(points.shape[1] // 3 if people else None, wanted, COCO, path)
    values = points.reshape(len(people), skeleton.num_joints, 3)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
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
