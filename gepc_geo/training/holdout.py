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
    training = skip_faults(pipeline.training_windows(train), pipeline)
    calibration = pipeline.sound(pipeline.windows(rest, options.score_stride).without_padded())
    pipeline.lengths = usable_lengths(training, calibration)
    split = SplitWindows(
        training.of_lengths(pipeline.lengths),
        pipeline.sound(pipeline.windows(rest, options.stride).without_padded()),
        calibration.of_lengths(pipeline.lengths),
    )
    if distributed.is_first():
        warn_of_few(split.training, split.calibration, options.holdout)
    return split


def skip_faults(training: PoseWindows, pipeline: InputPipeline) -> PoseWindows:
    """Learns the quality of poses, and leaves out training windows with tracking faults.

    Whole clips (option ``frames``) are never left out. If more than half of the windows had faults,
    the limits would be wrong: all windows stay. Both are told by an
    :class:`~gepc_geo.errors.InputWarning` with the count of faults.

    Args:
        training: The training windows.
        pipeline: Gets the quality.
    """
    options = pipeline.options
    if not options.skip_faults or options.frames is not None:
        return training
    quality = PoseQuality.of(training.table)
    found = quality.windows(training)
    if found.fault.mean() > 0.5:
        if distributed.is_first():
            warn_of_input(
                "at most half of the training windows must have tracking faults, got "
                f"{found.fault.mean():.0%} ({found.counts}): faults are not skipped"
            )
        return training
    pipeline.quality = quality
    if found.fault.any() and distributed.is_first():
        warn_of_input(
            "training windows must have no tracking faults, got "
            f"{int(found.fault.sum()):,} of {len(training):,} with faults, which are left out "
            f"({found.counts})"
        )
    return training.subset(~found.fault)


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
