"""Which normal poses are kept out of training, to calibrate scores."""

from __future__ import annotations

import numpy as np

from gepc_geo.errors import warn_of_input
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows

# Fewer clips than this are split by person, not by clip.
_FEW_CLIPS = 10


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


def warn_of_few(trained: PoseWindows, held_out: PoseWindows, holdout: float) -> None:
    """Warns where thresholds are not those of people never seen before.

    Args:
        trained: Windows trained on.
        held_out: Windows for calibration.
        holdout: The option.
    """
    text = None
    if _of_one_person(trained, held_out):
        text = (
            "only one person of the training poses has full windows: thresholds come from that person "
            "alone, and anybody else may count as abnormal, expected at least 2 people"
        )
    elif holdout and not len(held_out):
        text = (
            "none of the people kept out of training has a full window, so that thresholds are of "
            "windows trained on, and may be too low: expected more people, or longer tracks"
        )
    if text is not None:
        warn_of_input(text)


def _of_one_person(*parts: PoseWindows) -> bool:
    people = set()
    for windows in parts:
        if len(windows):
            if np.ptp(windows.clip) or np.ptp(windows.track):
                return False
            name = windows.table.source.clip_names[windows.clip[0]]
            people.add((name, int(windows.track[0])))
    return len(people) == 1
