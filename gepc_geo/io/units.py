"""Pixels, or shares of the image: told by the values, whatever the format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gepc_geo.tracks import PoseTracks

# Nearly all coordinates that are shares of the image lie within this; a few joints lie outside of it.
_SHARE, _MOSTLY = 1.5, 0.99
# The part of negative ones from which on they run from -1 to 1.
_NEGATIVE = 0.1
# Rows of a clip that are looked at before all are.
_FEW = 64


def recognise_shares(tracks: PoseTracks) -> PoseTracks:
    """Gives the clips of unknown image size whose positions are shares of the image the size 1 by 1.

    Nobody is a pixel tall: where nearly all coordinates of a clip lie within 0 to 1 they are shares. Where a
    good part of them are negative, they run from -1 to 1 (OpenPose's ``--keypoint_scale 4``), and are put
    into 0 to 1.
    """
    unknown = np.isnan(tracks.image_size).any(axis=1)
    if tracks.dims != 2 or not unknown.any() or not tracks.num_frames:
        return tracks
    size, keypoints = tracks.image_size.copy(), tracks.keypoints
    bounds = np.searchsorted(tracks.clip, np.arange(tracks.num_clips + 1))
    for clip in np.flatnonzero(unknown):
        rows = slice(bounds[clip], bounds[clip + 1])
        few = slice(rows.start, min(rows.start + _FEW, rows.stop))
        if not (_are_shares(tracks, few) and _are_shares(tracks, rows)):
            continue
        size[clip] = 1
        seen = tracks.confidence[rows] > 0
        if (tracks.keypoints[rows][seen] < 0).mean() > _NEGATIVE:
            keypoints = keypoints.copy() if keypoints is tracks.keypoints else keypoints
            keypoints[rows] = np.where(seen[..., None], (keypoints[rows] + 1) / 2, 0)
    return replace(tracks, image_size=size, keypoints=keypoints)


# -- inner -----------------------------------------------------------------------------------------


def _are_shares(tracks: PoseTracks, rows: slice) -> bool:
    seen = tracks.keypoints[rows][tracks.confidence[rows] > 0]
    return len(seen) > 0 and bool((np.abs(seen) <= _SHARE).mean() >= _MOSTLY)
