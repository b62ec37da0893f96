"""Splits normal poses into training and held-out poses, and makes their windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gepc_geo.errors import warn_of_input
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.sufficiency import usable_lengths, warn_of_few
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import fill
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
    if options.skip_faults and options.frames is None:
        _learn_quality(training, tracks, pipeline)
    training = _sound(training, tracks, pipeline)
    calibration = _sound(
        pipeline.windows(rest, options.score_stride).without_padded(), tracks, pipeline
    )
    pipeline.lengths = usable_lengths(training, calibration)
    split = SplitWindows(
        training.of_lengths(pipeline.lengths),
        _sound(pipeline.windows(rest, options.stride).without_padded(), tracks, pipeline),
        calibration.of_lengths(pipeline.lengths),
    )
    if distributed.is_first():
        warn_of_few(split.training, split.calibration, options.holdout)
    return split


def training_part(tracks: PoseTracks, pipeline: InputPipeline) -> PoseWindows:
    """The windows that :func:`split_windows` trains on, for a fitted pipeline."""
    return _sound(
        pipeline.training_windows(hold_out(tracks, pipeline.options)[0]), tracks, pipeline
    )


def _learn_quality(training: PoseWindows, tracks: PoseTracks, pipeline: InputPipeline) -> None:
    """Learns the quality of poses.

    If more than half of the training windows had faults, the limits would be wrong: the pipeline
    gets no quality. An :class:`~gepc_geo.errors.InputWarning` tells that, or counts the windows
    that are left out.
    """
    people = _people_are_held_out(training, tracks)
    table = fill(tracks, pipeline.options.max_gap) if people else training.table
    pipeline.quality = PoseQuality.of(table)
    found = pipeline.quality.windows(training, _overlap(training, tracks, pipeline))
    text = ""
    if found.fault.mean() > 0.5:
        pipeline.quality = None
        text = (
            "at most half of the training windows must have tracking faults, got "
            f"{found.fault.mean():.0%} ({found.counts}): faults are not skipped"
        )
    elif found.fault.any():
        text = (
            "training windows must have no tracking faults, got "
            f"{int(found.fault.sum()):,} of {len(training):,} with faults, which are left out "
            f"({found.counts})"
        )
    if text and distributed.is_first():
        warn_of_input(text)


def _sound(windows: PoseWindows, tracks: PoseTracks, pipeline: InputPipeline) -> PoseWindows:
    """The windows of a part of ``tracks`` that have no tracking faults."""
    if pipeline.quality is None:
        return windows
    return pipeline.sound(windows, _overlap(windows, tracks, pipeline))


def _overlap(
    windows: PoseWindows, tracks: PoseTracks, pipeline: InputPipeline
) -> np.ndarray | None:
    """The sign ``overlap`` among all people of ``tracks``; ``None`` for whole clips."""
    if pipeline.quality is None or not _people_are_held_out(windows, tracks):
        return None
    whole = fill(tracks, pipeline.options.max_gap)
    return pipeline.quality.overlap_within(windows.table, whole)


def _people_are_held_out(windows: PoseWindows, tracks: PoseTracks) -> bool:
    """Whether the windows lack some people of their clips."""
    source = windows.table.source
    return source.num_clips == tracks.num_clips and source.num_tracks < tracks.num_tracks


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
