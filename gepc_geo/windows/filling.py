"""Interpolation of missing frames and joints of tracks, linear in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks


@dataclass(frozen=True, eq=False)
class FilledTracks:
    r"""Tracks cut into pieces without gaps, with a position of every joint in every row.

    The rows of a piece are consecutive frames of one person. :func:`fill` makes them.

    Attributes:
        channels: :math:`[R, V, C']` float32: coordinates, confidence and features of a joint, from
            which windows are gathered.
        clip: :math:`[R]` int64, position in the source's ``clip_names``.
        track: :math:`[R]` int64, person id.
        frame: :math:`[R]` int64, frame number within the clip.
        piece: :math:`[P + 1]` int64; piece ``p`` is rows ``piece[p]`` to ``piece[p + 1]``.
        source: The original tracks (skeleton, image sizes, names).
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
        r""":math:`[R, V]` float32; 0 where the position is interpolated."""
        return self.channels[..., self.source.dims]

    @property
    def features(self) -> np.ndarray | None:
        r""":math:`[R, V, D]` float32 or ``None``; interpolated in inserted rows."""
        return None if self.source.features is None else self.channels[..., self.source.dims + 1 :]

    @property
    def num_channels(self) -> int:
        """The number of channels of a joint: coordinates, confidence and features."""
        return int(self.channels.shape[-1])


def fill(tracks: PoseTracks, max_gap: int = 3) -> FilledTracks:
    r"""Fills gaps of tracks by linear interpolation in time; filled values have confidence 0.

    - A row without confidence in any joint counts as a missing frame.
    - Up to ``max_gap`` consecutive missing frames are inserted; a longer gap splits the track.
    - A joint without confidence is interpolated between the frames of its piece in which it has
      some; before the first and after the last of them its position is constant.
    - A joint without confidence in a whole piece is put at the mean of the frame's other joints.

    Input positions of joints without confidence are ignored. Features of existing rows are
    unchanged.

    Args:
        tracks: :math:`F` person-frames.
        max_gap: Largest number of consecutive missing frames to interpolate.

    Raises:
        InputError: ``max_gap`` below 0.
    """
    if max_gap < 0:
        raise InputError(f"max_gap must be 0 or more frames, got {max_gap}")
    tracks = without_empty_rows(tracks)
    joined = _same_track(tracks) & (np.diff(tracks.frame) <= max_gap + 1)
    return fill_pieces(tracks, joined, joined)


def fill_pieces(tracks: PoseTracks, joined: np.ndarray, inserted: np.ndarray) -> FilledTracks:
    r"""Fills the gaps of given pieces, as :func:`fill` does.

    Args:
        tracks: :math:`F` person-frames, each with confidence in some joint.
        joined: :math:`[F - 1]` bool: whether a row and the next belong to one piece.
        inserted: :math:`[F - 1]` bool: whether rows are inserted for the frames between them; only
            where they are joined.
    """
    rows = tracks.num_frames
    # Each row is followed by inserted rows up to the next row of its piece.
    count = np.ones(rows, dtype=np.int64)
    count[:-1][inserted] = np.diff(tracks.frame)[inserted]
    place = np.concatenate([[0], np.cumsum(count)])
    source_row = np.repeat(np.arange(rows), count)
    offset = np.arange(place[-1]) - place[source_row]
    starts = np.flatnonzero(np.concatenate([np.ones(min(rows, 1), dtype=bool), ~joined]))
    piece = np.append(place[starts], place[-1])
    frame = tracks.frame[source_row] + offset
    dims = tracks.dims
    channels = np.empty(
        (len(source_row), tracks.num_joints, dims + 1 + tracks.num_features), dtype=np.float32
    )
    channels[..., :dims] = tracks.keypoints[source_row]
    channels[..., dims] = tracks.confidence[source_row]
    new = np.flatnonzero(offset)
    channels[new, :, dims] = 0
    fill_joints(channels[..., :dims], channels[..., dims], frame, piece)
    if tracks.features is not None:
        features = channels[..., dims + 1 :]
        features[...] = tracks.features[source_row]
        weight = (offset[new] / count[source_row[new]])[:, None, None]
        after = tracks.features[source_row[new] + 1]
        features[new] = (1 - weight) * features[new] + weight * after
    return FilledTracks(
        channels=channels,
        clip=tracks.clip[source_row],
        track=tracks.track[source_row],
        frame=frame,
        piece=piece,
        source=tracks,
    )


def without_empty_rows(tracks: PoseTracks) -> PoseTracks:
    """Removes the person-frames without confidence in any joint."""
    seen = np.flatnonzero((tracks.confidence > 0).any(axis=1))
    return tracks if len(seen) == tracks.num_frames else tracks.rows(seen)


def _same_track(tracks: PoseTracks) -> np.ndarray:
    """Whether each row and the next belong to the same person: [F - 1] bool."""
    return np.asarray((np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0))


def fill_joints(
    keypoints: np.ndarray, confidence: np.ndarray, time: np.ndarray, piece: np.ndarray
) -> None:
    """Interpolates in place the key points [R, V, C] without confidence, within their piece.

    Every piece (start rows, [P + 1]) must have confidence in some joint; ``time`` must rise within
    a piece.
    """
    rows, joints = confidence.shape
    piece_of_row = np.repeat(np.arange(len(piece) - 1), np.diff(piece))
    never_seen = np.zeros((rows, joints), dtype=bool)
    for joint in range(joints):
        seen = confidence[:, joint] > 0
        hole, observed = np.flatnonzero(~seen), np.flatnonzero(seen)
        if not len(hole):
            continue
        if not len(observed):
            never_seen[:, joint] = True
            continue
        # The number of seen rows so far is the position in `observed` of the next.
        rank = np.cumsum(seen)[hole]
        before = observed[np.maximum(rank - 1, 0)]
        after = observed[np.minimum(rank, len(observed) - 1)]
        own_piece = piece_of_row[hole]
        has_before = (rank > 0) & (piece_of_row[before] == own_piece)
        has_after = (rank < len(observed)) & (piece_of_row[after] == own_piece)
        # At the ends of a piece the only neighbour is used twice.
        before, after = np.where(has_before, before, after), np.where(has_after, after, before)
        span = np.maximum(time[after] - time[before], 1)
        weight = np.where(has_before & has_after, (time[hole] - time[before]) / span, 0.0)[:, None]
        keypoints[hole, joint] = (1 - weight) * keypoints[before, joint] + weight * keypoints[
            after, joint
        ]
        never_seen[hole, joint] = ~(has_before | has_after)
    incomplete_rows = np.flatnonzero(never_seen.any(axis=1))
    missing = never_seen[incomplete_rows][..., None]
    total = np.where(missing, 0.0, keypoints[incomplete_rows]).sum(axis=1, keepdims=True)
    mean = total / np.maximum((~missing).sum(axis=1, keepdims=True), 1)
    keypoints[incomplete_rows] = np.where(missing, mean, keypoints[incomplete_rows])
