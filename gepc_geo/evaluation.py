"""Scores against labels: one call from a detector and labelled poses to a dict of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gepc_geo.detector import GEPC, WindowScores
from gepc_geo.errors import InputError
from gepc_geo.levels import ScoreOptions, check_level, clip_level, frame_level
from gepc_geo.metrics import auc, average_precision, equal_error_rate, event_metrics, frame_metrics
from gepc_geo.options import MODES
from gepc_geo.tracks import PoseTracks, check_tracks

#: Temporal overlap (intersection over union) from which on an event counts as found.
EVENT_IOU = 0.3


@dataclass
class Evaluation:
    """What :func:`evaluate` measured.

    Attributes:
        metrics: Plain numbers and strings, as ``metrics.json`` has them.
        labels: Label of each frame (or clip): 1 abnormal, 0 normal, -1 unknown.
        scores: Anomaly score of each frame (or clip).
    """

    metrics: dict[str, Any]
    labels: np.ndarray
    scores: np.ndarray


def clip_labels(tracks: PoseTracks, normal: Sequence[str]) -> np.ndarray:
    """1 for clips of other classes than ``normal``, 0 for those, -1 where the class is unknown.

    Raises:
        InputError: No clip is of a class in ``normal``, or no clip has a class.
    """
    tracks.check_classes(normal)
    return np.array(
        [-1 if not label else int(label not in normal) for label in tracks.clip_label],
        dtype=np.int8,
    )


def evaluate(
    detector: GEPC,
    tracks: PoseTracks,
    *,
    normal: Sequence[str] | None = None,
    options: ScoreOptions | None = None,
    scored: WindowScores | None = None,
    quiet: bool = True,
) -> Evaluation:
    """Measures a detector on labelled poses.

    With ``normal`` whole clips are judged (section 4.2 of the paper): a clip of another class is
    abnormal. Otherwise frames are, by the tracks' ``frame_labels`` (section 4.1).

    Args:
        normal: The classes that are normal.
        options: How windows become frames or clips; default: the corrected protocol, unsmoothed.
        scored: Window scores of ``tracks`` where they are at hand.
        quiet: Show no progress.

    Raises:
        InputError: No labels, or labels of one kind only; options that do not apply, as
            :func:`~gepc_geo.levels.check_level`.
    """
    options = ScoreOptions() if options is None else options
    check_tracks(tracks)
    if normal is None and tracks.frame_labels is None:
        raise InputError(
            "the poses have no labels, expected frame labels (--labels) or normal classes (--normal)"
        )
    level = "frame" if normal is None else "clip"
    check_level(detector, level, options)
    labels = tracks.frame_labels if normal is None else clip_labels(tracks, normal)
    assert labels is not None
    _check_labels(labels, f"{level} labels of the {tracks.num_clips} clips")
    scored = detector.window_scores(tracks, quiet=quiet) if scored is None else scored
    mode = options.mode_of(detector)
    if level == "clip":

        def score_of(chosen: ScoreOptions) -> np.ndarray:
            return clip_level(detector, scored, tracks, chosen)[0]

        scores = score_of(options)
        metrics: dict[str, Any] = {
            "auc": auc(labels, scores),
            "auc_macro": None,
            "ap": average_precision(labels, scores),
            "eer": equal_error_rate(labels, scores),
            "n_frames": 0,
            "n_clips": int((labels >= 0).sum()),
        }
        # A clip's score is no sum over its frames: there is nothing to aggregate or smooth.
        protocol = None
    else:
        borders = tracks.frame_offset[1:-1]

        def score_of(chosen: ScoreOptions) -> np.ndarray:
            return frame_level(detector, scored, tracks, chosen).score.numpy()

        scores = score_of(options)
        per_clip = (np.split(labels, borders), np.split(scores, borders))
        metrics = dict(frame_metrics(*per_clip))
        protocol = options.protocol
        threshold = frame_threshold(detector, mode, options)
        metrics["events"] = {
            "iou": EVENT_IOU,
            "threshold": threshold,
            **event_metrics(*per_clip, threshold, EVENT_IOU),
        }
        if options.protocol == "corrected":
            metrics["auc_people_corrected"] = auc(
                labels, score_of(replace(options, people_correction=True))
            )
            metrics["auc_people_uncorrected"] = auc(
                labels, score_of(replace(options, people_correction=False))
            )
    metrics["auc_padded_kept"] = auc(labels, score_of(replace(options, padded=True)))
    metrics["auc_padded_dropped"] = auc(labels, score_of(replace(options, padded=False)))
    metrics["auc_by_mode"] = {
        one: auc(labels, score_of(replace(options, mode=one))) for one in MODES
    }
    metrics |= {"level": level, "mode": mode, "protocol": protocol, "smooth": options.smooth}
    return Evaluation(metrics, labels, scores)


def _check_labels(labels: np.ndarray, what: str) -> None:
    """Refuses, before anything is scored, labels that no metric can be made of."""
    known, abnormal = int((labels >= 0).sum()), int((labels == 1).sum())
    if not 0 < abnormal < known:
        raise InputError(
            f"{abnormal} of the {known} known {what} say abnormal, expected some of both kinds"
        )


def frame_threshold(detector: GEPC, mode: str, options: ScoreOptions) -> float:
    """The score that a share ``contamination`` of held-out normal people's frames exceeds."""
    if options.people_correction:
        return float(-np.log(detector.contamination))
    return detector.person_calibrators_[mode].quantile(1 - detector.contamination)
