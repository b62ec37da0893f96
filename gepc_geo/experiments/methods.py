"""The rows of a table: our detector with its scoring modes, the published method, competitors."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gepc_geo.baselines import COMPETITORS, SoftmaxDirichlet
from gepc_geo.detector.estimator import Estimator
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.tables import ScoreOptions, clips_of, frames_of
from gepc_geo.options import Options
from gepc_geo.options.presets import preset_changes
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows

#: Our detector, the paper's chain on its input, and the published method.
OURS, CHAIN, PAPER = "combined", "gepc", "paper"
#: Options that the protocol ``paper`` takes from the experiment, so that every row has the same
#: windows and as many passes.
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


# Competitors that take what another method has trained: whose.
_SHARING = {"reconstruction": CHAIN, "latent_svm": CHAIN, "softmax_dirichlet": "softmax"}
# Competitors that take long, and those of positions in an image.
_SLOW = ("trajectory", "reconstruction", "latent_svm")
_PLANAR = ("trajectory",)


@dataclass(frozen=True)
class Method:
    """A row of a table.

    Attributes:
        name: The row's.
        unit: The method whose training it is scored with; mostly itself.
        supervised: Whether it learns from classes.
        levels: What it is meant to score: ``"clip"``, ``"frame"``.
        dims: Coordinates that poses may have.
        default: Whether it is run where nobody says which methods are.
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
            _SHARING.get(name, name),
            kind.supervised,
            kind.levels,
            (2,) if name in _PLANAR else (2, 3),
            default=not kind.supervised and name not in _SLOW,
        )
        for name, kind in COMPETITORS.items()
    },
}


def methods_for(level: str, classes: bool = True) -> dict[str, Method]:
    """The methods that a protocol takes, by name; some of them only for poses in 2D.

    Args:
        level: What is scored, ``"clip"`` or ``"frame"``.
        classes: Whether there are classes to learn from.
    """
    return {
        name: method
        for name, method in METHODS.items()
        if level in method.levels and (classes or not method.supervised)
    }


def choose_methods(text: str, level: str, dims: int, classes: bool = True) -> list[str]:
    """Names of methods for a protocol: ``default``, ``all``, or names separated by commas.

    Args:
        text: Which of them.
        level: What is scored, ``"clip"`` or ``"frame"``.
        dims: Coordinates of the poses.
        classes: Whether there are classes to learn from.

    Raises:
        InputError: No such method, or one that is not for this protocol or these poses.
    """
    there = {n: method for n, method in methods_for(level, classes).items() if dims in method.dims}
    if text == "all":
        return list(there)
    if text == "default":
        return [name for name, method in there.items() if method.default]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in there:
            known = ", which is not for these poses or this experiment" if name in METHODS else ""
            raise InputError(
                f"--methods has {name!r}{known}, expected default, all or some of {', '.join(there)}"
            )
    return list(dict.fromkeys(names))


class Scored(NamedTuple):
    """Anomaly scores :math:`[W]` of windows of the test poses."""

    windows: PoseWindows
    score: np.ndarray


class Trained(NamedTuple):
    """What one training gave: scores by row, and the seconds that the first of them took."""

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
    """Fits a method to normal poses and scores others, with everything that shares its training.

    A detector gives the score of its mode as ``unit``, one with a network that of each mode as
    ``unit:mode`` too.

    Args:
        unit: Of :class:`Method`.
        train: Poses with class labels, which only supervised methods get to see.
        test: Poses to score.
        options: The detector's; competitors take windows, normalisation, budget and seed from them.
        level: What the scores are for: methods that are not meant for it are left out.
        device: Where to compute.
        quiet: Show no progress of a detector's training and scoring.

    Raises:
        InputError: As the methods' ``fit``.
    """
    if not METHODS[unit].supervised:
        train = train.with_(clip_label=None, frame_labels=None)
    began = time.perf_counter()
    if unit in (OURS, CHAIN, PAPER):
        detector = GEPC(**_options_of(unit, options, train).to_dict()).fit(
            train, device=device, quiet=quiet
        )
        fitted = time.perf_counter()
        windows, scores = (found := detector.window_scores(test, quiet=quiet)).windows, found.scores
        scored = {unit: Scored(windows, scores[detector.mode])}
        if len(scores) > 1:
            scored |= {f"{unit}:{mode}": Scored(windows, score) for mode, score in scores.items()}
        trained: Any = detector
    else:
        trained = COMPETITORS[unit](options).fit(train, device=device)
        fitted = time.perf_counter()
        scored = {unit: _score(trained, test)}
    ended = time.perf_counter()
    for name, owner in _SHARING.items():
        if owner == unit and level in METHODS[name].levels:
            scored[name] = _score(_sharing(name, trained).fit(train), test)
    return Trained(scored, fitted - began, ended - fitted)


def _sharing(name: str, trained: Any) -> Estimator:
    """A competitor on what another method has trained."""
    if _SHARING[name] == CHAIN:
        kind: Any = COMPETITORS[name]
        return kind.from_detector(trained)
    return SoftmaxDirichlet.from_classifier(trained)


def _score(method: Estimator, test: PoseTracks) -> Scored:
    return Scored(method.windows(test), method.decision_function(test))


def _options_of(unit: str, options: Options, tracks: PoseTracks) -> Options:
    """A detector's options: the experiment's, with a mode of the network where the unit is one."""
    if unit == PAPER:
        return published(options, tracks)
    wanted = OURS if unit == OURS else options.mode
    if unit == CHAIN and not options.needs_network:
        wanted = preset_changes("gepc")["mode"]
    return replace(options, mode=wanted)


def published(options: Options, tracks: PoseTracks) -> Options:
    """The protocol ``paper`` with the windows, batches and budget of ``options``.

    Windows have the preset's length; of whole clips ``frames``. It divides coordinates by the image size;
    poses without one (all in 3D) by their RMS size, with a warning.
    """
    paper = preset_changes("paper", tracks)
    changes = {name: value for name, value in paper.items() if name not in _SHARED}
    return replace(Options(), **{name: getattr(options, name) for name in _SHARED}, **changes)


def clip_level(scored: Scored, tracks: PoseTracks) -> np.ndarray:
    r"""Scores :math:`[N]` of clips: the most abnormal person decides (section 4.2.4 of the paper).

    Clips with nobody get the lowest score that any window has.
    """
    return clips_of(scored.windows, scored.score, tracks, ScoreOptions())[0]


def frame_level(scored: Scored, tracks: PoseTracks) -> np.ndarray:
    r"""Scores of all frames, clip after clip: the most abnormal person decides (section 4.1).

    A person's frame has the mean over the windows that hold it; padded windows do not count. Frames
    with nobody get the lowest score that any window has.
    """
    return frames_of(scored.windows, scored.score, tracks, ScoreOptions()).score.numpy()
