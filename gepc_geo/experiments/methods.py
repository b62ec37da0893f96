"""Rows of a table: our detector with its scoring modes, the published method, baselines."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gepc_geo.baselines import BASELINES, SoftmaxDirichlet
from gepc_geo.detector.estimator import Estimator
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import clips_of, frames_of
from gepc_geo.options import Options
from gepc_geo.options.presets import preset_changes
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.quality import Quality

#: Our detector, the paper's autoencoder and clusters on its input, and the published method.
OURS, CHAIN, PAPER = "combined", "gepc", "paper"
#: Options that method ``paper`` takes from the experiment, so that all rows have the same windows
#: and the same budget.
_SHARED = (
    "frames",
    "stride",
    "score_stride",
    "batch_size",
    "budget",
    "patience",
    "precision",
    "random_state",
)
#: Baselines that use the training of another method, by name.
SHARING = {"reconstruction": CHAIN, "latent_svm": CHAIN, "softmax_dirichlet": "softmax"}
# Slow baselines, and baselines that use positions in an image.
_SLOW = ("trajectory", "reconstruction", "latent_svm")
_PLANAR = ("trajectory",)


@dataclass(frozen=True)
class Method:
    """A row of a table.

    Attributes:
        name: Name of the row.
        unit: Name of the method that is trained for this row, in general ``name``.
        supervised: Whether the method learns from classes. (default: :obj:`False`)
        levels: Levels that the method scores, of ``"clip"`` and ``"frame"``. (default: both)
        dims: Allowed numbers of coordinates of a key point. (default: ``(2, 3)``)
        default: Whether ``--methods default`` includes the method. (default: :obj:`True`)
    """

    name: str
    unit: str
    supervised: bool = False
    levels: tuple[str, ...] = ("clip", "frame")
    dims: tuple[int, ...] = (2, 3)
    default: bool = True


#: Every method by name, ours first.
METHODS: dict[str, Method] = {
    OURS: Method(OURS, OURS),
    CHAIN: Method(CHAIN, CHAIN, default=False),
    PAPER: Method(PAPER, PAPER, default=False),
    **{
        name: Method(
            name,
            SHARING.get(name, name),
            kind.supervised,
            kind.levels,
            (2,) if name in _PLANAR else (2, 3),
            default=not kind.supervised and name not in _SLOW,
        )
        for name, kind in BASELINES.items()
    },
}


def methods_for(level: str, classes: bool = True) -> dict[str, Method]:
    """Methods for a protocol, by name; some of them are for 2D poses only.

    Args:
        level: The protocol's level, ``"clip"`` or ``"frame"``.
        classes: Whether the training poses have classes. (default: :obj:`True`)
    """
    return {
        name: method
        for name, method in METHODS.items()
        if level in method.levels and (classes or not method.supervised)
    }


def choose_methods(text: str, level: str, dims: int, classes: bool = True) -> list[str]:
    """Names of methods for a protocol: ``default``, ``all``, or names separated by commas.

    Args:
        text: Value of ``--methods``.
        level: The protocol's level, ``"clip"`` or ``"frame"``.
        dims: Number of coordinates of a key point.
        classes: Whether the training poses have classes. (default: :obj:`True`)

    Raises:
        InputError: A method is unknown, or is not for this protocol or these poses.
    """
    allowed = {
        n: method for n, method in methods_for(level, classes).items() if dims in method.dims
    }
    if text == "all":
        return list(allowed)
    if text == "default":
        return [name for name, method in allowed.items() if method.default]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in allowed:
            reason = ", which is not for these poses or this experiment" if name in METHODS else ""
            raise InputError(
                f"--methods must be default, all or some of {', '.join(allowed)}, "
                f"got {name!r}{reason}"
            )
    return list(dict.fromkeys(names))


class Scored(NamedTuple):
    """Scores of windows of the test poses.

    Attributes:
        windows: The windows.
        score: Anomaly score of each window, :math:`[W]`.
        quality: Quality of the windows; ``None``: all are judged.
    """

    windows: PoseWindows
    score: np.ndarray
    quality: Quality | None = None


class Trained(NamedTuple):
    """Scores of one training.

    Attributes:
        scored: Scores of windows by row.
        fit_seconds: Seconds of fitting.
        score_seconds: Seconds of scoring for the first row.
    """

    scored: dict[str, Scored]
    fit_seconds: float
    score_seconds: float


def train_and_score(
    unit: str,
    train: PoseTracks,
    test: PoseTracks,
    options: Options,
    level: str,
    device: str,
    quiet: bool = True,
) -> Trained:
    """Fits a method and scores test poses with it and with all methods that share its training.

    The row ``unit`` has the scores of the detector's mode. A detector with several modes also has
    a row ``unit:mode`` for each mode.

    Args:
        unit: Name of the method to fit.
        train: Normal poses; only supervised methods see their class labels.
        test: Poses to score.
        options: The detector's options; baselines use its windows, normalisation, budget and
            seed.
        level: The protocol's level; methods that do not score this level are skipped.
        device: Where to compute.
        quiet: Show no progress of a detector's training and scoring. (default: :obj:`True`)

    Raises:
        InputError: As the methods' ``fit``.
    """
    if not METHODS[unit].supervised:
        train = train.with_(clip_label=None, frame_labels=None)
    start = time.perf_counter()
    if unit in (OURS, CHAIN, PAPER):
        detector = GEPC(**_options_of(unit, options, train).to_dict()).fit(
            train, device=device, quiet=quiet
        )
        fitted = time.perf_counter()
        window_scores = detector.window_scores(test, quiet=quiet)
        windows, scores = window_scores.windows, window_scores.scores
        quality = window_scores.quality
        scored = {unit: Scored(windows, scores[detector.mode], quality)}
        if len(scores) > 1:
            scored |= {f"{unit}:{mode}": Scored(windows, s, quality) for mode, s in scores.items()}
        trained: Any = detector
    else:
        trained = BASELINES[unit](options).fit(train, device=device)
        fitted = time.perf_counter()
        scored = {unit: _score(trained, test)}
    end = time.perf_counter()
    for name, owner in SHARING.items():
        if owner == unit and level in METHODS[name].levels:
            scored[name] = _score(_sharing(name, trained).fit(train), test)
    return Trained(scored, fitted - start, end - fitted)


def _sharing(name: str, trained: Any) -> Estimator:
    """A baseline that uses the training of another method."""
    if SHARING[name] == CHAIN:
        kind: Any = BASELINES[name]
        return kind.from_detector(trained)
    return SoftmaxDirichlet.from_classifier(trained)


def _score(method: Estimator, test: PoseTracks) -> Scored:
    return Scored(method.windows(test), method.decision_function(test))


def _options_of(unit: str, options: Options, tracks: PoseTracks) -> Options:
    """The experiment's options with the mode of the method ``unit``."""
    if unit == PAPER:
        return published(options, tracks)
    mode = OURS if unit == OURS else options.mode
    if unit == CHAIN and not options.needs_network:
        mode = preset_changes("gepc")["mode"]
    return replace(options, mode=mode)


