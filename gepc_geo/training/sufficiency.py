"""What there must be enough of to train and to calibrate: lengths, people, one frame rate."""

from __future__ import annotations

import numpy as np

from gepc_geo.errors import warn_of_input
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows

# What a length needs where there are several: people, windows that calibrate, share of the shortest's windows.
_PEOPLE, _KNOWN, _SHARE = 2, 10, 0.1


def usable_lengths(windows: PoseWindows, calibration: PoseWindows) -> tuple[int, ...]:
    """The lengths of windows that there are enough of to learn from and to compare scores by.

    Of several lengths each needs windows of 2 people and 10 windows for calibration; a longer one also a
    tenth of the windows that the shortest has. Where the shortest has not, it stays alone. The others are
    named in a warning.

    Args:
        windows: Training windows.
        calibration: Held-out windows; where there are none of a length, the training windows count.
    """
    lengths = windows.lengths
    count = {length: int((windows.size == length).sum()) for length in lengths}

    def usable(length: int) -> bool:
        known = int((calibration.size == length).sum()) or count[length]
        people = len(np.unique(windows.person[windows.size == length]))
        return people >= _PEOPLE and known >= _KNOWN and count[length] >= _SHARE * count[lengths[0]]

    kept = [length for length in lengths if usable(length)]
    if lengths[0] not in kept:
        kept = [lengths[0]]
    lost = [length for length in lengths if length not in kept]
    if lost:
        warn_of_input(
            f"too few people have windows of {' and '.join(map(str, lost))} frames: only those of "
            f"{' and '.join(map(str, kept))} frames are scored, expected longer tracks of more people"
        )
    return tuple(kept)


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


def warn_of_rates(tracks: PoseTracks) -> None:
    """Warns of clips whose frame rate differs from the usual one by over 10 %."""
    known = tracks.fps[~np.isnan(tracks.fps)]
    if len(known) and (np.abs(known / tracks.usual_fps - 1) > 0.1).any():
        warn_of_input(
            f"clips have {known.min():g} to {known.max():g} frames a second, and windows are counted in "
            f"frames at {tracks.usual_fps:g}, expected clips of one rate"
        )
