"""What was judged: states of people, frames and clips, and their counts."""

from __future__ import annotations

import numpy as np

from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import FAULT, JUDGED, NOBODY, SHORT, STATES
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.quality import Quality

# What helps where somebody was not judged.
_HELP = {
    SHORT: "use a tracker that keeps ids longer, or train with shorter --lengths",
    FAULT: "use a better tracker, or judge them with --judge-faults",
}


def usable_windows(
    windows: PoseWindows, quality: Quality | None, options: ScoreOptions, padded: bool
) -> tuple[np.ndarray, np.ndarray]:
    r"""Windows that give scores, and windows that give none because of tracking faults.

    Args:
        windows: :math:`W` windows.
        quality: Their quality; ``None``: no faults are known.
        options: ``faults`` tells whether windows with faults give scores.
        padded: Whether padded windows give scores.

    Returns:
        Two masks :math:`[W]`.
    """
    chosen = ~windows.padded | padded
    if quality is None or options.faults:
        return chosen, np.zeros(len(windows), dtype=bool)
    return chosen & ~quality.fault, chosen & quality.fault


def person_states(
    tracks: PoseTracks, windows: PoseWindows, used: np.ndarray, fault: np.ndarray
) -> np.ndarray:
    """States of all people, in the order of ``tracks.track_starts``.

    Args:
        tracks: The poses.
        windows: Their windows.
        used: Windows that give scores.
        fault: Windows that give none because of tracking faults.
    """
    start = tracks.track_starts
    states = np.full(len(start), SHORT)
    # A number that rises with clip and track, as the rows of tracks do.
    clip = np.concatenate([tracks.clip[start], windows.clip])
    ids, number = np.unique(np.append(tracks.track[start], windows.track), return_inverse=True)
    number = number.reshape(-1) + clip * len(ids)
    owner = np.searchsorted(number[: len(start)], number[len(start) :])
    for chosen, state in ((fault, FAULT), (used, JUDGED)):
        states[owner[chosen]] = state
    return states


def clip_states(tracks: PoseTracks, people: np.ndarray) -> np.ndarray:
    """States of all clips from the states of their people, :func:`person_states`."""
    states = np.full(tracks.num_clips, NOBODY)
    np.maximum.at(states, tracks.clip[tracks.track_starts], people)
    return states


def clip_states_of(scored: WindowScores, tracks: PoseTracks, options: ScoreOptions) -> np.ndarray:
    """States of all clips from window scores."""
    windows = scored.windows
    used, fault = usable_windows(windows, scored.quality, options, options.padded is not False)
    return clip_states(tracks, person_states(tracks, windows, used, fault))


def blank_unjudged(columns: dict[str, np.ndarray]) -> None:
    """Replaces the scores of a table by NaN in rows that were not judged."""
    if "state" in columns:
        columns["score"] = np.where(columns["state"] == STATES[JUDGED], columns["score"], np.nan)


def count_states(states: np.ndarray) -> dict[str, int]:
    """The number of rows with each state, by the state's name.

    Args:
        states: Names of states, or positions in :data:`~gepc_geo.scoring.aggregation.STATES`.
    """
    names = states if states.dtype.kind == "U" else np.array(STATES)[states]
    return {name: int((names == name).sum()) for name in STATES}


def describe_states(counts: dict[str, int], unit: str) -> list[str]:
    """Sentences about rows with somebody who was not judged, and what helps.

    Args:
        counts: Counts from :func:`count_states`.
        unit: Name of a row, in the plural: ``frames``.
    """
    return list(_sentences(counts, f"{unit} have people, but none was judged").values())


def describe_people(counts: dict[str, int], unit: str = "people") -> dict[str, str]:
    """Sentences about people who were not judged, and what helps, by state.

    Args:
        counts: Counts of people, or of person-frames, by the name of their state.
        unit: What is counted, in the plural. (default: ``"people"``)
    """
    return _sentences(counts, f"{unit} were not judged")


def _sentences(counts: dict[str, int], text: str) -> dict[str, str]:
    total = sum(counts.values())
    return {
        STATES[state]: f"{counts[STATES[state]]:,} of {total:,} {text} ({STATES[state]}): {help_}"
        for state, help_ in _HELP.items()
        if counts[STATES[state]]
    }
