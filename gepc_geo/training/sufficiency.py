"""Checks that there are enough windows and people, and one frame rate."""

from __future__ import annotations

import numpy as np

from gepc_geo.errors import warn_of_input
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows

# Least people, windows for calibration, and share of the number of shortest windows, of a length.
_PEOPLE, _CALIBRATION, _SHARE = 2, 10, 0.1


def usable_lengths(windows: PoseWindows, calibration: PoseWindows) -> tuple[int, ...]:
    """The lengths with enough windows.

    A length needs windows of 2 people, 10 windows for calibration, and a tenth of the number of
    windows of the shortest length. The shortest length is always returned, alone if it does not
    have enough. A warning names the other lengths.

    Args:
        windows: Training windows.
        calibration: Held-out windows; training windows replace them for a length without any.

    Returns:
        Lengths in frames, in ascending order.
    """
    lengths = windows.lengths
    count = {length: int((windows.size == length).sum()) for length in lengths}

    def usable(length: int) -> bool:
        calibrating = int((calibration.size == length).sum()) or count[length]
        people = len(np.unique(windows.person[windows.size == length]))
        enough = people >= _PEOPLE and calibrating >= _CALIBRATION
        return enough and count[length] >= _SHARE * count[lengths[0]]

    used = [length for length in lengths if usable(length)]
    if lengths[0] not in used:
        used = [lengths[0]]
    unused = [length for length in lengths if length not in used]
    if unused:
        counts = " and ".join(f"{length} frames ({count[length]} windows)" for length in unused)
        warn_of_input(
            f"only windows of {' and '.join(map(str, used))} frames are scored: there are too few "
            f"windows or people for {counts}"
        )
    return tuple(used)


def warn_of_few(trained: PoseWindows, held_out: PoseWindows, holdout: float) -> None:
    """Warns if thresholds are not chosen on people who were held out.

    Args:
        trained: Training windows.
        held_out: Held-out windows.
        holdout: The option.
    """
    text = None
    if _of_one_person(trained, held_out):
        text = (
            "training poses must have full windows of at least 2 people, got 1: other people may "
            "be scored as abnormal"
        )
    elif holdout and not len(held_out):
        text = (
            "held-out people must have at least 1 full window, got none: thresholds are chosen on "
            "training windows and may be too low"
        )
    if text is not None:
        warn_of_input(text)


def _of_one_person(*parts: PoseWindows) -> bool:
    people: set[tuple[str, int]] = set()
    for windows in parts:
        if len(windows):
            if np.ptp(windows.clip) or np.ptp(windows.track):
                return False
            name = windows.table.source.clip_names[windows.clip[0]]
            people.add((name, int(windows.track[0])))
    return len(people) == 1


def warn_of_rates(tracks: PoseTracks) -> None:
    """Warns of clips whose frame rate differs from the median by more than 10 %."""
    known = tracks.fps[~np.isnan(tracks.fps)]
    if len(known) and (np.abs(known / tracks.usual_fps - 1) > 0.1).any():
        warn_of_input(
            f"clips must have one frame rate, got {known.min():g} to {known.max():g} frames a "
            f"second: windows are counted in frames at {tracks.usual_fps:g}"
        )
