"""Scores against labels: one call from a detector and labelled poses to a dict of metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gepc_geo.detector.estimator import Estimator
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.tables import (
    ScoreOptions,
    check_level,
    check_options,
    clip_level,
    clips_of,
    frame_level,
    frames_of,
)
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.scoring.metrics import (
    auc,
    average_precision,
    equal_error_rate,
    event_metrics,
    frame_metrics,
)
from gepc_geo.scoring.scorer import WindowScores

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
    detector: Estimator,
    tracks: PoseTracks,
    *,
    normal: Sequence[str] | None = None,
    options: ScoreOptions | None = None,
    scored: WindowScores | None = None,
    quiet: bool = True,
) -> Evaluation:
    """Measures a detector, or a competitor of it, on labelled poses.

    With ``normal`` whole clips are judged (section 4.2 of the paper): a clip of another class is
    abnormal. Otherwise frames are, by the tracks' ``frame_labels`` (section 4.1).

    A competitor (:mod:`gepc_geo.baselines`) has one score and no calibration: among its metrics are
    no ``events``, no people correction and no ``auc_by_mode``, and ``mode`` is ``None``. Its frames
    (or clips) with nobody get the lowest score that any window has.

    Args:
        detector: A fitted one.
        tracks: The poses.
        normal: The classes that are normal.
        options: How windows become frames or clips; default: the corrected protocol, unsmoothed.
        scored: Window scores of ``tracks`` where they are at hand; of a detector only.
        quiet: Show no progress.

    Raises:
        InputError: No labels, or labels of one kind only; something that is no fitted detector or
            competitor; options that do not apply, as :func:`~gepc_geo.evaluation.tables.check_level`, or that a
            competitor does not have.
    """
    options = ScoreOptions() if options is None else options
    check_tracks(tracks)
    if normal is None and tracks.frame_labels is None:
        raise InputError(
            "the poses have no labels, expected frame labels (--labels) or normal classes (--normal)"
        )
    level = "frame" if normal is None else "clip"
    if isinstance(detector, GEPC):
        check_level(detector, level, options)
    else:
        _check_competitor(detector, level, options, scored)
    labels = tracks.frame_labels if normal is None else clip_labels(tracks, normal)
    assert labels is not None
    _check_labels(labels, f"{level} labels of the {tracks.num_clips} clips")
    if isinstance(detector, GEPC):
        score_of = _of_detector(detector, tracks, level, scored, quiet)
        mode = options.mode_of(detector)
    else:
        score_of, mode = _of_competitor(detector, tracks, level), None
    scores = score_of(options)
    # A clip's score is no sum over its frames: there is nothing to aggregate or smooth.
    protocol = None
    if level == "clip":
        metrics: dict[str, Any] = {
            "auc": auc(labels, scores),
            "auc_macro": None,
            "ap": average_precision(labels, scores),
            "eer": equal_error_rate(labels, scores),
            "n_frames": 0,
            "n_clips": int((labels >= 0).sum()),
        }
    else:
        borders = tracks.frame_offset[1:-1]
        per_clip = (np.split(labels, borders), np.split(scores, borders))
        metrics = dict(frame_metrics(*per_clip))
        protocol = options.protocol
        if isinstance(detector, GEPC):
            threshold = frame_threshold(detector, options.mode_of(detector), options)
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
    if isinstance(detector, GEPC):
        metrics["auc_by_mode"] = {
            one: auc(labels, score_of(replace(options, mode=one))) for one in detector.modes_
        }
    metrics |= {"level": level, "mode": mode, "protocol": protocol, "smooth": options.smooth}
    return Evaluation(metrics, labels, scores)


def _of_detector(
    detector: GEPC, tracks: PoseTracks, level: str, scored: WindowScores | None, quiet: bool
) -> Callable[[ScoreOptions], np.ndarray]:
    """Scores of frames or clips by how they are made of windows."""
    found = detector.window_scores(tracks, quiet=quiet) if scored is None else scored
    if level == "clip":
        return lambda options: clip_level(detector, found, tracks, options)[0]
    return lambda options: frame_level(detector, found, tracks, options).score.numpy()


def _of_competitor(
    competitor: Estimator, tracks: PoseTracks, level: str
) -> Callable[[ScoreOptions], np.ndarray]:
    """As :func:`_of_detector`."""
    windows, score = competitor.windows(tracks), competitor.decision_function(tracks)
    if level == "clip":
        return lambda options: clips_of(windows, score, tracks, options)[0]
    return lambda options: frames_of(windows, score, tracks, options).score.numpy()


def _check_competitor(
    competitor: object, level: str, options: ScoreOptions, scored: WindowScores | None
) -> None:
    name = type(competitor).__name__
    if not isinstance(competitor, Estimator):
        raise InputError(
            f"the detector is of type {name}, expected a GEPC or a competitor of gepc_geo.baselines"
        )
    competitor.check_fitted()
    check_options(competitor.pipeline_.options, level, options)
    for what, given in (
        ("a mode", options.mode is not None),
        ("people correction", options.people_correction),
        ("window scores", scored is not None),
    ):
        if given:
            raise InputError(f"{what} was given, expected none, as a {name} has one plain score")


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
        return float(-np.log(detector.options_.contamination))
    return detector.frame_threshold(mode)
