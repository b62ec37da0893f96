"""Clips and values for the writers of formats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.file_names import file_names
from gepc_geo.poses.tracks import PoseTracks


def clips_by_frame(tracks: PoseTracks) -> Iterator[tuple[str, int, list[list[int]]]]:
    """Iterates over clips: file name, position, and for each frame the rows of its people.

    Rows of a frame are ordered by id. People without any joint in a frame are left out, as in
    readers.

    People without any joint in a frame are not in it, as readers see it too.

    Raises:
        InputError: A name that no file can have
            (:func:`gepc_geo.io._common.file_names.file_names`).
    """
    visible = np.flatnonzero((tracks.confidence > 0).any(axis=1))
    parts = np.split(visible, np.searchsorted(tracks.clip[visible], np.arange(1, tracks.num_clips)))
    for clip, name in enumerate(file_names(tracks.clip_names)):
        frames: list[list[int]] = [[] for _ in range(tracks.clip_length[clip])]
        for row in parts[clip].tolist():
            frames[tracks.frame[row]].append(row)
        yield name, clip, frames


def share_poses(tracks: PoseTracks) -> np.ndarray:
    """Positions in shares of the image, and score of each joint, as :func:`_rounded`.

    Raises:
        InputError: A clip of unknown image size.
    """
    unknown = np.isnan(tracks.image_size).any(axis=1)
    if unknown.any():
        name = tracks.clip_names[int(np.flatnonzero(unknown)[0])]
        raise InputError(
            f"clip {name!r} must have an image size (--image-size) to write shares of it, got none"
        )
    shares = tracks.keypoints.astype(np.float64) / tracks.image_size[tracks.clip][:, None]
    return _rounded(shares, tracks.confidence, digits=6)


def pixel_poses(tracks: PoseTracks) -> np.ndarray:
    """x, y, score of each joint, as :func:`_rounded`."""
    return _rounded(tracks.keypoints, tracks.confidence, digits=3)


def fine_poses(tracks: PoseTracks) -> np.ndarray:
    """Position and score of each joint, in 2D or 3D, to six decimals, as :func:`_rounded`."""
    return _rounded(tracks.keypoints, tracks.confidence, digits=6)


def flat_poses(tracks: PoseTracks) -> list[list[float]]:
    """:func:`pixel_poses`, one list a person-frame."""
    values = pixel_poses(tracks)
    flat: list[list[float]] = values.reshape(len(values), 3 * tracks.num_joints).tolist()
    return flat


def _rounded(keypoints: np.ndarray, confidence: np.ndarray, digits: int) -> np.ndarray:
    """Rounds positions to ``digits`` and scores to 3 decimals; missing joints are 0.

    Rounding keeps the score and position of a visible joint above 0. The result is
    :math:`[F, V, C + 1]`.
    """
    least = 10.0**-digits
    values = np.concatenate([keypoints, confidence[..., None]], axis=2).astype(np.float64)
    values[..., :-1] = np.round(values[..., :-1], digits)
    values[..., -1] = np.maximum(np.round(values[..., -1], 3), 0.001)
    values[(values[..., :-1] == 0).all(-1), 0] = least
    values[confidence == 0] = 0
    return values
