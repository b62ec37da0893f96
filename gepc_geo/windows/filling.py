"""Holes of tracks, filled by linear interpolation in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks


@dataclass(frozen=True, eq=False)
class FilledTracks:
    r"""Tracks cut into pieces without holes: every joint has a position in every row.

    The rows of a piece are consecutive frames of one person. Made by :func:`fill`.

    Attributes:
        channels: :math:`[R, V, C']` float32, a joint's coordinates, confidence and features side by
            side: what windows are gathered from.
        clip: :math:`[R]` int64, position in the source's ``clip_names``.
        track: :math:`[R]` int64, person id.
        frame: :math:`[R]` int64, frame number within the clip.
        piece: :math:`[P + 1]` int64; piece ``p`` is rows ``piece[p]`` to ``piece[p + 1]``.
        source: The tracks they were made of (skeleton, image sizes, names).
    """

    channels: np.ndarray
    clip: np.ndarray
    track: np.ndarray
    frame: np.ndarray
    piece: np.ndarray
    source: PoseTracks

    @property
    def keypoints(self) -> np.ndarray:
        r""":math:`[R, V, C]` float32; joints without confidence are interpolated."""
        return self.channels[..., : self.source.dims]

    @property
    def confidence(self) -> np.ndarray:
        r""":math:`[R, V]` float32; 0 wherever the position is not an observed one."""
        return self.channels[..., self.source.dims]

    @property
    def features(self) -> np.ndarray | None:
        r""":math:`[R, V, D]` float32 or ``None``; interpolated in inserted rows."""
        return None if self.source.features is None else self.channels[..., self.source.dims + 1 :]

    @property
    def num_channels(self) -> int:
        """Coordinates, confidence and features of a joint."""
        return int(self.channels.shape[-1])


def fill(tracks: PoseTracks, max_gap: int = 3) -> FilledTracks:
    r"""Fills the holes of tracks by linear interpolation in time; nothing filled has confidence.

    - A row in which no joint has confidence counts as a missing frame.
    - Up to ``max_gap`` missing frames in a row are inserted; a longer gap splits the track.
    - A joint without confidence is interpolated between the piece's frames in which it has some;
      before the first and after the last of those it stays where it was seen.
    - A joint never seen in a piece is put at the mean of the frame's other joints.

    Values at joints without confidence are never used. Features of rows that exist are kept.

    Args:
        tracks: :math:`F` person-frames.
        max_gap: Missing frames in a row to interpolate, at most.

    Raises:
        InputError: ``max_gap`` below 0.
    """
    if max_gap < 0:
        raise InputError(f"max_gap is {max_gap}, expected 0 or more frames")
    tracks = without_empty_rows(tracks)
    joined = _same_track(tracks) & (np.diff(tracks.frame) <= max_gap + 1)
    return fill_pieces(tracks, joined, joined)


def fill_pieces(tracks: PoseTracks, joined: np.ndarray, inserted: np.ndarray) -> FilledTracks:
    r"""Fills the holes of pieces that are known already, as :func:`fill` does.

    Args:
        tracks: :math:`F` person-frames with confidence in some joint each.
        joined: :math:`[F - 1]` bool, whether a row and the next are of one piece.
        inserted: :math:`[F - 1]` bool, whether the frames missing between them become rows, too;
            only where they are joined.
    """
    rows = tracks.num_frames
    # Every row is followed by the frames that are missing up to the next row of its piece.
    count = np.ones(rows, dtype=np.int64)
    count[:-1][inserted] = np.diff(tracks.frame)[inserted]
    place = np.concatenate([[0], np.cumsum(count)])
    left = np.repeat(np.arange(rows), count)
    offset = np.arange(place[-1]) - place[left]
    starts = np.flatnonzero(np.concatenate([np.ones(min(rows, 1), dtype=bool), ~joined]))
    piece = np.append(place[starts], place[-1])
    frame = tracks.frame[left] + offset
    dims = tracks.dims
    channels = np.empty(
        (len(left), tracks.num_joints, dims + 1 + tracks.num_features), dtype=np.float32
    )
    channels[..., :dims] = tracks.keypoints[left]
    channels[..., dims] = tracks.confidence[left]
    new = np.flatnonzero(offset)
    channels[new, :, dims] = 0
    fill_joints(channels[..., :dims], channels[..., dims], frame, piece)
    if tracks.features is not None:
        features = channels[..., dims + 1 :]
        features[...] = tracks.features[left]
        weight = (offset[new] / count[left[new]])[:, None, None]
        after = tracks.features[left[new] + 1]
        features[new] = (1 - weight) * features[new] + weight * after
    return FilledTracks(
        channels=channels,
        clip=tracks.clip[left],
        track=tracks.track[left],
        frame=frame,
        piece=piece,
        source=tracks,
    )


def without_empty_rows(tracks: PoseTracks) -> PoseTracks:
    """Without the person-frames in which no joint has confidence."""
    seen = np.flatnonzero((tracks.confidence > 0).any(axis=1))
    return tracks if len(seen) == tracks.num_frames else tracks.rows(seen)


def _same_track(tracks: PoseTracks) -> np.ndarray:
    """Whether each row and the next are of the same person: [F - 1] bool."""
    return (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0)


def fill_joints(
    keypoints: np.ndarray, confidence: np.ndarray, time: np.ndarray, piece: np.ndarray
) -> None:
    """Interpolates, in place, key points [R, V, C] of joints without confidence in their piece.

    Every piece (start rows, [P + 1]) must have a joint with confidence somewhere; ``time`` rises
    within a piece.
    """
    rows, joints = confidence.shape
    piece_of_row = np.repeat(np.arange(len(piece) - 1), np.diff(piece))
    lost = np.zeros((rows, joints), dtype=bool)
    for joint in range(joints):
        seen = confidence[:, joint] > 0
        hole, known = np.flatnonzero(~seen), np.flatnonzero(seen)
        if not len(hole):
            continue
        if not len(known):
            lost[:, joint] = True
            continue
        # The number of seen rows so far is the position in `known` of the next one.
        rank = np.cumsum(seen)[hole]
        before = known[np.maximum(rank - 1, 0)]
        after = known[np.minimum(rank, len(known) - 1)]
        here = piece_of_row[hole]
        has_before = (rank > 0) & (piece_of_row[before] == here)
        has_after = (rank < len(known)) & (piece_of_row[after] == here)
        # At the ends of a piece the one neighbour there is stands for both.
        before, after = np.where(has_before, before, after), np.where(has_after, after, before)
        span = np.maximum(time[after] - time[before], 1)
        weight = np.where(has_before & has_after, (time[hole] - time[before]) / span, 0.0)[:, None]
        keypoints[hole, joint] = (1 - weight) * keypoints[before, joint] + weight * keypoints[
            after, joint
        ]
        lost[hole, joint] = ~(has_before | has_after)
    part = np.flatnonzero(lost.any(axis=1))
    away = lost[part][..., None]
    total = np.where(away, 0.0, keypoints[part]).sum(axis=1, keepdims=True)
    mean = total / np.maximum((~away).sum(axis=1, keepdims=True), 1)
    keypoints[part] = np.where(away, mean, keypoints[part])
