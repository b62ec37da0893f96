"""Tracks stretched or compressed to a fixed number of frames (clip-level sets)."""

from __future__ import annotations

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.filling import fill_joints, without_empty_rows


def resample_clips(tracks: PoseTracks, frames: int) -> PoseTracks:
    r"""Resamples each person's track to ``frames`` frames (clip-level sets, paper section 4.2).

    Joints are filled over the whole track as :func:`fill` does, across gaps of any length.
    Positions, confidence and features of a new frame are interpolated linearly between the rows
    before and after it. A joint without confidence in both rows has none in the new frame, and
    every new row has confidence in some joint. A track of one frame is repeated.

    Args:
        tracks: Tracks of any length.
        frames: Frames of each track and clip of the result.

    Returns:
        The clips, each of length ``frames``, without frame labels and frame rates, which do not
        apply to new frames, and without people who never have confidence in a joint.

    Raises:
        InputError: ``frames`` below 1.
    """
    if frames < 1:
        raise InputError(f"frames must be at least 1, got {frames}")
    full = without_empty_rows(tracks)
    start = full.track_starts
    bounds = np.append(start, full.num_frames)
    keypoints = full.keypoints.copy()
    fill_joints(keypoints, full.confidence, full.frame, bounds)
    end = bounds[1:] - 1
    # The times of all tracks, end to end and in whole frames: one search finds every neighbour.
    span = full.frame[end] - full.frame[start]
    base = np.concatenate([[0], np.cumsum(span + 1)])[:-1]
    time = full.frame + np.repeat(base - full.frame[start], np.diff(bounds))
    number = np.arange(frames)
    # The span has frames - 1 steps; a single new frame is the first of the track.
    exact = number * span[:, None] / max(frames - 1, 1) + base[:, None]
    whole = number * span[:, None] // max(frames - 1, 1) + base[:, None]
    before = np.searchsorted(time, whole, side="right") - 1
    after = np.minimum(before + 1, end[:, None])
    step = np.maximum(time[after] - time[before], 1)
    weight = ((exact - time[before]) / step).reshape(-1, 1)
    before, after = before.reshape(-1), after.reshape(-1)

    def between(array: np.ndarray) -> np.ndarray:
        share = weight if array.ndim == 2 else weight[..., None]
        return np.asarray((1 - share) * array[before] + share * array[after], dtype=np.float32)

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
