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
from gepc_geo.files import write_files
from gepc_geo.io.alphapose import result_clip
from gepc_geo.io.frames import frame_of
from gepc_geo.io.names import file_names
from gepc_geo.io.people import (
    COCO,
    build_clip,
    kind_of,
    pose_array,
    skeleton_of,
)
from gepc_geo.io.text import head, read_json, whole_number
from gepc_geo.io.writing import flat_poses
from gepc_geo.skeleton import Skeleton
from gepc_geo.tracks import PoseTracks

_KIND = "a list of COCO key point results"


def detect(path: Path) -> bool:
    """A JSON array of objects with ``image_id`` and without ``idx``, AlphaPose's person id."""
    start = head(path, 65536)
    return bool(re.match(r"\s*\[\s*\{", start)) and '"image_id"' in start and '"idx"' not in start


def read_coco_results(path: Path, skeleton: Skeleton | None = None) -> PoseTracks:
    """Reads one list.

    The frame is ``image_id``, or the number at the end of the image's name. Names that differ in
    more than the number are of several clips, called by what is before the number; else there is
    one, named after the file.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's, by their number.
    """
    content = read_json(path, _KIND)
    if not isinstance(content, list):
        raise InputError(f"{path} holds {kind_of(content)}, expected {_KIND}")
    rows: dict[str, list[int]] = {}
    frame: list[int] = []
    person: list[int | None] = []
    for i, one in enumerate(content):
        if not isinstance(one, dict):
            raise InputError(f"{path} has {kind_of(one)} at position {i}, expected an object")
        clip, number = frame_of(one.get("image_id"), path, f"position {i}")
        rows.setdefault(clip or path.stem, []).append(i)
        frame.append(number)
        track = one.get("track_id")
        person.append(None if track is None else whole_number(track, path, "track_id"))
    values = pose_array([one.get("keypoints") for one in content], path)
    named = skeleton_of(values.shape[1] if content else None, skeleton, COCO, path)
    names = [result_clip(path)] if len(rows) < 2 else list(rows)
    return PoseTracks.concat(
        [
            build_clip(
                name,
                values[chosen],
                [frame[i] for i in chosen],
                [person[i] for i in chosen],
                named,
                path,
            )
            for name, chosen in zip(names, list(rows.values()) or [[]], strict=True)
        ]
    )


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
