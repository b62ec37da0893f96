"""Tables of scores, and the scores of people in them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import FAULT, JUDGED, NOBODY, SHORT, STATES
from gepc_geo.utils.files import as_text, read_npz

_NUMBERS = ("frame", "person", "first_frame", "length", "score", "mean", "padded", "label")


def read_scores(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a table of ``gepc-geo score``, of any level except ``joint``.

    Args:
        path: ``.csv`` or ``.npz`` file.

    Returns:
        Columns by name.

    Raises:
        InputError: The file does not exist, has another suffix, is not a table of scores, or has
            values that are not numbers.
    """
    path = Path(path)
    if path.suffix == ".npz":
        columns = read_npz(path, "table of scores")
    elif path.suffix == ".csv":
        columns = _read_csv(path)
    else:
        raise InputError(f"{path} must end with .csv or .npz, got {path.suffix!r}")
    missing = {"clip", "score", "person"} - set(columns)
    if missing:
        raise InputError(
            f"{path} must have column {sorted(missing)[0]!r} (a table of scores of level window, "
            f"person, frame or clip), got {', '.join(columns) or 'no columns'}"
        )
    if "peak" in columns:
        raise InputError(
            f"{path} must be a table of scores of level window, person, frame or clip, got events"
        )
    for name, column in columns.items():
        if name in _NUMBERS and column.dtype.kind not in "iuf":
            raise InputError(f"column {name!r} of {path} must hold numbers, got {column.dtype}")
        if name in ("frame", "person", "first_frame", "length") and not np.isfinite(column).all():
            raise InputError(
                f"column {name!r} of {path} must be finite in each row, got NaN or infinity"
            )
    if len({column.shape for column in columns.values() if column.ndim}) > 1:
        raise InputError(f"columns of {path} must have equal lengths, got several lengths")
    return columns


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = list(csv.reader(stream)) or [[]]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"could not read {path}: {error}") from None
    for number, row in enumerate(rows, start=2):
        if len(row) < len(header):
            raise InputError(
                f"row {number} of {path} must have {len(header)} values, got {len(row)}"
            )
    columns = {}
    for index, name in enumerate(header):
        values = [row[index] for row in rows]
        if name not in _NUMBERS:
            columns[name] = np.array(values, dtype=np.str_)
            continue
        numbers: list[float] = []
        try:
            for text in values:
                # A cell is empty where nothing was judged.
                numbers.append(float(text or "nan"))
        except ValueError:
            raise InputError(
                f"{name!r} in row {len(numbers) + 2} of {path} must be a number, got {text!r:.40}"
            ) from None
        columns[name] = np.array(numbers, dtype=np.float64)
    return columns


@dataclass(frozen=True, eq=False)
class PersonScores:
    r"""Scores of the person-frames of poses, and of :math:`G` frames in gaps of tracks.

    Attributes:
        score: :math:`[F]` float64; NaN without a score.
        fault: :math:`[F]` bool, person-frames that have no score because of a tracking fault.
        gap_clip: :math:`[G]`, clip of a frame in which a scored person has no pose.
        gap_frame: :math:`[G]`, its number.
        gap_score: :math:`[G]`, the score there; NaN without one.
        gap_fault: :math:`[G]`, whether there is none because of a tracking fault.
    """

    score: np.ndarray
    fault: np.ndarray
    gap_clip: np.ndarray
    gap_frame: np.ndarray
    gap_score: np.ndarray
    gap_fault: np.ndarray

    def of_frames(self, tracks: PoseTracks, clip: int) -> tuple[np.ndarray, np.ndarray]:
        r"""Highest score of each frame of a clip, and what was judged there.

        Args:
            tracks: The scored poses.
            clip: Index of the clip.

        Returns:
            Scores :math:`[N]`, NaN without a score, and states :math:`[N]`, positions in
            :data:`~gepc_geo.scoring.aggregation.STATES`.
        """
        rows, gaps = tracks.clip == clip, self.gap_clip == clip
        frame = np.concatenate([tracks.frame[rows], self.gap_frame[gaps]])
        score = np.concatenate([self.score[rows], self.gap_score[gaps]])
        fault = np.concatenate([self.fault[rows], self.gap_fault[gaps]])
        line = np.full(int(tracks.clip_length[clip]), np.nan)
        np.fmax.at(line, frame, score)
        state = np.full(len(line), NOBODY)
        row = np.where(np.isnan(score), np.where(fault, FAULT, SHORT), JUDGED)
        np.maximum.at(state, frame, row)
        return line, state


