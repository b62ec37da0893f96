"""Lists of poses of many images: the clip and frame of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips, Picture, build_clip, join_clips
from gepc_geo.io._common.pictures import series_of
from gepc_geo.io._common.text import whole_number
from gepc_geo.poses.skeleton import Skeleton


def image_name(image: object, path: Path, where: str) -> str:
    """The name of an image: its file's name, or its number as text.

    Raises:
        InputError: ``image`` is neither.
    """
    if isinstance(image, str) and any(one.isdigit() for one in image):
        return image
    if isinstance(image, float) and image.is_integer():
        image = int(image)
    if isinstance(image, int) and not isinstance(image, bool) and image >= 0:
        return str(whole_number(image, path, "frame"))
    shown = repr(image)[:40]
    raise InputError(
        f"{path}: image_id at {where} must be a number, or a name with a number as in clip_12.jpg, "
        f"got {shown}"
    )


def clips_of_images(
    parts: tuple[str, ...],
    values: np.ndarray,
    images: Sequence[str],
    person: Sequence[int | None],
    skeleton: Skeleton,
    path: Path,
    score: Sequence[float] | None = None,
    listed: Sequence[str] | None = None,
) -> Clips:
    """Makes clips of a list of poses of named images.

    Args:
        parts: Names of the clip within its folder, if all images belong to one clip.
        values: :math:`[F, V, 3]`: x, y and score.
        images: :math:`[F]` names of images.
        person: :math:`[F]` ids; ``None`` without an id.
        skeleton: Names the joints.
        path: The file, for errors.
        score: :math:`[F]` scores of poses; ``None``: the scores of their joints.
        listed: All images, if the file also lists those without people.

    Raises:
        InputError: A name without a number, two images of one frame.
    """
    names = list(dict.fromkeys(images if listed is None else listed))
    if not names:
        return build_clip(parts, values, [], [], skeleton, path, counted=True)
    series = series_of(names, lambda i: f"{path}: image {names[i]!r:.60}")
    place: dict[str, tuple[int, int]] = {}
    for number, one in enumerate(series):
        for i, frame in zip(one.members, one.frames, strict=True):
            place[names[i]] = number, frame
    at = np.array([place[image] for image in images], dtype=np.int64).reshape(-1, 2)
    clips = []
    for number, one in enumerate(series):
        # A single clip needs no copy.
        rows = np.flatnonzero(at[:, 0] == number) if len(series) > 1 else np.arange(len(at))
        clip = build_clip(
            parts if len(series) == 1 else (*parts, *one.parts),
            values if len(series) == 1 else values[rows],
            at[rows, 1],
            person if len(series) == 1 else [person[i] for i in rows.tolist()],
            skeleton,
            path,
            listed=one.frames,
            counted=not one.timed,
            score=score if score is None or len(series) == 1 else [score[i] for i in rows.tolist()],
            fps=None if one.fps is None else [one.fps],
        )
        clips.append(clip)
    first = series[0]
    picture = Picture(names[first.members[0]], 0, first.frames[0], first.timed)
    return replace(join_clips(clips), complete=listed is not None, picture=picture)
