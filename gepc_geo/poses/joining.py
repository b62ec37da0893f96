"""Concatenation of data sets of poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import STRINGS


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Implements :meth:`~gepc_geo.poses.tracks.PoseTracks.concat`.

    Args:
        parts: Attributes by name of at least one data set.

    Returns:
        The arguments of :meth:`~gepc_geo.poses.tracks.PoseTracks.build`.
    """
    first = parts[0]
    for part in parts[1:]:
        if part["skeleton"] != first["skeleton"] or _dims(part) != _dims(first):
            raise InputError(
                f"joined poses must have one skeleton, got {first['skeleton'].name!r} in "
                f"{_dims(first)} dimensions and {part['skeleton'].name!r} in {_dims(part)}"
            )
        if _num_features(part) != _num_features(first):
            raise InputError(
                "joined poses must have the same number of features a joint, got "
                f"{_num_features(first)} (clip {next(iter(first['clip_names']), '')!r}) and "
                f"{_num_features(part)} (clip {next(iter(part['clip_names']), '')!r})"
            )
    labels: np.ndarray | None = None
    if any(part["frame_labels"] is not None for part in parts):
        labels = np.concatenate(
            [
                np.full(int(part["clip_length"].sum()), -1, dtype=np.int8)
                if part["frame_labels"] is None
                else part["frame_labels"]
                for part in parts
            ]
        )
    shift = np.cumsum([0, *(len(part["clip_names"]) for part in parts[:-1])])

    def rows(name: str) -> np.ndarray:
        return np.concatenate([part[name] for part in parts])

    return {
        "keypoints": rows("keypoints"),
        "confidence": rows("confidence"),
        "frame": rows("frame"),
        "track": rows("track"),
        "clip": np.concatenate([part["clip"] + s for part, s in zip(parts, shift, strict=True)]),
        "skeleton": first["skeleton"],
        "clip_length": rows("clip_length"),
        "image_size": rows("image_size"),
        "fps": rows("fps"),
        "features": None if first["features"] is None else rows("features"),
        "frame_labels": labels,
        "origin": "joined poses",
        **{name: sum((part[name] for part in parts), ()) for name in STRINGS},
    }


def _dims(part: Mapping[str, Any]) -> int:
    return int(part["keypoints"].shape[-1])


def _num_features(part: Mapping[str, Any]) -> int:
    return 0 if part["features"] is None else int(part["features"].shape[-1])