def published(options: Options, tracks: PoseTracks) -> Options:
    """Options of preset ``paper`` with the windows, batches and budget of ``options``.

    Windows have the preset's length, or ``frames`` for whole clips. Coordinates are divided by the
    image size; for poses without image size (all 3D poses) by their RMS size, with a warning.

    Args:
        options: The experiment's options.
        tracks: The training poses.
    """
    paper = preset_changes("paper", tracks)
    changes = {name: value for name, value in paper.items() if name not in _SHARED}
    return replace(Options(), **{name: getattr(options, name) for name in _SHARED}, **changes)


def clip_level(scored: Scored, tracks: PoseTracks) -> np.ndarray:
    """Scores of clips, :math:`[N]`: those of the most abnormal person (section 4.2.4 of the paper).

    Clips without people get the lowest window score.
    """
    return clips_of(scored.windows, scored.score, tracks, ScoreOptions(), quality=scored.quality)[0]


def frame_level(scored: Scored, tracks: PoseTracks) -> np.ndarray:
    """Scores of all frames, clip after clip: those of the most abnormal person (section 4.1).

    A person's score in a frame is the mean over the windows that contain the frame, without padded
    windows. Frames without people get the lowest window score.
    """
    frames = frames_of(scored.windows, scored.score, tracks, ScoreOptions(), quality=scored.quality)
    return frames.score.numpy()
