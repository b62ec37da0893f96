"""Recognition of pixels and shares of the image, by the values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gepc_geo.poses.tracks import PoseTracks

# Estimators place invisible joints outside the image: half of all shares are within the first
# value, nearly all within the second. No person in pixels is that small.
_HALF, _ALL, _MOSTLY = 1.5, 4.0, 0.99
# Share of negative values above which coordinates run from -1 to 1.
_NEGATIVE = 0.1
# Rows of a clip that decide whether all rows are checked.
_FEW = 64


def are_shares(positions: np.ndarray) -> bool:
    """Whether positions (of any shape) are shares of the image: no person is a few pixels tall."""
    size = np.abs(positions)
    return size.size > 0 and bool(np.median(size) <= _HALF and (size <= _ALL).mean() >= _MOSTLY)


def recognise_units(tracks: PoseTracks, include_sized: bool = True) -> PoseTracks:
    """Converts positions of each clip according to their values.

    If nearly all coordinates are within 0 to 1, they are shares of the image: with a known image
    size they become pixels, otherwise the image size becomes 1 by 1. If a good part of them are
    negative, they run from -1 to 1 (OpenPose's ``--keypoint_scale 4``) and are mapped to 0 to 1.
    Other positions in an image of 1 by 1 are pixels in an image of unknown size.

    Args:
        tracks: The poses.
        include_sized: Whether to convert clips of known image size too.
    """
    if tracks.dims != 2 or not tracks.num_frames:
        return tracks
    size, keypoints = tracks.image_size.copy(), tracks.keypoints
    bounds = np.searchsorted(tracks.clip, np.arange(tracks.num_clips + 1))
    for clip in range(tracks.num_clips):
        if not include_sized and not np.isnan(size[clip]).any():
            continue
        rows = slice(bounds[clip], bounds[clip + 1])
        marked = bool((size[clip] == 1).all())
        sample = _seen(tracks, slice(rows.start, min(rows.start + _FEW, rows.stop)))
        if not marked and sample.size and not are_shares(sample):
            continue
        seen = _seen(tracks, rows)
        if not are_shares(seen):
            size[clip] = np.nan if marked and seen.size else size[clip]
            continue
        negative = bool((seen < 0).mean() > _NEGATIVE)
        has_size = not np.isnan(size[clip]).any() and not marked
        if negative or has_size:
            keypoints = keypoints.copy() if keypoints is tracks.keypoints else keypoints
            shares = (keypoints[rows] + 1) / 2 if negative else keypoints[rows]
            visible = tracks.confidence[rows][..., None] > 0
            keypoints[rows] = np.where(visible, shares * (size[clip] if has_size else 1), 0)
        size[clip] = size[clip] if has_size else 1
    return replace(tracks, image_size=size, keypoints=keypoints)


# -- inner -----------------------------------------------------------------------------------------


def _seen(tracks: PoseTracks, rows: slice) -> np.ndarray:
    return np.asarray(tracks.keypoints[rows][tracks.confidence[rows] > 0])
