"""What every competitor shares: windows of tracks in, an anomaly score for each of them out."""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from gepc_geo.density.tails import TailCalibrator
from gepc_geo.detector.estimator import Estimator
from gepc_geo.errors import InputError
from gepc_geo.options import NAMES, Options
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.training.sufficiency import usable_lengths
from gepc_geo.utils.device import pick_device
from gepc_geo.utils.refitting import refitted
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline, Inputs

# Windows a batch has when nothing is learned from it.
_BATCH = 1024
# Window passes of training where a detector would go on until it has converged.
_PASSES = 200_000
# One of so many people calibrates where there are several lengths of windows.
_HELD_OUT = 10


def inputs(pipeline: InputPipeline, windows: PoseWindows, choice: int = 0) -> Iterator[Inputs]:
    r"""Batches of what some windows look like to networks and densities.

    Args:
        pipeline: A fitted one; the work is done on its device.
        windows: Which windows.
        choice: The augmentation applied to each; 0 is none. (default: :obj:`0`)
    """
    device = pipeline.mean.device
    for batch in WindowLoader(windows, _BATCH, device=device):
        choices = torch.full((batch.num_graphs,), choice, device=device)
        yield pipeline(batch, choices)


def view_scores(
    score: Callable[[Inputs], np.ndarray], pipeline: InputPipeline, windows: PoseWindows
) -> np.ndarray:
    r"""Scores :math:`[A, W]` float64 of all views of some windows, a row for each view.

    Args:
        score: Anomaly scores :math:`[B]` of one batch of :func:`inputs`.
        pipeline: A fitted one.
        windows: Which windows.
    """
    views = range(pipeline.augment.num_scored)
    return np.stack(
        [
            np.concatenate([np.zeros(0), *map(score, inputs(pipeline, windows, view))])
            for view in views
        ]
    )


_Window = TypeVar("_Window", bound="WindowCompetitor")


class OptionsEstimator(Estimator):
    """An estimator whose parameter is a detector's options.

    Args:
        options: Those; a detector will do. (default: all defaults)
    """

    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **keywords: object) -> None:
        super().__init_subclass__(**keywords)
        # Where there is a __new__, Python would show that one's.
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(parameters)

    def __new__(cls, *args: object, **keywords: object) -> Any:
        """Names the keywords that there are where Python would only name the one that is not."""
        known = cls._get_param_names()
        for name in keywords:
            if name not in known:
                raise InputError(
                    f"{cls.__name__} has no keyword {name!r}, expected some of {', '.join(known)} "
                    "(a detector's options go in as options=Options(...))"
                )
        return super().__new__(cls)

    def __init__(self, options: Options | None = None) -> None:
        self.options = options

    @property
    def _options(self) -> Options:
        """A copy: what is fitted keeps it, whatever becomes of the parameter."""
        if self.options is None:
            return Options()
        if not isinstance(self.options, Options):
            raise InputError(
                f"options is a {type(self.options).__name__}, expected Options(...) with some of "
                f"{', '.join(NAMES)}"
            )
        return Options(**self.options.to_dict())

    @property
    def _passes(self) -> int:
        """Window passes of training: the option ``budget``; 200,000 without one."""
        budget = self._options.budget
        return _PASSES if budget is None else budget


class WindowCompetitor(OptionsEstimator):
    r"""A competitor on the windows that the detector gets: same windows, same numbers of them.

    Where there are several lengths of windows, one is fitted to each, to nine tenths of the people; the
    others' scores calibrate it, and its score is :math:`-\log` of the tail probability among them.

    Args:
        options: Window, input and augmentation options, and the seed (a detector will do, its
            options are the same). (default: all defaults)

    Attributes:
        supervised: Whether it learns from the classes of the training clips (``clip_label``), which
            the detector never sees.
        levels: What it is meant to score: ``"clip"``, ``"frame"`` or both.
        pipeline\_: The fitted :class:`~gepc_geo.windows.pipeline.InputPipeline`.
        lengths\_: Of several lengths of windows a fitted competitor and its calibration for each; else
            ``None``.
    """

    lengths_: dict[int, tuple[Any, TailCalibrator]] | None
    supervised: ClassVar[bool] = False
    levels: ClassVar[tuple[str, ...]] = ("clip", "frame")

    def fit(
        self: _Window, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> _Window:
        """Learns from normal poses.

        Args:
            tracks: Normal behaviour only. All of its full windows count; padded ones do not.
            y: Ignored, for scikit-learn.
            device: Where windows are normalised (and networks run): ``"auto"``, ``"cpu"``,
                ``"cuda"``.

        Raises:
            InputError: An option that is not allowed, something else than
                :class:`~gepc_geo.PoseTracks`, fewer than 2 full windows.
        """
        options, target = self._options, pick_device(device)
        options.check()
        check_tracks(tracks)
        pipeline = InputPipeline.for_tracks(tracks, options)
        windows = pipeline.training_windows(tracks)
        pipeline.lengths = usable_lengths(windows, windows)
        windows = windows.of_lengths(pipeline.lengths)
        pipeline.to(target).fit(WindowLoader(windows, _BATCH, device=target)).to(target)
        return self.fit_windows(pipeline, windows)

    def fit_windows(self: _Window, pipeline: InputPipeline, windows: PoseWindows) -> _Window:
        """Learns from some windows, as a fitted pipeline (e.g. a detector's ``pipeline_``) sees them."""
        with refitted(self) as fresh:
            fresh.pipeline_ = pipeline
            fresh.lengths_ = None
            if len(windows.lengths) == 1:
                fresh._fit(windows)
            else:
                fresh.lengths_ = {
                    length: fresh._of_length(windows.of_length(length))
                    for length in windows.lengths
                }
        return self

    def _of_length(self: _Window, windows: PoseWindows) -> tuple[_Window, TailCalibrator]:
        """A copy that knows windows of one length, and the distribution of its scores of other people."""
        _, number = np.unique(windows.person, return_inverse=True)
        known = number % _HELD_OUT > 0
        one = copy.copy(self)
        one._fit(windows.subset(known))
        scores = one._score_windows(windows.subset(~known))
        return one, TailCalibrator().fit(torch.from_numpy(scores))

    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored: every ``score_stride`` frames, short tracks padded.

        Raises:
            InputError: Nothing was fitted yet, poses of another kind than in training.
        """
        self.check_fitted()
        return self.pipeline_.windows(tracks, self.pipeline_.options.score_stride)

    def decision_function(self, tracks: PoseTracks) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of :meth:`windows`; higher is more abnormal."""
        return self.score_windows(self.windows(tracks))

    def score_windows(self, windows: PoseWindows) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of some windows.

        Raises:
            InputError: Nothing was fitted yet.
        """
        self.check_fitted()
        if self.lengths_ is None:
            return self._score_windows(windows)
        scores = np.zeros(len(windows))
        for length, (one, calibrator) in self.lengths_.items():
            own = one._score_windows(windows.of_length(length))
            tail = calibrator.log_tail(torch.from_numpy(own))
            scores[windows.size == length] = -tail.numpy()
        return scores

    @abstractmethod
    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        """Scores [W] float64 of windows, fitted."""

    @abstractmethod
    def _fit(self, windows: PoseWindows) -> None:
        """Learns from windows; the pipeline is there already."""
