"""Tracks stretched to a number of frames (clip-level sets)."""

from __future__ import annotations

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.filling import fill_joints, without_empty_rows


def resample_clips(tracks: PoseTracks, frames: int) -> PoseTracks:
    r"""Stretches each person's track to ``frames`` frames (clip-level sets, paper section 4.2).

    Joints are filled over the whole track as :func:`fill` does, whatever the gaps; then positions,
    confidence and features are interpolated linearly between the rows before and after each new
    frame. So a joint has no confidence where it had none on both sides, and every new row has some.
    A track of one frame repeats it.

    Args:
        tracks: Tracks of any length.
        frames: Frames of every track (and clip) of the result.

    Returns:
        The same clips, all ``frames`` long, without frame labels and frame rates, which have lost
        their meaning; people in whom no joint ever has confidence are gone.

    Raises:
        InputError: ``frames`` below 1.
    """
    if frames < 1:
        raise InputError(f"frames is {frames}, expected at least 1")
    full = without_empty_rows(tracks)
    start = full.track_starts
    bounds = np.append(start, full.num_frames)
    keypoints = full.keypoints.copy()
    fill_joints(keypoints, full.confidence, full.frame, bounds)
    end = bounds[1:] - 1
    # All tracks' times laid end to end, in whole frames, so that one search finds every neighbour.
    span = full.frame[end] - full.frame[start]
    base = np.concatenate([[0], np.cumsum(span + 1)])[:-1]
    time = full.frame + np.repeat(base - full.frame[start], np.diff(bounds))
    number = np.arange(frames)
    # frames - 1 steps over the span; a single new frame is the track's first.
    exact = number * span[:, None] / max(frames - 1, 1) + base[:, None]
    whole = number * span[:, None] // max(frames - 1, 1) + base[:, None]
    before = np.searchsorted(time, whole, side="right") - 1
    after = np.minimum(before + 1, end[:, None])
    step = np.maximum(time[after] - time[before], 1)
    weight = ((exact - time[before]) / step).reshape(-1, 1)
    before, after = before.reshape(-1), after.reshape(-1)

    def between(array: np.ndarray) -> np.ndarray:
        w = weight if array.ndim == 2 else weight[..., None]
        return ((1 - w) * array[before] + w * array[after]).astype(np.float32)

    return tracks.with_(
        keypoints=between(keypoints),
        confidence=between(full.confidence),
        features=None if full.features is None else between(full.features),
        clip=np.repeat(full.clip[start], frames),
        track=np.repeat(full.track[start], frames),
        frame=np.tile(number, len(start)),
        clip_length=np.full(tracks.num_clips, frames),
        fps=None,
        frame_labels=None,
    )
