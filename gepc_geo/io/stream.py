"""Poses as lines of frames, as ``gepc-geo watch`` reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import atomic_path

# The origin marks a missing joint; a seen joint there is moved by this much.
_LEAST = 1e-6


def frame_lines(tracks: PoseTracks) -> Iterator[str]:
    """Lines of JSON, one for each frame, clip after clip; clips are cameras.

    Frames without people have a line, too. People without a seen joint are left out. Numbers have
    nine digits, which float32 needs.

    Args:
        tracks: The poses.
    """
    seen = tracks.confidence > 0
    order = np.lexsort((tracks.track, tracks.frame, tracks.clip))
    order = order[seen[order].any(1)]
    poses = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
    poses[~seen] = 0
    origin = seen & (poses[..., :-1] == 0).all(-1)
    poses[origin, 0] = _LEAST
    slot = tracks.frame_offset[tracks.clip[order]] + tracks.frame[order]
    border = np.searchsorted(slot, np.arange(tracks.frame_offset[-1] + 1))
    person = '{"id": %d, "keypoints": ' + _form(tracks.num_joints, tracks.dims + 1)
    if tracks.features is not None:
        person += ', "features": ' + _form(tracks.num_joints, tracks.num_features)
    person += "}"
    for clip, name in enumerate(tracks.clip_names):
        size = tracks.image_size[clip].tolist()
        more = "" if np.isnan(size).any() else f', "image_size": {json.dumps(size)}'
        head = f'{{"camera": {json.dumps(name)}, "frame": '
        first, last = tracks.frame_offset[clip : clip + 2].tolist()
        for number, (start, end) in enumerate(pairwise(border[first : last + 1].tolist())):
            people = []
            for row in order[start:end].tolist():
                values = [int(tracks.track[row]), *poses[row].reshape(-1).tolist()]
                if tracks.features is not None:
                    values += tracks.features[row].reshape(-1).tolist()
                people.append(person % tuple(values))
            yield f'{head}{number}{more}, "people": [{", ".join(people)}]}}'


def write_lines(tracks: PoseTracks, path: str | Path) -> list[Path]:
    """Writes :func:`frame_lines` to a file, completely or not at all.

    Args:
        tracks: The poses.
        path: The file.

    Returns:
        The file.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in frame_lines(tracks))
    return [Path(path)]


def _form(joints: int, values: int) -> str:
    """The form of the values of all joints."""
    joint = f"[{', '.join(['%.9g'] * values)}]"
    return f"[{', '.join([joint] * joints)}]"
