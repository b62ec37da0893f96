"""Concatenation of data sets of poses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import STRINGS

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks


def joined(parts: Sequence[PoseTracks]) -> PoseTracks:
    """Implements :meth:`~gepc_geo.poses.tracks.PoseTracks.concat`."""
    if not parts:
        raise InputError("parts must have at least one data set, got none")
    first = parts[0]
    for part in parts[1:]:
        if part.skeleton != first.skeleton or part.dims != first.dims:
            raise InputError(
                f"joined poses must have one skeleton, got {first.skeleton.name!r} in "
                f"{first.dims} dimensions and {part.skeleton.name!r} in {part.dims}"
            )
        if part.num_features != first.num_features:
            raise InputError(
                "joined poses must have the same number of features a joint, got "
                f"{first.num_features} (clip {next(iter(first.clip_names), '')!r}) and "
                f"{part.num_features} (clip {next(iter(part.clip_names), '')!r})"
            )
    labels: np.ndarray | None = None
    if any(part.frame_labels is not None for part in parts):
        labels = np.concatenate(
            [
                np.full(int(part.clip_length.sum()), -1, dtype=np.int8)
                if part.frame_labels is None
                else part.frame_labels
                for part in parts
            ]
        )
    shift = np.cumsum([0, *(part.num_clips for part in parts[:-1])])

    def rows(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return type(first).build(
        keypoints=rows("keypoints"),
        confidence=rows("confidence"),
        frame=rows("frame"),
        track=rows("track"),
        clip=np.concatenate([part.clip + s for part, s in zip(parts, shift, strict=True)]),
        skeleton=first.skeleton,
        clip_length=rows("clip_length"),
        image_size=rows("image_size"),
        fps=rows("fps"),
        features=None if first.features is None else rows("features"),
        frame_labels=labels,
        origin="joined poses",
        **{name: sum((getattr(part, name) for part in parts), ()) for name in STRINGS},
    )
