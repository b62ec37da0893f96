"""A detector's window scores as a table for each level: joint, window, person, frame, clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.options import MODES, Options
from gepc_geo.poses.sharding import clip_range, split_clips
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import (
    PROTOCOLS,
    FrameScores,
    clip_scores,
    frame_scores,
    person_frames,
    smooth,
    track_scores,
)
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.utils.files import as_text, atomic_path, write_csv
from gepc_geo.utils.progress import progress_bar
from gepc_geo.windows.dataset import PoseWindows

LEVELS = ("joint", "window", "person", "frame", "clip")
# Person-frames whose windows are held at once (a clip is never cut).
_BLOCK = 1 << 17
# Options that only scores of frames have a use for.
_FRAME_OPTIONS = ("protocol", "smooth", "people_correction")


@dataclass
class ScoreOptions:
    """How window scores become scores of frames and clips.

    Attributes:
        mode: Scoring mode; ``None``: the detector's.
        protocol: ``"corrected"``, or ``"reference"``: the public implementation's frame
            aggregation (centre frame of a window, most normal person, smoothing across clips).
        smooth: Standard deviation, in frames, of the Gaussian that smooths a clip's frame scores.
        people_correction: Account for the number of people in a frame: the worst of many scores is
            worse than the worst of a few by chance alone.
        padded: Keep windows of tracks shorter than the shortest window; ``None``: for clips yes, for
            frames no.
    """

    mode: str | None = None
    protocol: str = "corrected"
    smooth: float = 0.0
    people_correction: bool = False
    padded: bool | None = None

    def check(self, level: str = "frame") -> None:
        """Makes sure that every value is allowed and has a meaning for scores of ``level``.

        Raises:
            InputError: The first that is not or has none.
        """
        if self.mode is not None and self.mode not in MODES:
            raise InputError(f"mode is {self.mode!r}, expected {' or '.join(MODES)}")
        if self.protocol not in PROTOCOLS:
            raise InputError(f"protocol is {self.protocol!r}, expected {' or '.join(PROTOCOLS)}")
        if not 0 <= self.smooth < float("inf"):
            raise InputError(f"smooth is {self.smooth}, expected 0 or more frames")
        if self.people_correction and self.protocol == "reference":
            raise InputError(
                "people correction needs the most abnormal person, expected protocol 'corrected'"
            )
        for name in _FRAME_OPTIONS if level != "frame" else ():
            if getattr(self, name) != getattr(ScoreOptions, name):
                raise InputError(
                    f"{name.replace('_', ' ')} is {getattr(self, name)}, expected level frame, "
                    f"as level {level} does not use it"
                )

    def mode_of(self, detector: GEPC) -> str:
        """The scoring mode that was asked for, or the detector's (:meth:`~gepc_geo.GEPC.scoring_mode`)."""
        return detector.scoring_mode(self.mode)


def check_level(detector: GEPC, level: str, options: ScoreOptions) -> None:
    """Makes sure, before anything is scored, that a detector gives scores of a level.

    Raises:
        InputError: Something else than a fitted detector, no such level, options that it does not
            use, frames of a detector that scores whole clips, a mode that the detector does not have.
    """
    check_detector(detector)
    check_options(detector.options_, level, options)
    options.mode_of(detector)


def check_options(fitted: Options, level: str, options: ScoreOptions) -> None:
    """As :func:`check_level`, of the options that something was fitted with."""
    if level not in LEVELS:
        raise InputError(f"level is {level!r}, expected {' or '.join(LEVELS)}")
    options.check(level)
    if level == "frame" and fitted.frames is not None:
        raise InputError(
            f"this detector scores whole clips (frames {fitted.frames}), "
            "expected level joint, window, person or clip"
        )


def frame_level(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, options: ScoreOptions
) -> FrameScores:
    r"""Scores of all frames of all clips, laid end to end (``tracks.frame_offset``).

    Raises:
        InputError: As :func:`check_level`.
    """
    check_level(detector, "frame", options)
    mode = options.mode_of(detector)
    # A copy: moving a calibrator changes it, and this one is the detector's.
    calibrator = TailCalibrator.from_state_dict(detector.calibration_.person[mode].state_dict())
    return frames_of(
        scored.windows,
        scored.scores[mode],
        tracks,
        options,
        detector.calibration_.most_normal[mode],
        calibrator.to("cpu"),
    )


