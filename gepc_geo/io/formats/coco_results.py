"""COCO key point results: a JSON list with an object for each person, for COCO's ``loadRes``.

``image_id`` (a number, or the image's file name), ``category_id``, ``keypoints`` (x, y, score of
each joint) and ``score``; ``track_id`` with tracking. Source: "Results Format" of COCO's site.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips
from gepc_geo.io._common.file_names import file_names
from gepc_geo.io._common.image_lists import clips_of_images, image_name
from gepc_geo.io._common.people import (
    COCO,
    kind_of,
    pose_array,
    skeleton_of,
)
from gepc_geo.io._common.text import head, read_json, whole_number
from gepc_geo.io._common.writing import flat_poses
from gepc_geo.io.formats.alphapose import result_parts, score_of
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "a list of COCO key point results"


def detect(path: Path) -> bool:
    """Whether a file is a JSON array of objects with ``image_id``, without AlphaPose's ``idx``."""
    start = head(path, 65536)
    return bool(re.match(r"\s*\[\s*\{", start)) and '"image_id"' in start and '"idx"' not in start


def read_coco_results(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one list.

    ``image_id`` is the frame number, or the image's name, which gives clip and frame
    (:mod:`gepc_geo.io._common.pictures`). If all images belong to one clip, the file names it.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    content = read_json(path, _KIND)
    if not isinstance(content, list):
        raise InputError(f"{path} must be {_KIND}, got {kind_of(content)}")
    images: list[str] = []
    person: list[int | None] = []
    score: list[float] = []
    for i, result in enumerate(content):
        if not isinstance(result, dict):
            raise InputError(f"{path}: position {i} must be an object, got {kind_of(result)}")
        images.append(image_name(result.get("image_id"), path, f"position {i}"))
        track = result.get("track_id")
        person.append(None if track is None else whole_number(track, path, "track_id"))
        score.append(score_of(result, "score", path, f"position {i}"))
    values = pose_array([result.get("keypoints") for result in content], path)
    named = skeleton_of(values.shape[1] if content else None, skeleton, COCO, path)
    return clips_of_images(result_parts(path), values, images, person, named, path, score)


def write_coco_results(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one list for each clip, with ``track_id`` and values to three decimals."""
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = flat_poses(tracks)
    for clip, name in enumerate(file_names(tracks.clip_names)):
        content: list[dict[str, Any]] = [
            {
                "image_id": int(tracks.frame[row]),
                "category_id": 1,
                "keypoints": poses[row],
                "score": round(float(tracks.confidence[row].mean()), 4),
                "track_id": int(tracks.track[row]),
            }
            for row in np.flatnonzero(tracks.clip == clip)
        ]
        yield f"{name}.json", json.dumps(content)
