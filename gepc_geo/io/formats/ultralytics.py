"""Ultralytics YOLO-pose: label files for each frame, or JSON for each video or frame.

``yolo pose track ... save_txt=True`` writes ``labels/NAME_12.txt``, a line for each person: class,
box (centre, width, height), x, y and score of each joint, with ``save_conf=True`` the box's score,
and from ``track`` the person's id. Positions are shares of the image's width and height.

The JSON file of a video is a list with an entry for each frame, a list from ``Results.summary()``:
``{"class", "box", "track_id", "keypoints": {"x": [...], "y": [...], "visible": [...]}}`` in pixels;
or the same as text from ``Results.to_json()``. The JSON file of a frame is this text.
Source: the Ultralytics documentation, "Results" and ``Results.save_txt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips, FrameFiles, build_clip
from gepc_geo.io._common.people import (
    COCO,
    finite_array,
    joints_of,
    kind_of,
    lists_of,
    skeleton_of,
)
from gepc_geo.io._common.text import head, parse_json, read_json, read_text, whole_number
from gepc_geo.io._common.writing import clips_by_frame, share_poses
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_LABELS_KIND = "an Ultralytics pose label file"
_JSON_KIND = "a list of Ultralytics results, one a frame"
_FRAME_KIND = "the people of a frame as Ultralytics' to_json() gives them"
# Number of values of class and box.
_LEADING = 5
_SHARE = r"(0(\.\d+)?|1(\.0*)?|\d(\.\d+)?e-\d+)"


def detect_labels(path: Path) -> bool:
    """Whether a file begins with a class, a box in shares of the image, and two joints or more."""
    return bool(
        re.match(
            rf"\d+( {_SHARE}){{4}}( -?[\d.]+(e[-+]?\d+)?){{6,}}\s*(\n|$)", head(path), re.ASCII
        )
    )


def detect_json(path: Path) -> bool:
    """Whether a file is a JSON list of lists, or of texts that begin as lists."""
    return bool(re.match(r'\s*\[\s*"?\[', head(path)))


def detect_frames(path: Path) -> bool:
    """Whether a file is a JSON list of objects that begin with ``name`` and ``class``."""
    return bool(re.match(r'\s*\[\s*\{\s*"name"\s*:\s*"[^"]*"\s*,\s*"class"', head(path)))


def read_ultralytics_labels(files: FrameFiles, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip; its image size is 1 by 1, as positions are shares of the image.

    The number of values shows whether a box's score and an id follow the key points; a single value
    is an id if it is a whole number in all lines. A missing file is a frame without people.
    Ultralytics numbers the frames of a video from 1; pictures of a folder keep their names.

    Args:
        files: The files of the frames.
        skeleton: Names the joints; ``None``: COCO's, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    frame: list[int] = []
    owner: list[Path] = []
    lines: list[list[str]] = []
    first = files.paths[0]
    for number, path in zip(files.frames, files.paths, strict=True):
        new = [line.split() for line in read_text(path, _LABELS_KIND).splitlines() if line.strip()]
        lines += new
        frame += [number] * len(new)
        owner += [path] * len(new)
    joints, width = _layout({len(line) for line in lines}, skeleton, first, lines, owner)
    table = [_floats(line, path) for line, path in zip(lines, owner, strict=True)]
    end = _LEADING + joints * width
    tails = [line[end:] for line in lines]
    # Scores have a decimal point, ids have none.
    single_values = [tail[0] for tail in tails if len(tail) == 1]
    whole = all(value.isascii() and value.isdigit() for value in single_values)
    person = [
        whole_number(_whole(tail[-1]), path, "track id")
        if len(tail) == 2 or (tail and whole)
        else None
        for tail, path in zip(tails, owner, strict=True)
    ]
    points = np.array([row[_LEADING:end] for row in table]).reshape(len(table), joints, width)
    if width == 2:
        points = np.concatenate([points, np.ones_like(points[..., :1])], axis=2)
    named = skeleton_of(joints if lines else None, skeleton, COCO, first)
    clips = build_clip(
        files.parts,
        points,
        frame,
        person,
        named,
        owner or first,
        listed=files.frames,
        counted=not files.timed,
        image_size=[[1, 1]],
    )
    return replace(clips, complete=False)


def read_ultralytics_json(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one video, which names the clip.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    content = read_json(path, _JSON_KIND)
    if not isinstance(content, list):
        raise InputError(f"{path} must be {_JSON_KIND}, got {kind_of(content)}")
    frames: list[tuple[int, list[Any], Path]] = []
    for number, people in enumerate(content):
        if isinstance(people, str):
            people = parse_json(people, path, f"{_JSON_KIND}, as to_json() gives frame {number}")
        if not isinstance(people, list):
            raise InputError(
                f"{path}: frame {number} must be a list of people, got {kind_of(people)} (a file "
                "for each frame is ultralytics-frames)"
            )
        frames.append((number, people, path))
    return _clip((path.stem,), frames, skeleton, path)


def read_ultralytics_frames(files: FrameFiles, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip with a file for each frame.

    Args:
        files: The files of the frames.
        skeleton: Names the joints; ``None``: COCO's, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    frames = lists_of(files, _FRAME_KIND)
    return _clip(files.parts, frames, skeleton, files.paths[0], counted=not files.timed)


def write_ultralytics_labels(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes a folder for each clip with a file for each frame from 1, shares to six decimals.

    Files without people are empty. The box encloses the joints. Negative ids, which Ultralytics
    does not have, are restored.

    Raises:
        InputError: A clip of unknown image size.
    """
    return write_files(folder, _label_files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _label_files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = share_poses(tracks)
    for name, _, frames in clips_by_frame(tracks):
        for frame, rows in enumerate(frames, start=1):
            lines = [_line(poses[row], int(tracks.track[row])) for row in rows]
            yield f"{name}/{name}_{frame}.txt", "".join(lines)


def _line(pose: np.ndarray, person: int) -> str:
    """Class, box (centre and size, within the image), joints, score and id."""
    visible = pose[pose[:, 2] > 0]
    first, last = (np.clip(edge(visible[:, :2], axis=0), 0, 1) for edge in (np.min, np.max))
    box = np.concatenate([(first + last) / 2, last - first])
    joints = " ".join(f"{x:.6f} {y:.6f} {score:.3f}" for x, y, score in pose)
    sides = " ".join(f"{side:.6f}" for side in box)
    return f"0 {sides} {joints} {visible[:, 2].mean():.3f} {person}\n"


def _layout(
    widths: set[int],
    wanted: Skeleton | None,
    path: Path,
    lines: list[list[str]],
    owner: list[Path],
) -> tuple[int, int]:
    """The number of joints, and of values of each joint, that fits the lines."""
    if not widths:
        return (wanted or COCO[17]).num_joints, 3
    candidates = [wanted.num_joints] if wanted is not None else []
    candidates += [joints for joints in COCO if joints not in candidates]
    for joints in candidates:
        for width in (3, 2):
            if all(0 <= count - _LEADING - joints * width <= 2 for count in widths):
                return joints, width
    usual = _LEADING + candidates[0] * 3
    misfit = next(i for i, line in enumerate(lines) if not usual <= len(line) <= usual + 2)
    raise InputError(
        f"{owner[misfit]} must have lines of {usual} to {usual + 2} values for {candidates[0]} "
        "joints, or a skeleton of another number (--skeleton), got "
        f"{len(lines[misfit])} values"
    )


def _floats(line: list[str], path: Path) -> list[float]:
    try:
        row = [float(value) for value in line]
    except ValueError:
        shown = " ".join(line)[:40]
        raise InputError(
            f"{path}: line {shown!r} must have numbers only, got another value"
        ) from None
    if not np.isfinite(row).all():
        raise InputError(f"{path}: values must be finite, got NaN or infinity")
    return row


def _whole(text: str) -> int | float | str:
    """The number of ``"12"`` or ``"1.2e+06"`` (Ultralytics shortens numbers to six digits)."""
    return int(text) if re.fullmatch(r"-?\d+", text, re.ASCII) else float(text)


def _clip(
    parts: tuple[str, ...],
    frames: Sequence[tuple[int, list[Any], Path]],
    skeleton: Skeleton | None,
    origin: Path,
    counted: bool = False,
) -> Clips:
    """Makes a clip from frame numbers, people and the file of each frame."""
    frame, person, poses, owner = [], [], [], []
    for number, people, path in frames:
        for one in people:
            frame.append(number)
            poses.append(_points(one, path, number))
            owner.append(path)
            track = one.get("track_id")
            person.append(None if track is None else whole_number(track, path, "track_id"))
    named = skeleton_of(joints_of(poses, owner), skeleton, COCO, origin)
    values = np.array(poses).reshape(len(poses), named.num_joints, 3)
    listed = [number for number, _, _ in frames]
    return build_clip(
        parts, values, frame, person, named, owner or origin, listed=listed, counted=counted
    )


def _points(one: Any, path: Path, frame: int) -> list[tuple[float, float, float]]:
    points = one.get("keypoints") if isinstance(one, dict) else None
    if not isinstance(points, dict) or not {"x", "y"} <= set(points):
        raise InputError(
            f"{path}: a person in frame {frame} must have keypoints with x and y (results of a "
            "pose model), got none"
        )
    x, y = points["x"], points["y"]
    seen = points.get("visible")
    if seen is None and isinstance(x, list):
        seen = [1.0] * len(x)
    lists = [x, y, seen]
    if not all(isinstance(values, list) and len(values) == len(x) for values in lists):
        found = [f"{len(one)} values" if isinstance(one, list) else kind_of(one) for one in lists]
        raise InputError(
            f"{path}: keypoints in frame {frame} must have x, y and visible of one length, got "
            f"{', '.join(found)}"
        )
    finite_array(list(chain.from_iterable(lists)), path)
    return list(zip(*lists, strict=True))
