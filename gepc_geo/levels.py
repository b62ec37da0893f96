"""A detector's window scores as a table for each level: joint, window, person, frame, clip."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gepc_geo.detector import GEPC, WindowScores
from gepc_geo.errors import InputError
from gepc_geo.files import atomic_path
from gepc_geo.scoring import (
    FrameScores,
    clip_scores,
    frame_scores,
    person_frame_scores,
    smooth,
    track_scores,
)
from gepc_geo.tracks import PoseTracks

LEVELS = ("joint", "window", "person", "frame", "clip")
PROTOCOLS = ("corrected", "reference")


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
        padded: Keep windows of tracks shorter than a window; ``None``: for clips yes, for frames no.
    """

    mode: str | None = None
    protocol: str = "corrected"
    smooth: float = 0.0
    people_correction: bool = False
    padded: bool | None = None

    def check(self) -> None:
        """Raises an :class:`~gepc_geo.errors.InputError` for a value that is not allowed."""
        if self.protocol not in PROTOCOLS:
            raise InputError(f"protocol is {self.protocol!r}, expected {' or '.join(PROTOCOLS)}")
        if not 0 <= self.smooth < float("inf"):
            raise InputError(f"smooth is {self.smooth}, expected 0 or more frames")
        if self.people_correction and self.protocol == "reference":
            raise InputError(
                "people correction needs the most abnormal person, expected protocol 'corrected'"
            )


def frame_level(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, options: ScoreOptions
) -> FrameScores:
    r"""Scores of all frames of all clips, laid end to end (``tracks.frame_offset``).

    Raises:
        InputError: The detector scores whole clips, which have no frames any more.
    """
    options.check()
    if detector.frames is not None:
        raise InputError(
            f"this detector scores whole clips (frames {detector.frames}), "
            "expected level joint, window, person or clip"
        )
    mode = detector.mode if options.mode is None else options.mode
    keep = np.flatnonzero(~scored.windows.padded | bool(options.padded))
    windows, table = scored.windows, scored.windows.table
    rows = person_frame_scores(
        torch.as_tensor(scored.scores[mode][keep]),
        torch.as_tensor(windows.first[keep]),
        windows.length,
        len(table.frame),
        low=torch.as_tensor(windows.low[keep]),
        high=torch.as_tensor(windows.high[keep]),
        placement="mean" if options.protocol == "corrected" else "center",
    )
    offset = tracks.frame_offset
    result = frame_scores(
        rows,
        torch.as_tensor(offset[table.clip] + table.frame),
        torch.as_tensor(table.track),
        int(offset[-1]),
        protocol=options.protocol,
        empty_score=detector.most_normal_[mode],
        calibrator=detector.person_calibrators_[mode].to("cpu"),
        people_correction=options.people_correction,
    )
    if options.smooth:
        result.score = torch.as_tensor(
            smooth(
                result.score.numpy(),
                offset,
                options.smooth,
                across_clips=options.protocol == "reference",
            )
        )
    return result


def clip_level(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, options: ScoreOptions
) -> tuple[np.ndarray, np.ndarray]:
    r"""Scores :math:`[N]` of whole clips and the person who decided each (-1: nobody)."""
    options.check()
    mode = detector.mode if options.mode is None else options.mode
    keep = np.flatnonzero(~scored.windows.padded | (options.padded is not False))
    score, person = clip_scores(
        torch.as_tensor(scored.scores[mode][keep]),
        torch.as_tensor(scored.windows.clip[keep]),
        torch.as_tensor(scored.windows.track[keep]),
        tracks.num_clips,
        empty_score=detector.most_normal_[mode],
    )
    return score.numpy(), person.numpy()


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
        scored: Window scores of ``tracks`` where they are at hand.
        quiet: Show no progress.
    """
    if level not in LEVELS:
        raise InputError(f"level is {level!r}, expected {' or '.join(LEVELS)}")
    options.check()
    names = np.array(tracks.clip_names, dtype=np.str_)
    scored = detector.window_scores(tracks, quiet=quiet) if scored is None else scored
    windows = scored.windows
    columns: dict[str, np.ndarray]
    if level in ("joint", "window"):
        keep = np.flatnonzero(~windows.padded | (options.padded is not False))
        columns = {
            "clip": names[windows.clip[keep]],
            "person": windows.track[keep],
            "first_frame": windows.frame[keep],
            "padded": windows.padded[keep].astype(np.int64),
        }
        if level == "window":
            mode = detector.mode if options.mode is None else options.mode
            columns["score"] = scored.scores[mode][keep]
        else:
            shares = detector.joint_scores(tracks, options.mode)[keep]
            columns |= {j: shares[:, v] for v, j in enumerate(detector.skeleton_.joints)}
    elif level == "person":
        mode = detector.mode if options.mode is None else options.mode
        keep = np.flatnonzero(~windows.padded | (options.padded is not False))
        people = track_scores(
            torch.as_tensor(scored.scores[mode][keep]),
            torch.as_tensor(windows.clip[keep]),
            torch.as_tensor(windows.track[keep]),
        )
        columns = {
            "clip": names[people.clip.numpy()],
            "person": people.track.numpy(),
            "score": people.max.numpy(),
            "mean": people.mean.numpy(),
        }
    elif level == "frame":
        frames = frame_level(detector, scored, tracks, options)
        clip = np.repeat(np.arange(tracks.num_clips), tracks.clip_length)
        columns = {
            "clip": names[clip],
            "frame": np.arange(len(clip)) - tracks.frame_offset[clip],
            "score": frames.score.numpy(),
            "person": frames.person.numpy(),
        }
    else:
        score, person = clip_level(detector, scored, tracks, options)
        columns = {"clip": names, "score": score, "person": person}
    if labels is not None and level in ("frame", "clip"):
        columns["label"] = labels
    return columns


def write_table(columns: dict[str, np.ndarray], path: str | Path) -> None:
    """Writes columns as ``.csv`` (scores with 6 significant digits) or ``.npz`` (arrays by name).

    Raises:
        InputError: Another suffix, or a folder that cannot be written to.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".npz"):
        raise InputError(f"{path} has suffix {path.suffix!r}, expected .csv or .npz")
    with atomic_path(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as binary:
                np.savez_compressed(binary, **columns)  # type: ignore[arg-type]
            return
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            text = [
                [f"{value:.6g}" for value in column.tolist()]
                if column.dtype.kind == "f"
                else column.tolist()
                for column in columns.values()
            ]
            writer.writerows(zip(*text, strict=True))
