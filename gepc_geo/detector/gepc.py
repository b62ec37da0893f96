"""The estimator: it learns from normal poses and scores windows, like one of scikit-learn."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch

from gepc_geo.detector.fitted import FittedDetector
from gepc_geo.detector.model_file import SavedModel, read_model, write_model
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.options.metadata import documented
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.scoring.calibration import Calibration
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.scoring.explanation import TrainingMeasures
from gepc_geo.scoring.learning import learn
from gepc_geo.scoring.scorer import WindowScorer, scoring_loader
from gepc_geo.training.holdout import split_windows
from gepc_geo.training.network_training import train_network
from gepc_geo.training.sufficiency import warn_of_rates, warn_of_uncertain
from gepc_geo.utils import distributed
from gepc_geo.utils.checksums import checksum
from gepc_geo.utils.refitting import refitted
from gepc_geo.windows.pipeline import InputPipeline


class GEPC(FittedDetector):
    r"""Finds abnormal windows of tracked poses, as an estimator.

    The default ``mode="combined"`` is the mean of two scores as tail probabilities. A window scores
    high in ``nearest`` if it is far from the windows of normal people
    (:class:`~gepc_geo.density.neighbours.NearestDistance`), and in ``altered`` if a small
    classifier confuses it with its own altered copies
    (:class:`~gepc_geo.density.alterations.AlterationClassifier`). The input of both is the low
    frequencies of the joints and of the person's motion. Windows of 0.5, 1 and 2 seconds are scored
    together.

    The other modes are those of Graph Embedded Pose Clustering (Markovitz et al., CVPR 2020): a
    spatio-temporal graph autoencoder embeds windows, the latents are clustered softly, and a
    Dirichlet process mixture gives scores (sections 3.1 to 3.4 of the paper).

    Signs and labels are as in PyOD: :meth:`decision_function` is higher for more abnormal windows,
    :meth:`predict` gives 1 for abnormal windows and 0 for the others.

    :meth:`fit` stores a copy of the options in ``options_``; ``set_params`` changes the options of
    the next :meth:`fit`. Only ``mode`` has an effect at once: it may change to one of ``modes_``,
    and each mode has its own threshold.

    Poses are not an array, so ``sklearn.model_selection.cross_val_score`` refuses them. For
    cross-validation, select clips by number:
    :meth:`PoseTracks.select(clips=...) <gepc_geo.PoseTracks.select>`.

    Args:
        **options: Every field of :class:`~gepc_geo.options.Options` is a parameter.

    Attributes:
        options\_: Options of the fit; for ``mode`` the parameter is used.
        modes\_: Scoring modes: all with a network, else ``combined``, ``nearest`` and ``altered``.
        lengths\_: Lengths of windows in frames, in ascending order, at the frame rate of the
            training poses; without lengths that have too few training windows.
        skeleton\_: The skeleton of the training poses.
        dims\_: Coordinates of a joint, 2 or 3.
        num_features\_: Features of a joint.
        pipeline\_: Computes numbers from windows
            (:class:`~gepc_geo.windows.pipeline.InputPipeline`).
        network\_: The trained :class:`~gepc_geo.training.network.Network`; ``None`` if the mode
            does not need one.
        scorer\_: Scores windows (:class:`~gepc_geo.scoring.scorer.WindowScorer`).
        calibration\_: Distribution of normal scores
            (:class:`~gepc_geo.scoring.calibration.Calibration`).
        threshold\_: The score in the option ``mode`` that a share ``contamination`` of held-out
            normal windows exceeds.
        reconstruction_share\_: Reconstruction error of held-out windows at the end of the first
            training stage, divided by the error of predicting the mean of the training windows; NaN
            if that error is 0, or without a network.
        trained_on\_: Number and checksum of the training windows (:meth:`was_trained_on`).
        fps\_: Median frames a second of the training clips; NaN if unknown.
        alarm\_: The alarm threshold (:class:`gepc_geo.evaluation.alarms.Alarm`) as plain values;
            ``None`` before it is chosen.
        measures\_: Measures of the training windows
            (:class:`~gepc_geo.scoring.explanation.TrainingMeasures`); ``None`` for whole clips
            (option ``frames``) and for files of older versions.

    Example:
        >>> detector = GEPC().fit(train_tracks)  # doctest: +SKIP
        >>> detector.decision_function(test_tracks)  # doctest: +SKIP
    """

    # -- training ------------------------------------------------------------------------------

    def fit(
        self,
        tracks: PoseTracks,
        y: object = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        device: str | torch.device = "auto",
        quiet: bool = True,
        tensorboard: bool = False,
    ) -> GEPC:
        """Learns from normal poses.

        Inside :func:`gepc_geo.utils.distributed.process_group` all ranks train one detector. Warns
        with an :class:`~gepc_geo.errors.InputWarning` of poses of a single person, and of too few
        people for calibration.

        Args:
            tracks: Normal poses; their labels are ignored.
            y: Ignored, for scikit-learn.
            run: Folder of checkpoint and loss log. (default: ``None``, nothing is written)
            resume: Continue from the checkpoint in ``run``, if there is one. (default: ``False``)
            device: ``"auto"`` (CUDA if the machine has a GPU), ``"cpu"`` or ``"cuda"``.
                (default: ``"auto"``)
            quiet: Show no progress. (default: ``True``)
            tensorboard: Also write TensorBoard events into ``run``. (default: ``False``)

        Returns:
            The detector.

        Raises:
            InputError: An option is not allowed, ``tracks`` is not a :class:`~gepc_geo.PoseTracks`
                or has no full window, a loss is not finite, or the checkpoint is of other data. If
                one rank raises it, all do. The detector does not change.
        """
        self.check()
        target = distributed.own_device(device)
        with distributed.raise_on_all_ranks():
            check_tracks(tracks)
        distributed.check_same(lambda: self._training_data(tracks), "training poses or options")
        folder = None if run is None else Path(run)
        with refitted(self) as fresh:
            fresh._fit(
                tracks, folder, resume, target, quiet or not distributed.is_first(), tensorboard
            )
        return self

    def _fit(
        self,
        tracks: PoseTracks,
        folder: Path | None,
        resume: bool,
        target: torch.device,
        quiet: bool,
        tensorboard: bool,
    ) -> None:
        options = Options(**self.to_dict())
        warn_of_rates(tracks)
        pipeline = InputPipeline.for_tracks(tracks, options)
        split = split_windows(tracks, pipeline)
        loader = scoring_loader(split.training, target)
        pipeline.to(target).fit(loader).to(target)
        network, reconstruction_share = None, float("nan")
        if options.needs_network:
            network, reconstruction_share = train_network(
                pipeline,
                loader,
                split.held_out,
                folder=folder,
                resume=resume,
                quiet=quiet,
                tensorboard=tensorboard,
            )
        encoder = Encoder(pipeline, network)
        # Without mixtures this takes seconds.
        silent = quiet or not options.needs_network
        learned = learn(encoder, split.training, split.held_out, silent)
        scorer = WindowScorer(encoder, learned.normality)
        calibration = Calibration.of(
            scorer, learned, split.calibration, options.contamination, quiet
        )
        self._warn_of_threshold(calibration, options)
        trained_on, fps = split.training.fingerprint(), tracks.usual_fps
        measures = None
        if options.frames is None:
            windows = split.training
            if windows.table.source.num_clips == tracks.num_clips:
                # Held-out people are near to those in training.
                windows = pipeline.sound(pipeline.training_windows(tracks))
                windows = windows.of_lengths(pipeline.lengths)
            measures = TrainingMeasures.of(windows, fps)
        self._take(
            SavedModel(
                options,
                scorer,
                calibration,
                trained_on,
                fps,
                reconstruction_share,
                measures=measures,
            )
        )

    def _warn_of_threshold(self, calibration: Calibration, options: Options) -> None:
        found = calibration.intervals.get(options.mode)
        # A single person has a warning of its own.
        if found is not None and found.people > 1 and distributed.is_first():
            warn_of_uncertain(found.people, str(found), found.high < math.inf)

    def _take(self, fitted: SavedModel) -> None:
        """Sets the fitted attributes."""
        self.options_, self.scorer_, self.calibration_ = (
            fitted.options,
            fitted.scorer,
            fitted.calibration,
        )
        self.trained_on_, self.fps_, self.alarm_ = fitted.trained_on, fitted.fps, fitted.alarm
        self.reconstruction_share_, self.measures_ = fitted.reconstruction_share, fitted.measures
        self.modes_ = fitted.scorer.modes
        self.network_, self.pipeline_ = (
            fitted.scorer.encoder.network,
            fitted.scorer.encoder.pipeline,
        )
        self.lengths_, self.skeleton_ = self.pipeline_.lengths, self.pipeline_.skeleton
        self.dims_, self.num_features_ = self.pipeline_.dims, self.pipeline_.num_features

    def _training_data(self, tracks: PoseTracks) -> tuple[dict[str, Any], int]:
        """Options and a checksum of the poses, which must be the same on all ranks."""
        places = (tracks.clip, tracks.track, tracks.frame)
        return self.to_dict(), checksum(*places, tracks.keypoints)

    # -- files ---------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Writes the detector to one file.

        The file has the options of :meth:`fit` with the current ``mode``, not later changes by
        ``set_params``.

        Raises:
            InputError: The detector is not fitted, ``mode`` is unknown, or the file cannot be
                written; an existing file then stays.
        """
        mode = self.scoring_mode(None)
        fitted = SavedModel(
            self.options_,
            self.scorer_,
            self.calibration_,
            self.trained_on_,
            self.fps_,
            self.reconstruction_share_,
            self.alarm_,
            self.measures_,
        )
        write_model(path, fitted, mode)

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto") -> GEPC:
        """Reads a file of :meth:`save`; never unpickles.

        The parameters (``get_params``) and ``options_`` are the options in the file.

        Args:
            path: The file, or the folder of a run, which has it as ``model.pt``.
            device: Device of the detector. (default: ``"auto"``)

        Raises:
            InputError: The file does not exist, is damaged, or has another kind or version.
        """
        fitted = read_model(Path(path, "model.pt") if os.path.isdir(path) else path, device)
        self = cls(**fitted.options.to_dict())
        self._take(fitted)
        return self


def check_detector(detector: object) -> None:
    """Checks that a value is a fitted detector.

    Raises:
        InputError: It is another object, or not fitted.
    """
    if not isinstance(detector, GEPC):
        raise InputError(f"the detector must be a GEPC, got {type(detector).__name__}")
    detector.check_fitted()


GEPC.__doc__ = documented(GEPC.__doc__, Options)
