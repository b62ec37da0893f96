"""COCO key point results: one JSON list with an object a person, as ``loadRes`` of the COCO API takes.

``image_id`` (a number, or the image's file name), ``category_id``, ``keypoints`` (x, y, score of each
joint) and ``score``; ``track_id`` where people were tracked. Source: the COCO data set's "Results
Format".
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
from gepc_geo.io._common.image_lists import clips_of_images, image_name
from gepc_geo.io._common.names import file_names
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
    """A JSON array of objects with ``image_id`` and without ``idx``, AlphaPose's person id."""
    start = head(path, 65536)
    return bool(re.match(r"\s*\[\s*\{", start)) and '"image_id"' in start and '"idx"' not in start


def read_coco_results(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one list.

    ``image_id`` is the frame's number, or the image's name, of which clip and frame are understood
    (:mod:`gepc_geo.io._common.pictures`). Where the images are of one clip, it is named after the file.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's, by their number.
    """
    content = read_json(path, _KIND)
    if not isinstance(content, list):
        raise InputError(f"{path} holds {kind_of(content)}, expected {_KIND}")
    images: list[str] = []
    person: list[int | None] = []
    score: list[float] = []
    for i, one in enumerate(content):
        if not isinstance(one, dict):
            raise InputError(f"{path} has {kind_of(one)} at position {i}, expected an object")
        images.append(image_name(one.get("image_id"), path, f"position {i}"))
        track = one.get("track_id")
        person.append(None if track is None else whole_number(track, path, "track_id"))
        score.append(score_of(one, "score", path, f"position {i}"))
    values = pose_array([one.get("keypoints") for one in content], path)
    named = skeleton_of(values.shape[1] if content else None, skeleton, COCO, path)
    return clips_of_images(result_parts(path), values, images, person, named, path, score)


def write_coco_results(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one list a clip, with ``track_id``; positions and scores to three decimals."""
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
