"""Tables of a detector's scores: of joints, windows, persons, frames or clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.columns import add_times, person_columns, why_columns, window_columns
from gepc_geo.evaluation.events import event_table, sort_events
from gepc_geo.evaluation.score_options import ScoreOptions, check_level
from gepc_geo.evaluation.states import (
    blank_unjudged,
    clip_states_of,
    usable_windows,
)
from gepc_geo.poses.sharding import clip_range, split_clips
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import (
    STATES,
    FrameScores,
    clip_scores,
    frame_scores,
    person_frame_states,
    person_frames,
    smooth,
)
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.utils.files import as_text, atomic_path, write_csv
from gepc_geo.utils.progress import progress_bar
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.quality import Quality

#: Person-frames that are scored at once; a clip is never cut.
BLOCK = 1 << 17


def frame_level(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, options: ScoreOptions
) -> FrameScores:
    """Scores of all frames, clip after clip (``tracks.frame_offset``).

    Args:
        detector: A fitted detector.
        scored: Window scores of ``tracks``.
        tracks: The poses.
        options: Aggregation of window scores.

    Raises:
        InputError: As :func:`check_level`.
    """
    check_level(detector, "frame", options)
    mode = options.mode_of(detector)
    # A copy, as moving the detector's calibrator to the CPU would change the detector.
    calibrator = TailCalibrator.from_state_dict(detector.calibration_.person[mode].state_dict())
    return frames_of(
        scored.windows,
        scored.scores[mode],
        tracks,
        options,
        detector.calibration_.most_normal[mode],
        calibrator.to("cpu"),
        quality=scored.quality,
    )


def frames_of(
    windows: PoseWindows,
    score: np.ndarray,
    tracks: PoseTracks,
    options: ScoreOptions,
    empty_score: float | None = None,
    calibrator: TailCalibrator | None = None,
    quality: Quality | None = None,
) -> FrameScores:
    r"""Scores of frames as :func:`frame_level`, from one score per window.

    Args:
        windows: Windows of ``tracks``.
        score: Window scores, :math:`[W]`; higher is more abnormal.
        tracks: The poses.
        options: Aggregation of window scores.
        empty_score: Score of frames without people; ``None``: the lowest window score.
            (default: :obj:`None`)
        calibrator: Calibration of a person's frame scores, for ``people_correction``.
            (default: :obj:`None`)
        quality: Quality of the windows. (default: :obj:`None`, all are judged)
    """
    used, fault = usable_windows(windows, quality, options, bool(options.padded))
    keep, table = np.flatnonzero(used), windows.table
    rows = person_frames(
        windows.subset(keep),
        torch.as_tensor(score[keep]),
        placement="mean" if options.protocol == "corrected" else "center",
    )
    offset = tracks.frame_offset
    result = frame_scores(
        rows,
        torch.as_tensor(offset[table.clip] + table.frame),
        torch.as_tensor(table.track),
        int(offset[-1]),
        protocol=options.protocol,
        empty_score=_lowest(score[keep]) if empty_score is None else empty_score,
        calibrator=calibrator,
        people_correction=options.people_correction,
        state=torch.as_tensor(person_frame_states(windows, used, fault)),
    )
    if options.smooth:
        across = options.protocol == "reference"
        result.score = torch.as_tensor(
            smooth(result.score.numpy(), offset, options.smooth, across_clips=across)
        )
    return result


def clip_level(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, options: ScoreOptions
) -> tuple[np.ndarray, np.ndarray]:
    r"""Scores of clips :math:`[N]` and the most abnormal person of each :math:`[N]` (-1: none).

    Args:
        detector: A fitted detector.
        scored: Window scores of ``tracks``.
        tracks: The poses.
        options: Aggregation of window scores.

    Raises:
        InputError: As :func:`check_level`.
    """
    check_level(detector, "clip", options)
    mode = options.mode_of(detector)
    return clips_of(
        scored.windows,
        scored.scores[mode],
        tracks,
        options,
        detector.calibration_.most_normal[mode],
        quality=scored.quality,
    )


def clips_of(
    windows: PoseWindows,
    score: np.ndarray,
    tracks: PoseTracks,
    options: ScoreOptions,
    empty_score: float | None = None,
    quality: Quality | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Scores of clips as :func:`clip_level`, from one score per window.

    Args:
        windows: Windows of ``tracks``.
        score: Window scores, :math:`[W]`; higher is more abnormal.
        tracks: The poses.
        options: Aggregation of window scores.
        empty_score: Score of clips without people; ``None``: the lowest window score.
            (default: :obj:`None`)
        quality: Quality of the windows. (default: :obj:`None`, all are judged)
    """
    used, _ = usable_windows(windows, quality, options, options.padded is not False)
    keep = np.flatnonzero(used)
    clips, person = clip_scores(
        torch.as_tensor(score[keep]),
        torch.as_tensor(windows.clip[keep]),
        torch.as_tensor(windows.track[keep]),
        tracks.num_clips,
        empty_score=_lowest(score[keep]) if empty_score is None else empty_score,
        length=torch.as_tensor(windows.size[keep]),
    )
    return clips.numpy(), person.numpy()


