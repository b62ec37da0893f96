"""Metrics of a detector on labelled poses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gepc_geo.detector.estimator import Estimator
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.score_options import ScoreOptions, check_level, check_options
from gepc_geo.evaluation.states import clip_states_of, count_states
from gepc_geo.evaluation.tables import clip_level, clips_of, frame_level, frames_of
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.scoring.metrics import (
    auc,
    average_precision,
    equal_error_rate,
    event_metrics,
    frame_metrics,
)
from gepc_geo.scoring.scorer import WindowScores

#: Least temporal overlap (intersection over union) of an event that counts as found.
EVENT_IOU = 0.3


@dataclass
class Evaluation:
    """Metrics, labels and scores of an evaluation.

    Attributes:
        metrics: Plain numbers and strings, as in ``metrics.json``.
        labels: Label of each frame (or clip), :math:`[N]` int8: 1 abnormal, 0 normal, -1 unknown.
        scores: Anomaly score of each frame (or clip), :math:`[N]` float.
        states: What was judged in each frame (or clip), :math:`[N]`: positions in
            :data:`~gepc_geo.scoring.aggregation.STATES`; ``None`` for a baseline.
    """

    metrics: dict[str, Any]
    labels: np.ndarray
    scores: np.ndarray
    states: np.ndarray | None = None


def clip_labels(tracks: PoseTracks, normal: Sequence[str]) -> np.ndarray:
    """Labels of clips, :math:`[N]` int8: 0 normal, 1 abnormal, -1 where the class is unknown.

    Args:
        tracks: The poses.
        normal: The normal classes.

    Raises:
        InputError: No clip has a class, or no clip has one of the classes in ``normal``.
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
    """Measures a detector, or a baseline of it, on labelled poses.

    With ``normal``, labels are of whole clips (section 4.2 of the paper): a clip of any other class
    is abnormal. Without it, labels are of frames: the tracks' ``frame_labels`` (section 4.1).

    A baseline (:mod:`gepc_geo.baselines`) has one score and no calibration. Its metrics have no
    ``events``, no people correction and no ``auc_by_mode``, and ``mode`` is ``None``. Frames (or
    clips) without people get the lowest window score.

    Args:
        detector: A fitted detector or baseline.
        tracks: The poses.
        normal: The normal classes; ``None``: evaluate frames. (default: :obj:`None`)
        options: Aggregation of window scores; ``None``: the corrected protocol without smoothing.
            (default: :obj:`None`)
        scored: Window scores of ``tracks`` if they are known, for a detector only.
            (default: :obj:`None`)
        quiet: Show no progress. (default: :obj:`True`)

    Raises:
        InputError: The poses have no labels, or labels of one kind only; ``detector`` is no fitted
            detector or baseline; an option does not apply (see
            :func:`~gepc_geo.evaluation.score_options.check_level`).
    """
    options = ScoreOptions() if options is None else options
    check_tracks(tracks)
    if normal is None and tracks.frame_labels is None:
        raise InputError(
            "the poses must have frame labels (--labels) or normal classes (--normal), got neither"
        )
    level = "frame" if normal is None else "clip"
    if isinstance(detector, GEPC):
        check_level(detector, level, options)
    else:
        _check_baseline(detector, level, options, scored)
    labels = tracks.frame_labels if normal is None else clip_labels(tracks, normal)
    assert labels is not None
    _check_labels(labels, f"{level} labels of the {tracks.num_clips} clips")
    if isinstance(detector, GEPC):
        scored = detector.window_scores(tracks, quiet=quiet) if scored is None else scored
        score_of, states_of = _of_detector(detector, tracks, level, scored)
        mode = options.mode_of(detector)
    else:
        score_of, mode = _of_baseline(detector, tracks, level), None
    scores = score_of(options)
    # A clip's score is not aggregated from frames: protocol and smoothing do not apply.
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
            name: auc(labels, score_of(replace(options, mode=name))) for name in detector.modes_
        }
    states = None
    if isinstance(detector, GEPC):
        states = states_of(options)
        metrics["states"] = count_states(states)
    metrics |= {"level": level, "mode": mode, "protocol": protocol, "smooth": options.smooth}
    return Evaluation(metrics, labels, scores, states)


def _of_detector(
    detector: GEPC, tracks: PoseTracks, level: str, scored: WindowScores
) -> tuple[Callable[[ScoreOptions], np.ndarray], Callable[[ScoreOptions], np.ndarray]]:
    """Functions from options to the scores of frames or clips, and to their states."""
    if level == "clip":
        return (
            lambda options: clip_level(detector, scored, tracks, options)[0],
            lambda options: clip_states_of(scored, tracks, options),
        )
    return (
        lambda options: frame_level(detector, scored, tracks, options).score.numpy(),
        lambda options: frame_level(detector, scored, tracks, options).state.numpy(),
    )


def _of_baseline(
    baseline: Estimator, tracks: PoseTracks, level: str
) -> Callable[[ScoreOptions], np.ndarray]:
    """As :func:`_of_detector`."""
    windows, score = baseline.windows(tracks), baseline.decision_function(tracks)
    if level == "clip":
        return lambda options: clips_of(windows, score, tracks, options)[0]
    return lambda options: frames_of(windows, score, tracks, options).score.numpy()


def _check_baseline(
    baseline: object, level: str, options: ScoreOptions, scored: WindowScores | None
) -> None:
    name = type(baseline).__name__
    if not isinstance(baseline, Estimator):
        raise InputError(
            f"the detector must be a GEPC or a baseline of gepc_geo.baselines, got {name}"
        )
    baseline.check_fitted()
    check_options(baseline.pipeline_.options, level, options)
    for argument, given in (
        ("mode", options.mode is not None),
        ("people_correction", options.people_correction),
        ("scored", scored is not None),
    ):
        if given:
            raise InputError(
                f"{argument} must not be given for a {name}, which has one plain score"
            )


def _check_labels(labels: np.ndarray, name: str) -> None:
    """Refuses labels of one kind only, before any pose is scored."""
    known, abnormal = int((labels >= 0).sum()), int((labels == 1).sum())
    if not 0 < abnormal < known:
        raise InputError(
            f"the known {name} must be of both kinds, got {abnormal} abnormal and "
            f"{known - abnormal} normal"
        )


def frame_threshold(detector: GEPC, mode: str, options: ScoreOptions) -> float:
    """The score above which a share ``contamination`` of held-out normal frames lies."""
    if options.people_correction:
        return float(-np.log(detector.options_.contamination))
    return detector.frame_threshold(mode)
