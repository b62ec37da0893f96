"""Which normal poses are kept out of training, and the windows on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.sufficiency import usable_lengths, warn_of_few
from gepc_geo.utils import distributed
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.pipeline import InputPipeline

# Fewer clips than this are split by person, not by clip.
_FEW_CLIPS = 10


@dataclass
class SplitWindows:
    """Windows of normal poses, of the lengths that there are enough of.

    Attributes:
        training: Windows to train on, every ``stride`` frames.
        held_out: Windows of the poses kept out of training, every ``stride`` frames: small sets learn from
            them what a network is not trained on.
        calibration: Windows of the same poses, every ``score_stride`` frames.
    """

    training: PoseWindows
    held_out: PoseWindows
    calibration: PoseWindows


def split_windows(tracks: PoseTracks, pipeline: InputPipeline) -> SplitWindows:
    """Windows to train on and windows to calibrate on.

    The pipeline keeps the lengths of windows that there are enough of; the shortest always stays.

    Args:
        tracks: Normal poses.
        pipeline: One for them, not fitted yet.

    Warns of lengths left out, of poses of a single person, and of poses too few to calibrate on
    (:class:`~gepc_geo.errors.InputWarning`).
    """
    options = pipeline.options
    train, rest = hold_out(tracks, options)
    training = pipeline.training_windows(train)
    calibration = pipeline.windows(rest, options.score_stride).without_padded()
    pipeline.lengths = usable_lengths(training, calibration)
    split = SplitWindows(
        training.of_lengths(pipeline.lengths),
        pipeline.windows(rest, options.stride).without_padded(),
        calibration.of_lengths(pipeline.lengths),
    )
    if distributed.is_first():
        warn_of_few(split.training, split.calibration, options.holdout)
    return split


def hold_out(tracks: PoseTracks, options: Options) -> tuple[PoseTracks, PoseTracks]:
    """Poses to train on, and a share ``holdout`` of the clips (or, of few clips, people) for calibration.

    Of a single person it is the last frames, where they hold a window; else nothing is held out.

    Args:
        tracks: All of them.
        options: ``holdout``, ``random_state`` and the length of a window.
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
