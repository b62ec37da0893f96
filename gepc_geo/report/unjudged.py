"""What a report tells of people who were not judged: gaps, counts, and tracking faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.states import (
    count_states,
    describe_people,
    describe_states,
    person_states,
    usable_windows,
)
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.scenes import Peak
from gepc_geo.scoring.aggregation import (
    FAULT,
    JUDGED,
    NOBODY,
    STATES,
    person_frame_states,
    person_frames,
)
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.windows.quality import SIGNS


def state_summary(
    scored: WindowScores, tracks: PoseTracks, options: ScoreOptions, level: str, state: np.ndarray
) -> dict[str, Any]:
    """Counts of the states of frames (or clips) and of people, and sentences about them.

    Args:
        scored: Window scores of ``tracks``.
        tracks: The poses.
        options: Aggregation of window scores.
        level: ``"frame"`` or ``"clip"``.
        state: State of each frame (or clip).

    Returns:
        ``counts`` by the state's name, ``people`` likewise, ``sentence``, which counts both, and
        ``help``, sentences about what helps where somebody was not judged.
    """
    padded = bool(options.padded) if level == "frame" else options.padded is not False
    used, fault = usable_windows(scored.windows, scored.quality, options, padded)
    people = count_states(person_states(tracks, scored.windows, used, fault))
    del people[STATES[NOBODY]]
    counts = count_states(state)
    return {
        "counts": counts,
        "people": people,
        "sentence": _sentence(counts, people, level),
        "help": [*describe_states(counts, f"{level}s"), *describe_people(people).values()],
    }


def _sentence(counts: dict[str, int], people: dict[str, int], level: str) -> str:
    nobody, judged = counts[STATES[NOBODY]], counts[STATES[JUDGED]]
    other = sum(counts.values()) - nobody - judged
    parts = [f"{judged:,} of {sum(counts.values()):,} {level}s were judged"]
    if not nobody + other:
        parts = [f"all {judged:,} {level}s were judged"]
    if nobody:
        parts.append(f"{nobody:,} have nobody in them")
    if other:
        parts.append(f"{other:,} have people of whom none was judged")
    parts.append(f"{people[STATES[JUDGED]]:,} of {sum(people.values()):,} people were judged")
    sentence = "; ".join(parts) + "."
    return sentence[0].upper() + sentence[1:]


def fault_peaks(
    scored: WindowScores,
    tracks: PoseTracks,
    options: ScoreOptions,
    mode: str,
    threshold: float,
    apart: int,
    most: int,
) -> list[Peak]:
    """Peaks of people who were not judged because of a tracking fault, highest score first.

    Each peak is the highest of consecutive person-frames of one person that only windows with
    faults cover, and whose mean score of these windows is at or above the threshold.

    Args:
        scored: Window scores of ``tracks``.
        tracks: The poses.
        options: Aggregation of window scores.
        mode: Scoring mode.
        threshold: Threshold of the scores of person-frames.
        apart: Least number of frames between two peaks of one person.
        most: Largest number of peaks of a clip.
    """
    windows, quality = scored.windows, scored.quality
    used, fault = usable_windows(windows, quality, options, bool(options.padded))
    if quality is None or not fault.any():
        return []
    faulty, table = windows.subset(fault), windows.table
    score = person_frames(faulty, torch.as_tensor(scored.scores[mode][fault])).numpy()
    state = person_frame_states(windows, used, fault)
    rows = np.flatnonzero((state == FAULT) & (score >= threshold))
    piece = np.searchsorted(table.piece, rows, side="right") - 1
    # A run ends where a frame is missing, and where the next piece begins.
    border = np.flatnonzero((np.diff(rows) > 1) | (np.diff(piece) > 0)) + 1
    best = [part[score[part].argmax()] for part in np.split(rows, border) if len(part)]
    chosen: list[int] = []
    for row in sorted(best, key=lambda row: -score[row]):
        own = [at for at in chosen if table.clip[at] == table.clip[row]]
        near = [at for at in own if table.track[at] == table.track[row] and abs(at - row) < apart]
        if not near and len(own) < most:
            chosen.append(int(row))
    number = np.flatnonzero(fault)
    number = number[np.argsort(windows.piece[number], kind="stable")]
    start, end = windows.first, windows.first + windows.size
    peaks = []
    for row in chosen:
        at = int(np.searchsorted(table.piece, row, side="right")) - 1
        over = number[slice(*np.searchsorted(windows.piece[number], [at, at + 1]))]
        over = over[(start[over] <= row) & (row < end[over])]
        sign = SIGNS[quality.sign[over[quality.value[over].argmin()]]]
        place = (int(table.clip[row]), int(table.frame[row]))
        peaks.append(Peak(*place, float(score[row]), int(table.track[row]), sign))
    return peaks