def _lowest(score: np.ndarray) -> float:
    return float(score.min()) if len(score) else 0.0


def score_table(
    detector: GEPC,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    labels: np.ndarray | None = None,
    scored: WindowScores | None = None,
    quiet: bool = True,
    blank: bool = True,
) -> dict[str, np.ndarray]:
    """Columns of scores by name; higher is more abnormal.

    People, frames and clips have a ``state``: ``judged``, ``tracking fault``, ``too short`` (all
    windows of the people there are too short to be judged), or ``nobody``. Windows have a
    ``quality`` from 0 to 1 and the worst sign of a ``fault``, a ``_percentile`` of training of each
    measure, and words that say ``why``. Windows and frames have a ``time`` in seconds
    (:func:`~gepc_geo.evaluation.columns.add_times`).

    Args:
        detector: A fitted detector.
        tracks: The poses.
        level: The table has one row per window (``"joint"``: with each joint's share in the
            window's score; ``"window"``), per person of a clip (``"person"``), per frame
            (``"frame"``), per clip (``"clip"``), or per event (``"event"``).
        options: Aggregation of window scores.
        labels: For levels ``"frame"`` and ``"clip"``: labels of the rows, which become a column.
            (default: :obj:`None`)
        scored: Window scores of ``tracks`` if they are known; ``None``: clips are scored a few at
            a time, and memory grows with the table's rows only. (default: :obj:`None`)
        quiet: Show no progress. (default: :obj:`True`)
        blank: Whether scores are NaN where nothing was judged; else they are the most normal score.
            (default: :obj:`True`)

    Raises:
        InputError: As :func:`check_level`.
    """
    check_level(detector, level, options)
    plain = replace(options, smooth=0.0)
    if scored is not None:
        columns = _table(detector, tracks, level, plain, scored)
    else:
        columns = join_tables(list(_tables(detector, tracks, level, plain, quiet)))
    if options.smooth:
        smooth_frames(columns, options)
    if blank:
        blank_unjudged(columns)
    if level == "event":
        columns = sort_events(columns, options.faults)
    if labels is not None and level in ("frame", "clip"):
        columns["label"] = labels
    add_times(columns, tracks)
    return columns


