"""Pixels, or shares of the image: told by the values, whatever the format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gepc_geo.poses.tracks import PoseTracks

# Joints that are not in the picture are guessed outside of it: half of all shares lie within the first,
# nearly all within the second. Nobody in pixels is so small.
_HALF, _ALL, _MOSTLY = 1.5, 4.0, 0.99
# The part of negative ones from which on they run from -1 to 1.
_NEGATIVE = 0.1
# Rows of a clip that are looked at before all are.
_FEW = 64


def are_shares(positions: np.ndarray) -> bool:
    """Whether positions (of any shape) are shares of the image: nobody is a few pixels tall."""
    size = np.abs(positions)
    return size.size > 0 and bool(np.median(size) <= _HALF and (size <= _ALL).mean() >= _MOSTLY)


def recognise_units(tracks: PoseTracks, known_too: bool = True) -> PoseTracks:
    """Positions as what their values show them to be, clip by clip.

    Where nearly all coordinates lie within 0 to 1 they are shares of the image: of known size they become
    pixels, else the image's size becomes 1 by 1. Where a good part of them are negative, they run from -1 to
    1 (OpenPose's ``--keypoint_scale 4``), and are put into 0 to 1. Positions in an image of 1 by 1 that are
    none are pixels of one of unknown size.

    Args:
        tracks: The poses.
        known_too: Whether clips of known image size are looked at, too.
    """
    if tracks.dims != 2 or not tracks.num_frames:
        return tracks
    size, keypoints = tracks.image_size.copy(), tracks.keypoints
    bounds = np.searchsorted(tracks.clip, np.arange(tracks.num_clips + 1))
    for clip in range(tracks.num_clips):
        if not known_too and not np.isnan(size[clip]).any():
            continue
        rows = slice(bounds[clip], bounds[clip + 1])
        marked = bool((size[clip] == 1).all())
        few = _seen(tracks, slice(rows.start, min(rows.start + _FEW, rows.stop)))
        if not marked and few.size and not are_shares(few):
            continue
        seen = _seen(tracks, rows)
        if not are_shares(seen):
            size[clip] = np.nan if marked and seen.size else size[clip]
            continue
        negative = bool((seen < 0).mean() > _NEGATIVE)
        known = not np.isnan(size[clip]).any() and not marked
        if negative or known:
            keypoints = keypoints.copy() if keypoints is tracks.keypoints else keypoints
            shares = (keypoints[rows] + 1) / 2 if negative else keypoints[rows]
            there = tracks.confidence[rows][..., None] > 0
            keypoints[rows] = np.where(there, shares * (size[clip] if known else 1), 0)
        size[clip] = size[clip] if known else 1
    return replace(tracks, image_size=size, keypoints=keypoints)


# -- inner -----------------------------------------------------------------------------------------


def _seen(tracks: PoseTracks, rows: slice) -> np.ndarray:
    return np.asarray(tracks.keypoints[rows][tracks.confidence[rows] > 0])
