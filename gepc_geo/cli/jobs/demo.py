"""The demo: simulate a crowd, train, score, evaluate and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.baselines import Mixture
from gepc_geo.cli.run import Run
from gepc_geo.datasets.simulate import write_crowd
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.evaluator import Evaluation, evaluate
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level, score_table, write_table
from gepc_geo.io import read
from gepc_geo.io.labels import read_frame_labels
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report import gather, plotting_script, write_page
from gepc_geo.scoring.metrics import auc
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.utils.device import pick_device

#: Kinds of anomalies that a centred window of one person cannot show; the demo's AUC excludes them.
NOT_COUNTED = ("loitering", "fighting")


@dataclass
class DemoResult:
    """Results of the demo.

    Attributes:
        auc: Frame AUC of the detector's mode, without the clips of :data:`NOT_COUNTED`.
        by_kind: Frame AUC over each kind's clips and the normal clips, by kind.
        table: Frame AUC by detector and mode, over the same clips as ``auc``. The detectors are
            this one, an untrained one if this one has a network, and a mixture on the input.
        evaluation: The evaluation over all clips.
        detector: The trained detector.
        train: The training poses.
        test: The test poses.
    """

    auc: float
    by_kind: dict[str, float]
    table: dict[str, dict[str, float]]
    evaluation: Evaluation
    detector: GEPC
    train: PoseTracks
    test: PoseTracks


def run_demo(
    folder: Path,
    options: Options,
    *,
    crowd: dict[str, Any] | None = None,
    device: str = "auto",
    quiet: bool = False,
    echo: Callable[[str], None] = print,
) -> DemoResult:
    """Simulates, trains, scores and evaluates; files go to ``folder``.

    An interrupted demo resumes from its last checkpoint; a finished one is not trained again.

    Args:
        folder: Folder of the run; also gets ``poses/`` and ``scores.csv``. It is new, or holds a
            demo with the same options.
        options: The detector's options; ``random_state`` is also the crowd's.
        crowd: Further arguments of :func:`~gepc_geo.datasets.simulate.write_crowd`.
            (default: :obj:`None`)
        device: Where to compute. (default: :obj:`"auto"`)
        quiet: Show no progress. (default: :obj:`False`)
        echo: Called with each line of text. (default: :func:`print`)

    Raises:
        InputError: ``folder`` holds another run, or a demo with other options.
    """
    run = Run(folder)
    simulated = {"seed": options.random_state, **(crowd or {})}
    resume = run.config.exists()
    config = run.start(resume)
    options = run.settle(options, pick_device(device))
    if config is not None:
        if "simulated" not in config["data"]:
            raise InputError(f"{folder} must be a new folder or hold a demo, got another run")
        run.check_resumed(options, {"simulated": simulated})
    write_crowd(folder / "poses", random_state=options.random_state, **(crowd or {}))
    train = read(folder / "poses" / "train")
    test = read_frame_labels(folder / "poses" / "test_masks", read(folder / "poses" / "test"))
    echo(f"training poses: {train!r}")
    echo(f"test poses:     {test!r}")
    if config is None:
        run.write_config(options, data={"simulated": simulated})
    if run.model.exists():
        detector = run.load(device)
    else:
        detector = run.train(train, options, resume=resume, device=device, quiet=quiet)
    scored = detector.window_scores(test, quiet=quiet)
    write_table(
        score_table(detector, test, "frame", ScoreOptions(), test.frame_labels, scored),
        folder / "scores.csv",
    )
    counted = counted_frames(test)
    table = {"detector": mode_aucs(detector, scored, test, counted)}
    if options.needs_network:
        untrained = GEPC(**replace(options, budget=0).to_dict()).fit(train, device=device)
        table["untrained"] = mode_aucs(untrained, untrained.window_scores(test), test, counted)
    mixture = _mixture_scores(detector, train, test)
    table["mixture on the input"] = {"-": _auc(detector, mixture, test, counted)}
    by_kind: dict[str, float] = {}
    for kind in sorted(set(map(_kind, test.clip_names)) - {"normal"}):
        by_kind[kind] = _auc(detector, scored, test, _frames_of(test, {kind, "normal"}))
    return DemoResult(
        auc=table["detector"][detector.mode],
        by_kind=by_kind,
        table=table,
        evaluation=evaluate(detector, test, scored=scored),
        detector=detector,
        train=train,
        test=test,
    )


def write_report(result: DemoResult, out: Path) -> None:
    """Writes a page (.html) that explains the scores of the test poses.

    Args:
        result: Results of the demo.
        out: The page.

    Raises:
        InputError: plotly is not installed.
    """
    plotting_script()
    content = gather(
        result.detector,
        result.test,
        train=result.train,
        about={"run": out.parent.name, "data": "simulated crowd"},
    )
    write_page(content, out)


def _kind(clip_name: str) -> str:
    """The kind of a simulated clip, from its name (``running_03``)."""
    return clip_name.rsplit("_", 1)[0]


def counted_frames(tracks: PoseTracks) -> np.ndarray:
    """Mask :math:`[F]` of the frames that the demo's AUC counts: all but :data:`NOT_COUNTED`."""
    return _frames_of(tracks, set(map(_kind, tracks.clip_names)) - set(NOT_COUNTED))


def _frames_of(tracks: PoseTracks, kinds: set[str]) -> np.ndarray:
    """Mask of the frames of clips of these kinds."""
    keep = np.array([_kind(name) in kinds for name in tracks.clip_names])
    return np.repeat(keep, tracks.clip_length)


def _auc(
    detector: GEPC,
    scored: WindowScores,
    tracks: PoseTracks,
    frames: np.ndarray,
    mode: str | None = None,
) -> float:
    assert tracks.frame_labels is not None
    score = frame_level(detector, scored, tracks, ScoreOptions(mode=mode)).score.numpy()
    return auc(tracks.frame_labels[frames], score[frames])


def mode_aucs(
    detector: GEPC, scored: WindowScores, tracks: PoseTracks, frames: np.ndarray
) -> dict[str, float]:
    """Frame AUC by mode over the frames in the mask ``frames`` :math:`[F]` of ``tracks``."""
    return {mode: _auc(detector, scored, tracks, frames, mode) for mode in detector.modes_}


def _mixture_scores(detector: GEPC, train: PoseTracks, test: PoseTracks) -> WindowScores:
    """Window scores of a Gaussian mixture on the network's input, under the detector's mode."""
    pipeline = detector.pipeline_
    model = Mixture().fit_windows(pipeline, pipeline.training_windows(train))
    scored = model.windows(test)
    return WindowScores(scored, {detector.mode: model.score_windows(scored)})
