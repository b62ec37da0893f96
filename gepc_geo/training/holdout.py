"""Splits normal poses into training and held-out poses, and makes their windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gepc_geo.errors import warn_of_input
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.sufficiency import usable_lengths, warn_of_few
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import FilledTracks, fill
from gepc_geo.windows.pipeline import InputPipeline
from gepc_geo.windows.quality import PoseQuality

# With fewer clips people are held out, not clips.
_FEW_CLIPS = 10


@dataclass
class SplitWindows:
    """Windows of normal poses.

    Attributes:
        training: Windows of the training poses, every ``stride`` frames.
        held_out: Windows of the held-out poses, every ``stride`` frames. The window modes learn
            from them, the network does not.
        calibration: Windows of the held-out poses, every ``score_stride`` frames.
    """

    training: PoseWindows
    held_out: PoseWindows
    calibration: PoseWindows


def split_windows(tracks: PoseTracks, pipeline: InputPipeline) -> SplitWindows:
    """Makes windows for training and for calibration.

    Sets ``pipeline.lengths`` to the lengths with enough windows; the shortest always stays. Warns
    with an :class:`~gepc_geo.errors.InputWarning` of lengths that are left out, of poses of a
    single person, and of held-out poses without windows.

    Args:
        tracks: Normal poses.
        pipeline: A pipeline for them, not fitted.
    """
    options = pipeline.options
    train, rest = hold_out(tracks, options)
    training = pipeline.training_windows(train)
    faults = _Faults(tracks, training, pipeline)
    if options.skip_faults and options.frames is None:
        training = faults.learn(training)
    calibration = faults.skip(pipeline.windows(rest, options.score_stride).without_padded())
    pipeline.lengths = usable_lengths(training, calibration)
    split = SplitWindows(
        training.of_lengths(pipeline.lengths),
        faults.skip(pipeline.windows(rest, options.stride).without_padded()),
        calibration.of_lengths(pipeline.lengths),
    )
    if distributed.is_first():
        warn_of_few(split.training, split.calibration, options.holdout)
    return split


def training_part(tracks: PoseTracks, pipeline: InputPipeline) -> PoseWindows:
    """The windows that :func:`split_windows` trains on, for a fitted pipeline."""
    training = pipeline.training_windows(hold_out(tracks, pipeline.options)[0])
    return _Faults(tracks, training, pipeline).skip(training)


class _Faults:
    """Tracking faults in parts of poses; of held-out people, too, they are faults among all people.

    Args:
        tracks: All poses.
        part: Windows of a part of them.
        pipeline: Its quality judges windows.
    """

    def __init__(self, tracks: PoseTracks, part: PoseWindows, pipeline: InputPipeline) -> None:
        self.tracks, self.pipeline = tracks, pipeline
        source = part.table.source
        # Else the parts are whole clips.
        self._people_are_split = (
            source.num_clips == tracks.num_clips and source.num_tracks < tracks.num_tracks
        )

    @cached_property
    def _whole(self) -> FilledTracks:
        return fill(self.tracks, self.pipeline.options.max_gap)

    @cached_property
    def _overlap(self) -> np.ndarray:
        assert self.pipeline.quality is not None
        return self.pipeline.quality.overlap(self._whole)

    def learn(self, training: PoseWindows) -> PoseWindows:
        """Learns the quality of poses; returns the training windows without faults.

        If more than half of the windows had faults, the limits would be wrong: the pipeline gets no
        quality, and all windows stay. An :class:`~gepc_geo.errors.InputWarning` tells that, or
        counts the windows that are left out.
        """
        quality = PoseQuality.of(self._whole if self._people_are_split else training.table)
        self.pipeline.quality = quality
        found = quality.windows(training, self._rows(training))
        if found.fault.mean() > 0.5:
            self.pipeline.quality = None
            _warn(
                "at most half of the training windows must have tracking faults, got "
                f"{found.fault.mean():.0%} ({found.counts}): faults are not skipped"
            )
            return training
        if found.fault.any():
            _warn(
                "training windows must have no tracking faults, got "
                f"{int(found.fault.sum()):,} of {len(training):,} with faults, which are left out "
                f"({found.counts})"
            )
        return training.subset(~found.fault)

    def skip(self, windows: PoseWindows) -> PoseWindows:
        """The windows without faults; all if faults are not skipped."""
        if self.pipeline.quality is None:
            return windows
        return self.pipeline.sound(windows, self._rows(windows))

    def _rows(self, windows: PoseWindows) -> np.ndarray | None:
        """The sign ``overlap`` of the rows of windows; ``None`` for whole clips."""
        if not self._people_are_split:
            return None
        # Rows of the same people, in the same order.
        whole, part = self._whole, windows.table
        ids = np.unique(whole.track)
        person, own = (
            table.clip * len(ids) + np.searchsorted(ids, table.track) for table in (whole, part)
        )
        return self._overlap[np.isin(person, own)]


def _warn(text: str) -> None:
    if distributed.is_first():
        warn_of_input(text)


def hold_out(tracks: PoseTracks, options: Options) -> tuple[PoseTracks, PoseTracks]:
    """Splits poses into training poses and a share ``holdout`` of held-out poses.

    Clips are held out; with fewer than 10 clips, people; with a single person, its last frames if
    they contain a window.

    Args:
        tracks: Normal poses.
        options: ``holdout``, ``random_state`` and the length of a window count.

    Returns:
        Training poses and held-out poses.
    """
    generator = np.random.default_rng(options.random_state)
    populated = np.unique(tracks.clip)
    if len(populated) >= _FEW_CLIPS:
        count = max(1, round(options.holdout * len(populated))) if options.holdout else 0
        chosen = np.zeros(tracks.num_clips, dtype=bool)
        chosen[generator.permutation(populated)[:count]] = True
        return tracks.select(clips=~chosen), tracks.select(clips=chosen)
    if tracks.num_tracks == 1 and options.frames is None:
        count = round(options.holdout * tracks.num_frames)
        last = np.arange(tracks.num_frames) >= tracks.num_frames - count
        last &= count >= options.frames_of(tracks.usual_fps)[0]
        return tracks.rows(~last), tracks.rows(last)
    track_of_row = np.zeros(tracks.num_frames, dtype=np.int64)
    track_of_row[tracks.track_starts[1:]] = 1
    track_of_row = np.cumsum(track_of_row)
    count = max(1, round(options.holdout * tracks.num_tracks)) if options.holdout else 0
    chosen = np.zeros(max(tracks.num_tracks, 1), dtype=bool)
    if tracks.num_tracks > 1:
        chosen[generator.permutation(tracks.num_tracks)[:count]] = True
    return tracks.rows(~chosen[track_of_row]), tracks.rows(chosen[track_of_row])