def join_tables(tables: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenates the rows of tables with the same columns."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def smooth_frames(columns: dict[str, np.ndarray], options: ScoreOptions) -> None:
    """Smooths the scores of a table of frames in place; clips start where ``frame`` is 0."""
    starts = np.flatnonzero(columns["frame"] == 0)
    columns["score"] = smooth(
        columns["score"],
        np.append(starts, len(columns["frame"])),
        options.smooth,
        across_clips=options.protocol == "reference",
    )


def _tables(
    detector: GEPC, tracks: PoseTracks, level: str, options: ScoreOptions, quiet: bool
) -> Iterator[dict[str, np.ndarray]]:
    """Tables of a few clips each, so that memory holds the windows of few clips."""
    borders = split_clips(tracks, -(-tracks.num_frames // BLOCK) or 1)
    if level == "joint" and tracks.num_clips:
        # The last bits of a gradient depend on the batch: each clip gets its own batches.
        borders = np.arange(tracks.num_clips + 1)
    several = len(borders) > 2
    with progress_bar(
        "scoring", tracks.num_frames, "person-frames", quiet=quiet or not several
    ) as bar:
        for first, last in pairwise(borders.tolist()):
            block = clip_range(tracks, first, last)
            modes = (options.mode_of(detector),)
            scored = detector.window_scores(block, modes, quiet=quiet or several)
            yield _table(detector, block, level, options, scored)
            bar.update(block.num_frames)


def _table(
    detector: GEPC,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    scored: WindowScores,
) -> dict[str, np.ndarray]:
    """:func:`score_table` of clips that are scored at once, without labels and times."""
    if level == "event":
        return event_table(detector, scored, tracks, options)
    names = np.array(tracks.clip_names, dtype=np.str_)
    windows, score = scored.windows, scored.scores[options.mode_of(detector)]
    if level in ("joint", "window"):
        columns, keep = window_columns(tracks, windows, options, scored.quality)
        if level == "window":
            columns["score"] = score[keep]
            return columns | why_columns(detector, tracks, scored, keep)
        # Shares come from gradients, in a pass of their own.
        shares = detector.joint_scores(tracks, options.mode)[keep]
        columns |= {name: shares[:, v] for v, name in enumerate(detector.skeleton_.joints)}
        return columns | {"score": score[keep]}
    if level == "person":
        return person_columns(tracks, windows, score, options, scored.quality)
    if level == "frame":
        frames = frame_level(detector, scored, tracks, options)
        clip = np.repeat(np.arange(tracks.num_clips), tracks.clip_length)
        return {
            "clip": names[clip],
            "frame": np.arange(len(clip)) - tracks.frame_offset[clip],
            "score": frames.score.numpy(),
            "person": frames.person.numpy(),
            "state": np.array(STATES)[frames.state.numpy()],
        }
    clips, person = clip_level(detector, scored, tracks, options)
    state = clip_states_of(scored, tracks, options)
    return {"clip": names, "score": clips, "person": person, "state": np.array(STATES)[state]}


def write_table(columns: dict[str, np.ndarray], path: str | Path) -> None:
    """Writes columns as ``.csv`` or as ``.npz`` (arrays by name).

    In ``.csv``, numbers have 6 significant digits, times 3 decimals, and NaN is an empty cell.
    Text is written as :func:`gepc_geo.utils.files.as_text`.

    Args:
        columns: Arrays of one length by name.
        path: The file.

    Raises:
        InputError: The suffix is neither ``.csv`` nor ``.npz``, or the folder is not writable.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".npz"):
        raise InputError(f"{path} must have suffix .csv or .npz, got {path.suffix!r}")
    columns = {
        name: np.array([as_text(text) for text in column.flat], np.str_).reshape(column.shape)
        if column.dtype.kind == "U"
        else column
        for name, column in columns.items()
    }
    if path.suffix == ".npz":
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **columns)  # type: ignore[arg-type]
        return
    cells = [
        ["" if value != value else f"{value:{_form(name)}}" for value in column.tolist()]
        if column.dtype.kind == "f"
        else column.tolist()
        for name, column in columns.items()
    ]
    write_csv(path, columns, zip(*cells, strict=True))


def _form(name: str) -> str:
    """Format of the numbers of a column."""
    return ".3f" if name == "time" or name.endswith("_s") else ".6g"