def frames_of(
    windows: PoseWindows,
    score: np.ndarray,
    tracks: PoseTracks,
    options: ScoreOptions,
    empty_score: float | None = None,
    calibrator: TailCalibrator | None = None,
) -> FrameScores:
    r"""Scores of frames as :func:`frame_level`, from one score of each window.

    Args:
        windows: Windows of ``tracks``.
        score: :math:`[W]`, higher is more abnormal.
        tracks: The poses.
        options: How windows become frames.
        empty_score: Score of frames with nobody; default: the lowest of the windows.
        calibrator: Of people's scores of frames, for ``people_correction``.
    """
    keep = np.flatnonzero(~windows.padded | bool(options.padded))
    table = windows.table
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
    r"""Scores :math:`[N]` of whole clips and the person who decided each (-1: nobody).

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
    )


def clips_of(
    windows: PoseWindows,
    score: np.ndarray,
    tracks: PoseTracks,
    options: ScoreOptions,
    empty_score: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Scores of clips as :func:`clip_level`, from one score of each window.

    Args:
        windows: Windows of ``tracks``.
        score: :math:`[W]`, higher is more abnormal.
        tracks: The poses.
        options: How windows become clips.
        empty_score: Score of clips with nobody; default: the lowest of the windows.
    """
    keep = np.flatnonzero(~windows.padded | (options.padded is not False))
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
) -> dict[str, np.ndarray]:
    """Columns of scores, higher is more abnormal, one row for each thing of that level.

    Args:
        level: ``joint`` (each joint's share in a window's score), ``window``, ``person`` (in a
            clip), ``frame`` or ``clip``.
        labels: For levels ``frame`` and ``clip``: labels that are known, as a further column.
        scored: Window scores of ``tracks`` where they are at hand; else clips are scored a few at a
            time, in memory that does not grow with their number but for the table's rows.
        quiet: Show no progress.

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
    if labels is not None and level in ("frame", "clip"):
        columns["label"] = labels
    return columns


def join_tables(tables: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Tables of the same columns one below the other."""
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
    """The rows of some clips after those of others: what is kept of any is its rows of the table."""
    borders = split_clips(tracks, -(-tracks.num_frames // _BLOCK) or 1)
    if level == "joint" and tracks.num_clips:
        # The last bits of a gradient depend on what is in the batch: each clip has its own batches.
        borders = np.arange(tracks.num_clips + 1)
    several = len(borders) > 2
    with progress_bar(
        "scoring", tracks.num_frames, "person-frames", quiet=quiet or not several
    ) as bar:
        for first, last in pairwise(borders.tolist()):
            block = clip_range(tracks, first, last)
            scored = None
            if level != "joint":
                modes = (options.mode_of(detector),)
                scored = detector.window_scores(block, modes, quiet=quiet or several)
            yield _table(detector, block, level, options, scored)
            bar.update(block.num_frames)


def _table(
    detector: GEPC,
    tracks: PoseTracks,
    level: str,
    options: ScoreOptions,
    scored: WindowScores | None,
) -> dict[str, np.ndarray]:
    """:func:`score_table` of clips that are scored at once, without labels."""
    if level == "joint" or scored is None:
        # Shares come from gradients, in a pass of their own: no window scores are needed.
        columns, keep = _window_columns(tracks, detector.windows(tracks), options)
        shares = detector.joint_scores(tracks, options.mode)[keep]
        return columns | {name: shares[:, v] for v, name in enumerate(detector.skeleton_.joints)}
    names = np.array(tracks.clip_names, dtype=np.str_)
    windows, score = scored.windows, scored.scores[options.mode_of(detector)]
    if level == "window":
        columns, keep = _window_columns(tracks, windows, options)
        columns["score"] = score[keep]
        return columns
    if level == "person":
        keep = np.flatnonzero(~windows.padded | (options.padded is not False))
        people = track_scores(
            torch.as_tensor(score[keep]),
            torch.as_tensor(windows.clip[keep]),
            torch.as_tensor(windows.track[keep]),
            torch.as_tensor(windows.size[keep]),
        )
        return {
            "clip": names[people.clip.numpy()],
            "person": people.track.numpy(),
            "score": people.max.numpy(),
            "mean": people.mean.numpy(),
        }
    if level == "frame":
        frames = frame_level(detector, scored, tracks, options)
        clip = np.repeat(np.arange(tracks.num_clips), tracks.clip_length)
        return {
            "clip": names[clip],
            "frame": np.arange(len(clip)) - tracks.frame_offset[clip],
            "score": frames.score.numpy(),
            "person": frames.person.numpy(),
        }
    clips, person = clip_level(detector, scored, tracks, options)
    return {"clip": names, "score": clips, "person": person}


def _window_columns(
    tracks: PoseTracks, windows: PoseWindows, options: ScoreOptions
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Which windows the rows are, and the positions of those windows among all."""
    keep = np.flatnonzero(~windows.padded | (options.padded is not False))
    # A clip's rows stand together whatever is scored with it.
    keep = keep[np.argsort(windows.piece[keep], kind="stable")]
    return {
        "clip": np.array(tracks.clip_names, dtype=np.str_)[windows.clip[keep]],
        "person": windows.track[keep],
        "first_frame": windows.frame[keep],
        "length": windows.size[keep],
        "padded": windows.padded[keep].astype(np.int64),
    }, keep


def write_table(columns: dict[str, np.ndarray], path: str | Path) -> None:
    """Writes columns as ``.csv`` (scores with 6 significant digits) or ``.npz`` (arrays by name).

    Text is written as :func:`gepc_geo.utils.files.as_text`.

    Raises:
        InputError: Another suffix, or a folder that cannot be written to.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".npz"):
        raise InputError(f"{path} has suffix {path.suffix!r}, expected .csv or .npz")
    columns = {
        name: np.array([as_text(one) for one in column.flat], np.str_).reshape(column.shape)
        if column.dtype.kind == "U"
        else column
        for name, column in columns.items()
    }
    if path.suffix == ".npz":
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **columns)  # type: ignore[arg-type]
        return
    cells = [
        [f"{value:.6g}" for value in column.tolist()]
        if column.dtype.kind == "f"
        else column.tolist()
        for column in columns.values()
    ]
    write_csv(path, columns, zip(*cells, strict=True))
