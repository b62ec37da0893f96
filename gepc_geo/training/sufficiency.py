"""Checks that there are enough windows and people, and one frame rate."""

from __future__ import annotations

import numpy as np

from gepc_geo.errors import warn_of_input
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows

#: Least training people and windows. On simulated crowds the AUC was 0.52 to 0.65 with 2 people,
#: 0.68 to 0.87 with 12, and 0.82 to 0.88 with 20 or more, also with about 100 windows in all
#: (benchmarks/results/2026-12-01/enough_people.txt).
LEAST_PEOPLE, LEAST_WINDOWS = 20, 100
#: Least held-out people. Above a threshold that is chosen for 5 % of the scores of 20 people are 3
#: to 9 % of the scores of all people, in 9 of 10 draws; of 8 people, it is 2 to 15 %.
LEAST_HELD_OUT = 20
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
    """Warns of too few people or windows, and of thresholds that no held-out people gave.

    Args:
        trained: Training windows.
        held_out: Held-out windows.
        holdout: The option.
    """
    text = None
    people = len(np.unique(trained.person))
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
    elif people < LEAST_PEOPLE or len(trained) < LEAST_WINDOWS:
        text = (
            f"training poses must have at least {LEAST_PEOPLE} people and {LEAST_WINDOWS} windows "
            f"for reliable scores, got {people:,} people and {len(trained):,} windows: new normal "
            "behaviour may be scored as abnormal"
        )
    if text is not None:
        warn_of_input(text)


def warn_of_uncertain(people: int, interval: str, known: bool) -> None:
    """Warns of thresholds that too few held-out people gave.

    Args:
        people: The number of held-out people.
        interval: The interval of the threshold of windows, in words.
        known: Whether both of its ends are known.
    """
    if people < LEAST_HELD_OUT or not known:
        need = f"at least {LEAST_HELD_OUT}" if people < LEAST_HELD_OUT else "more"
        warn_of_input(
            f"held-out people must be {need} for reliable thresholds, got {people}: the threshold "
            f"of windows has the {interval} (train on more people, or with a larger --holdout)"
        )


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
