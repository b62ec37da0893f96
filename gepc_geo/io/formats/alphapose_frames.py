"""AlphaPose's other layouts: a file a picture, and dicts of pictures.

``--format open`` and ``--format cmu`` write ``sep-json/NAME.json``, a file a picture in OpenPose's layout
(:mod:`gepc_geo.io.formats.openpose`), and all of these objects in one ``alphapose-results.json``, a dict by the
pictures' names. PoseFlow writes ``alphapose-results-forvis-tracked.json``: pictures by their names, each a
list of ``{"keypoints", "scores", "idx"}``. Both dicts are read here, and so is a result list (AlphaPose's,
or of COCO's format) in a file a picture.
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
    """A JSON array of poses that are all of the picture that the file is named after."""
    start = head(path)
    if not re.match(r"\s*\[\s*\{", start) or not _is_own(_IMAGE.search(start), path):
        return False
    try:
        text = read_text(path, _FRAME_KIND)
    except InputError:
        return False
    return all(_is_own(match, path) for match in _IMAGE.finditer(text))


def detect_forvis(path: Path) -> bool:
    """A JSON object whose first name is a picture's and holds a list of poses."""
    return bool(
        re.match(
            r'\s*\{\s*"[^"]*\d[^"]*\.(jpe?g|png|bmp|tiff?|webp)"\s*:\s*(\[\s*(\]|\{)|\{)',
            head(path),
            re.IGNORECASE,
        )
    )


def read_alphapose_frames(files: FrameFiles, skeleton: Skeleton | None = None) -> Clips:
    """Reads one clip, a file a picture.

    Args:
        files: Its frames.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.
    """
    rows = _Rows()
    for number, people, path in lists_of(files, _FRAME_KIND):
        for i, one in enumerate(people):
            rows.add(one, str(number), path, f"position {i}", "score")
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
    """Reads one file of PoseFlow; the clip is named after it, or after the pictures where they are of
    several clips.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's of 17 or 18 or Halpe's of 26, by their number.
    """
    content = read_json(path, _FORVIS_KIND)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {kind_of(content)}, expected {_FORVIS_KIND}")
    rows = _Rows()
    for image, people in content.items():
        if isinstance(people, dict):
            # As OpenPose has them.
            people = [{**one, "keypoints": pose_of(one)} for one in people_of(people, path)]
        if not isinstance(people, list):
            raise InputError(
                f"{path} has {kind_of(people)} for picture {image!r:.60}, expected a list of poses"
            )
        for one in people:
            rows.add(one, image, path, f"picture {image!r:.60}", "scores")
    values, named = rows.values(skeleton, path)
    parts = result_parts(path.with_name(_FORVIS.sub("", path.stem) + path.suffix))
    return clips_of_images(
        parts, values, rows.images, rows.persons(), named, path, rows.scores, list(content)
    )


# -- inner -----------------------------------------------------------------------------------------


class _Rows:
    """Poses as they are read, and what is known of each."""

    def __init__(self) -> None:
        self.points: list[list[Any]] = []
        self.images: list[str] = []
        self.ids: list[int | None] = []
        self.scores: list[float] = []
        self.paths: list[Path] = []

    def add(self, one: Any, image: str, path: Path, where: str, score: str) -> None:
        """Takes one pose."""
        self.points.append(points_of(one, path, where))
        idx = one.get("idx")
        self.ids.append(None if idx is None else person_of(idx, path, where))
        self.scores.append(score_of(one, score, path, where))
        self.images.append(image)
        self.paths.append(path)
        if len(self.points[-1]) != len(self.points[0]):
            raise InputError(
                f"{path} has a pose of {len(self.points[-1]) // 3} joints at {where}, expected "
                f"{len(self.points[0]) // 3} as in {self.paths[0]}"
            )

    def persons(self) -> list[int | None]:
        """The ids."""
        known = [0 if one is None else one for one in self.ids]
        return self.ids if None in self.ids else list(tracked(known, self.images))

    def values(self, wanted: Skeleton | None, path: Path) -> tuple[Any, Skeleton]:
        """x, y, score of each joint, :math:`[F, V, 3]`, and what names them."""
        values = numbers_of(self.points, path)
        joints = values.shape[1] // 3 if self.points else None
        named = skeleton_of(joints, wanted, COCO, path)
        return values.reshape(len(self.points), named.num_joints, 3), named


def _is_own(match: re.Match[str] | None, path: Path) -> bool:
    """Whether a picture is the one that a file is named after."""
    if match is None:
        return False
    return (
        split_folders(match[1] if match[2] is None else match[2])[1] == split_folders(path.name)[1]
    )
