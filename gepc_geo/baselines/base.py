"""Base classes of baselines: windows of tracks and anomaly scores of windows."""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from gepc_geo.density.tail_calibration import TailCalibrator
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

# Batch size without training.
_BATCH = 1024
# Window passes of training without a budget; a detector trains until convergence instead.
_PASSES = 200_000
# One person in this many is held out for calibration, if there are several lengths.
_HELD_OUT = 10


def inputs(pipeline: InputPipeline, windows: PoseWindows, choice: int = 0) -> Iterator[Inputs]:
    r"""Yields batches of standardised windows.

    Args:
        pipeline: A fitted pipeline; the batches are on its device.
        windows: Windows to standardise.
        choice: Index of the augmentation; 0 is none. (default: :obj:`0`)
    """
    device = pipeline.mean.device
    for batch in WindowLoader(windows, _BATCH, device=device):
        choices = torch.full((batch.num_graphs,), choice, device=device)
        yield pipeline(batch, choices)


def view_scores(
    score: Callable[[Inputs], np.ndarray], pipeline: InputPipeline, windows: PoseWindows
) -> np.ndarray:
    r"""Scores each view of each window.

    Args:
        score: Function from a batch of :func:`inputs` to anomaly scores :math:`[B]`.
        pipeline: A fitted pipeline.
        windows: Windows to score.

    Returns:
        Scores of each view and window, :math:`[A, W]` float64.
    """
    views = range(pipeline.augment.num_scored)
    return np.stack(
        [
            np.concatenate([np.zeros(0), *map(score, inputs(pipeline, windows, view))])
            for view in views
        ]
    )


_Window = TypeVar("_Window", bound="WindowBaseline")


class OptionsEstimator(Estimator):
    """Base class of estimators with the options of a detector as parameter.

    Args:
        options: Options, or a detector with its options. (default: all defaults)
    """

    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **keywords: object) -> None:
        super().__init_subclass__(**keywords)
        # Without this, Python would show the signature of __new__.
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(parameters)

    def __new__(cls, *args: object, **keywords: object) -> Any:
        """Refuses unknown keywords with an error that lists the allowed ones."""
        allowed = cls._get_param_names()
        for name in keywords:
            if name not in allowed:
                raise InputError(
                    f"keywords of {cls.__name__} must be some of {', '.join(allowed)} (options of "
                    f"a detector go into options=Options(...)), got {name!r}"
                )
        return super().__new__(cls)

    def __init__(self, options: Options | None = None) -> None:
        self.options = options

    @property
    def _options(self) -> Options:
        """Copy of the options, so that a fitted estimator does not change with the parameter."""
        if self.options is None:
            return Options()
        if not isinstance(self.options, Options):
            raise InputError(
                f"options must be Options(...) with some of {', '.join(NAMES)}, "
                f"got {type(self.options).__name__}"
            )
        return Options(**self.options.to_dict())

    @property
    def _passes(self) -> int:
        """Window passes of training: the option ``budget``, or 200,000 without it."""
        budget = self._options.budget
        return _PASSES if budget is None else budget


class WindowBaseline(OptionsEstimator):
    r"""Base class of baselines on the windows of a detector.

    With several lengths of windows, one copy is fitted to each length, on nine tenths of the
    people. The scores of the other people calibrate it, and the score of a window is
    :math:`-\log` of its tail probability.

    Args:
        options: Window, input and augmentation options, and the seed; or a detector with its
            options. (default: all defaults)

    Attributes:
        supervised: Whether the baseline uses the classes of training clips (``clip_label``). The
            detector does not.
        levels: Levels that the baseline is made to score: ``"clip"``, ``"frame"`` or both.
        pipeline\_: The fitted :class:`~gepc_geo.windows.pipeline.InputPipeline`.
        lengths\_: Fitted baseline and calibration of each length; ``None`` for a single length.
    """

    lengths_: dict[int, tuple[Any, TailCalibrator]] | None
    supervised: ClassVar[bool] = False
    levels: ClassVar[tuple[str, ...]] = ("clip", "frame")

    def fit(
        self: _Window, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> _Window:
        """Fits to normal poses.

        Args:
            tracks: Poses of normal behaviour. All full windows count; padded windows do not.
            y: Not used; for compatibility with scikit-learn.
            device: Device of normalisation and networks: ``"auto"``, ``"cpu"`` or ``"cuda"``.
                (default: ``"auto"``)

        Returns:
            The fitted baseline.

        Raises:
            InputError: An option is invalid, ``tracks`` are not :class:`~gepc_geo.PoseTracks`, or
                they have fewer than 2 full windows.
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
        """Fits to windows.

        Args:
            pipeline: A fitted pipeline, such as the ``pipeline_`` of a detector.
            windows: Windows of normal behaviour.
        """
        with refitted(self) as fresh:
            fresh.pipeline_ = pipeline
            fresh.lengths_ = None
            if len(windows.lengths) == 1:
                fresh._fit(windows)
            else:
                fresh.lengths_ = {
                    length: fresh._calibrated(windows.of_length(length))
                    for length in windows.lengths
                }
        return self

    def _calibrated(self: _Window, windows: PoseWindows) -> tuple[_Window, TailCalibrator]:
        """Fits a copy to windows of one length, and its calibration to held-out people."""
        _, person = np.unique(windows.person, return_inverse=True)
        training = person % _HELD_OUT > 0
        baseline = copy.copy(self)
        baseline._fit(windows.subset(training))
        scores = baseline._score_windows(windows.subset(~training))
        return baseline, TailCalibrator().fit(torch.from_numpy(scores))

    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """Windows to score: one every ``score_stride`` frames; short tracks are padded.

        Raises:
            InputError: The baseline is not fitted, or the poses differ in kind from the training
                poses.
        """
        self.check_fitted()
        return self.pipeline_.windows(tracks, self.pipeline_.options.score_stride)

    def decision_function(self, tracks: PoseTracks) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of :meth:`windows`; higher is more abnormal."""
        return self.score_windows(self.windows(tracks))

    def score_windows(self, windows: PoseWindows) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` float64 of windows; higher is more abnormal.

        Raises:
            InputError: The baseline is not fitted.
        """
        self.check_fitted()
        if self.lengths_ is None:
            return self._score_windows(windows)
        scores = np.zeros(len(windows))
        for length, (baseline, calibrator) in self.lengths_.items():
            score = baseline._score_windows(windows.of_length(length))
            tail = calibrator.log_tail(torch.from_numpy(score))
            scores[windows.size == length] = -tail.numpy()
        return scores

    @abstractmethod
    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        """Scores [W] float64 of windows."""

    @abstractmethod
    def _fit(self, windows: PoseWindows) -> None:
        """Fits to windows; ``pipeline_`` is fitted."""