def person_scores(tracks: PoseTracks, table: Mapping[str, np.ndarray]) -> PersonScores:
    r"""Scores of person-frames from a table of scores.

    In a table of frames or clips, only the person with the score has one; where nobody was judged
    because of tracking faults, all people there have a fault. From a table of windows, a
    person-frame has the mean over the lengths of its windows, as in ``gepc-geo score --level
    frame``: padded windows and windows with a fault give no score. A person with one window has its
    score in all frames, because windows of whole clips are stretched.

    Args:
        tracks: The scored poses.
        table: Table from :func:`read_scores`.

    Raises:
        InputError: The table has no clip of the poses, or is of windows without their lengths.
    """
    # Tables store names as text.
    number = {as_text(name): i for i, name in enumerate(tracks.clip_names)}
    clip = np.array([number.get(as_text(str(name)), -1) for name in table["clip"]], dtype=np.int64)
    known = clip >= 0
    if not known.any():
        raise InputError(
            "scores must be of clips of the poses, such as "
            f"{next(iter(tracks.clip_names), '(no clips)')!r}, got other clips"
        )
    rows = {name: column[known] for name, column in table.items()} | {"clip": clip[known]}
    rows["person"], rows["score"] = rows["person"].astype(np.int64), rows["score"].astype(float)
    if "first_frame" in rows:
        if "length" not in rows:
            raise InputError("table of windows must have column 'length', got none")
        return _of_windows(tracks, rows)
    return _of_moments(tracks, rows)


def _of_moments(tracks: PoseTracks, rows: dict[str, np.ndarray]) -> PersonScores:
    """Scores from rows of frames, people or clips."""
    framed = "frame" in rows
    frame = rows["frame"].astype(np.int64) if framed else np.zeros(len(rows["clip"]), np.int64)
    moment = tracks.frame if framed else np.zeros(tracks.num_frames, np.int64)
    key, poses = _keys((rows["clip"], tracks.clip), (rows["person"], tracks.track), (frame, moment))
    score = _looked_up(key, rows["score"], poses, np.nan)
    state = rows.get("state")
    fault = np.zeros(tracks.num_frames, dtype=bool)
    if state is not None:
        faulty = state == STATES[FAULT]
        fault = _looked_up(key, faulty, poses, False)
        # Rows without a person are of everybody there.
        alone = faulty & (rows["person"] < 0)
        own, wanted = _keys((rows["clip"], tracks.clip), (frame, moment))
        fault |= _looked_up(own[alone], faulty[alone], wanted, False)
    # A frame may have the score of a person in a gap of their track.
    gap = framed & np.isfinite(rows["score"]) & (rows["person"] >= 0) & ~np.isin(key, poses)
    gap &= frame < tracks.clip_length[rows["clip"]]
    return PersonScores(
        score,
        fault & np.isnan(score),
        rows["clip"][gap],
        frame[gap],
        rows["score"][gap],
        np.zeros(int(gap.sum()), dtype=bool),
    )


