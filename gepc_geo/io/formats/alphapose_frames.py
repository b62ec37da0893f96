"""AlphaPose's other layouts: a file for each picture, and objects of pictures.

``--format open`` and ``--format cmu`` write ``sep-json/NAME.json``, a file for each picture in
OpenPose's layout (:mod:`gepc_geo.io.formats.openpose`), and all of them as one object by picture
name in ``alphapose-results.json``. PoseFlow writes ``alphapose-results-forvis-tracked.json``: an
object by picture name with lists of ``{"keypoints", "scores", "idx"}``. This module reads both
objects, and result lists (AlphaPose's or COCO's) in a file for each picture.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips, FrameFiles, build_clip
from gepc_geo.io._common.image_lists import clips_of_images
from gepc_geo.io._common.people import COCO, kind_of, lists_of, skeleton_of
from gepc_geo.io._common.pictures import split_folders
from gepc_geo.io._common.text import head, read_json, read_text
from gepc_geo.io.formats.alphapose import (
    numbers_of,
    person_of,
    points_of,
    result_parts,
    score_of,
    tracked,
)
from gepc_geo.io.formats.openpose import people_of, pose_of
from gepc_geo.poses.skeleton import Skeleton

_FRAME_KIND = "AlphaPose's results of a picture"
_FORVIS_KIND = "AlphaPose's results with PoseFlow"
_FORVIS = re.compile(r"-forvis(-tracked)?$")
_IMAGE = re.compile(r'"image_id"\s*:\s*(?:"([^"]*)"|(\d+))')


def detect(path: Path) -> bool:
    """Whether a file is a JSON array of poses, all of the picture in the file's name."""
    start = head(path)
    if not re.match(r"\s*\[\s*\{", start) or not _is_own(_IMAGE.search(start), path):
        return False
    try:
        text = read_text(path, _FRAME_KIND)
    except InputError:
        return False
    return all(_is_own(match, path) for match in _IMAGE.finditer(text))


def detect_forvis(path: Path) -> bool:
    """Whether a file is a JSON object by picture name with lists of poses."""
    return bool(
        re.match(
            r'\s*\{\s*"[^"]*\d[^"]*\.(jpe?g|png|bmp|tiff?|webp)"\s*:\s*(\[\s*(\]|\{)|\{)',
            head(path),
            re.IGNORECASE,
        )
    )


def read_alphapose_frames(files: FrameFiles, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip with a file for each picture.

    Args:
        files: The files of the frames.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    rows = _Rows()
    for number, people, path in lists_of(files, _FRAME_KIND):
        for i, pose in enumerate(people):
            rows.add(pose, str(number), path, f"position {i}", "score")
    values, named = rows.values(skeleton, files.paths[0])
    return build_clip(
        files.parts,
        values,
        [int(image) for image in rows.images],
        rows.persons(),
        named,
        rows.paths or files.paths[0],
        listed=files.frames,
        counted=not files.timed,
        score=rows.scores,
    )


def read_alphapose_forvis(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one file of PoseFlow.

    The file names the clip; pictures of several clips name these.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    content = read_json(path, _FORVIS_KIND)
    if not isinstance(content, dict):
        raise InputError(f"{path} must be {_FORVIS_KIND}, got {kind_of(content)}")
    rows = _Rows()
    for image, people in content.items():
        if isinstance(people, dict):
            # OpenPose's layout.
            people = [{**pose, "keypoints": pose_of(pose)} for pose in people_of(people, path)]
        if not isinstance(people, list):
            raise InputError(
                f"{path}: picture {image!r:.60} must be a list of poses, got {kind_of(people)}"
            )
        for pose in people:
            rows.add(pose, image, path, f"picture {image!r:.60}", "scores")
    values, named = rows.values(skeleton, path)
    parts = result_parts(path.with_name(_FORVIS.sub("", path.stem) + path.suffix))
    return clips_of_images(
        parts, values, rows.images, rows.persons(), named, path, rows.scores, list(content)
    )


# -- inner -----------------------------------------------------------------------------------------


class _Rows:
    """The poses of a clip, with image, id, score and file of each."""

    def __init__(self) -> None:
        self.points: list[list[Any]] = []
        self.images: list[str] = []
        self.ids: list[int | None] = []
        self.scores: list[float] = []
        self.paths: list[Path] = []

    def add(self, pose: Any, image: str, path: Path, where: str, score: str) -> None:
        """Adds one pose."""
        self.points.append(points_of(pose, path, where))
        idx = pose.get("idx")
        self.ids.append(None if idx is None else person_of(idx, path, where))
        self.scores.append(score_of(pose, score, path, where))
        self.images.append(image)
        self.paths.append(path)
        if len(self.points[-1]) != len(self.points[0]):
            raise InputError(
                f"{path}: {where} must be a pose of {len(self.points[0]) // 3} joints as in "
                f"{self.paths[0]}, got {len(self.points[-1]) // 3}"
            )

    def persons(self) -> list[int | None]:
        """The ids of people, by :func:`~gepc_geo.io.formats.alphapose.tracked`."""
        known = [0 if number is None else number for number in self.ids]
        return self.ids if None in self.ids else list(tracked(known, self.images))

    def values(self, wanted: Skeleton | None, path: Path) -> tuple[Any, Skeleton]:
        """x, y, score of each joint, :math:`[F, V, 3]`, and the skeleton."""
        values = numbers_of(self.points, path)
        joints = values.shape[1] // 3 if self.points else None
        named = skeleton_of(joints, wanted, COCO, path)
        return values.reshape(len(self.points), named.num_joints, 3), named


def _is_own(match: re.Match[str] | None, path: Path) -> bool:
    """Whether a file has the name of a picture."""
    if match is None:
        return False
    return (
        split_folders(match[1] if match[2] is None else match[2])[1] == split_folders(path.name)[1]
    )