def _of_windows(tracks: PoseTracks, rows: dict[str, np.ndarray]) -> PersonScores:
    """Scores from rows of windows."""
    first, length = rows["first_frame"].astype(np.int64), rows["length"].astype(np.int64)
    usable = np.isfinite(rows["score"])
    if "padded" in rows:
        usable &= rows["padded"] == 0
    faulty = np.zeros(len(first), dtype=bool)
    if "fault" in rows:
        faulty = usable & (rows["fault"] != "")
        usable &= ~faulty
    longest = int(length.max(initial=1))
    where, who, when = _with_gaps(tracks, longest)
    own, wanted = _keys((rows["clip"], where), (rows["person"], who))
    # Keys that rise with person and frame; frames of two people are further apart than a window.
    span = int(max(first.max(initial=0), when.max(initial=0))) + longest + 1
    own, moment = own * span + first + longest, wanted * span + when + longest
    total = np.zeros(len(when))
    lengths, covered = np.zeros_like(total), np.zeros_like(total)
    for frames in np.unique(length).tolist():
        count, score = _over(own, rows["score"], usable & (length == frames), moment, frames)
        total += np.where(count > 0, score / np.maximum(count, 1), 0.0)
        lengths += count > 0
        covered += _over(own, rows["score"], faulty & (length == frames), moment, frames)[0]
    mean = total / np.where(lengths > 0, lengths, np.nan)
    person = (own - first - longest) // span
    single = np.bincount(person, minlength=1)[person] == 1
    mean = np.where(
        np.isnan(mean),
        _looked_up(person[single & usable], rows["score"][single & usable], wanted, np.nan),
        mean,
    )
    covered += _looked_up(person[single & faulty], faulty[single & faulty], wanted, False)
    fault = (covered > 0) & np.isnan(mean)
    poses, gaps = slice(tracks.num_frames), slice(tracks.num_frames, None)
    return PersonScores(mean[poses], fault[poses], where[gaps], when[gaps], mean[gaps], fault[gaps])


def _with_gaps(tracks: PoseTracks, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clip, track and frame of the person-frames, then of frames in gaps that windows may cover."""
    step = np.diff(tracks.frame)
    same = (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0)
    row = np.flatnonzero(same & (step > 1) & (step <= longest))
    row = np.repeat(row, step[row] - 1)
    # Positions 1, 2, ... within each gap.
    first = np.append(True, np.diff(row) > 0)[: len(row)]
    position = np.arange(len(row)) - np.flatnonzero(first)[np.cumsum(first) - 1] + 1
    return (
        np.concatenate([tracks.clip, tracks.clip[row]]),
        np.concatenate([tracks.track, tracks.track[row]]),
        np.concatenate([tracks.frame, tracks.frame[row] + position]),
    )


def _over(
    own: np.ndarray, value: np.ndarray, chosen: np.ndarray, moment: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Number of windows of one length over each moment, and the sum of their values."""
    order = np.argsort(own[chosen], kind="stable")
    start = own[chosen][order]
    total = np.concatenate([[0.0], np.cumsum(value[chosen][order])])
    low = np.searchsorted(start, moment - frames, side="right")
    high = np.searchsorted(start, moment, side="right")
    return high - low, total[high] - total[low]


def _keys(*columns: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One number for each combination of values, of the rows of a table and those of poses."""
    count = len(columns[0][0])
    key = np.zeros(count + len(columns[0][1]), dtype=np.int64)
    for pair in columns:
        values, rank = np.unique(np.concatenate(pair), return_inverse=True)
        key = key * len(values) + rank.reshape(-1)
    return key[:count], key[count:]


def _looked_up(own: np.ndarray, value: np.ndarray, wanted: np.ndarray, missing: object) -> Any:
    """The value of each wanted key; the last of equal keys counts."""
    result = np.full(len(wanted), missing, dtype=value.dtype)
    if not len(own):
        return result
    order = np.argsort(own, kind="stable")
    place = np.searchsorted(own[order], wanted, side="right") - 1
    found = (place >= 0) & (own[order][place] == wanted)
    result[found] = value[order][place[found]]
    return result
