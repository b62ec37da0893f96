"""The estimator: from tracks to anomaly scores, scikit-learn-like."""

from __future__ import annotations

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
from gepc_geo.scoring.learning import learn
from gepc_geo.scoring.scorer import WindowScorer, scoring_loader
from gepc_geo.training.holdout import split_windows
from gepc_geo.training.sufficiency import warn_of_rates
from gepc_geo.training.train import train_network
from gepc_geo.utils import distributed
from gepc_geo.utils.checksums import checksum
from gepc_geo.utils.refitting import refitted
from gepc_geo.windows.pipeline import InputPipeline


class GEPC(FittedDetector):
    r"""Finds abnormal windows of tracked poses, as an estimator.

    By default (``mode="combined"``) a window of poses is abnormal if it is far from the nearest normal
    people (``nearest``, :class:`~gepc_geo.density.neighbours.NearestDistance`) and if a small classifier
    confuses it with its own altered copies (``altered``,
    :class:`~gepc_geo.density.alterations.AlterationClassifier`); the score is the mean of both as tail
    probabilities. Both see the low frequencies of the joints and of the person's motion. Windows of about
    half a second, one and two seconds are scored together.

    The other modes are of Graph Embedded Pose Clustering (Markovitz et al., CVPR 2020): windows are
    embedded by a spatio-temporal graph autoencoder, clustered softly, and scored by a Dirichlet process
    mixture (sections 3.1 to 3.4 of the paper).

    Signs and labels are PyOD's: :meth:`decision_function` is higher for more abnormal windows,
    :meth:`predict` gives 1 for abnormal windows and 0 for the others.

    :meth:`fit` keeps a copy of the options (``options_``): ``set_params`` changes what the next
    :meth:`fit` does. ``mode`` alone may change at any time to one of ``modes_``, and brings its own
    threshold.

    Poses are no array, so ``sklearn.model_selection.cross_val_score`` refuses them. Cross-validation takes
    clips by their numbers: :meth:`PoseTracks.select(clips=...) <gepc_geo.PoseTracks.select>`.

    Args:
        **options: Every field of :class:`~gepc_geo.options.Options` is a parameter.

    Attributes:
        options\_: The options it was fitted with; of ``mode`` the parameter counts.
        modes\_: The scoring modes it has: all where a network was trained, else
            ``combined``, ``nearest`` and ``altered``.
        lengths\_: Frames of windows, rising: ``lengths`` at the training poses' rate, without those that
            hardly any training track is long enough for.
        skeleton\_: The skeleton of the training poses.
        pipeline\_: Makes numbers of windows (:class:`~gepc_geo.windows.pipeline.InputPipeline`).
        network\_: The trained :class:`~gepc_geo.training.network.Network`; ``None`` where the mode needs
            none.
        scorer\_: Scores windows (:class:`~gepc_geo.scoring.scorer.WindowScorer`).
        calibration\_: How scores of normal behaviour are distributed
            (:class:`~gepc_geo.scoring.calibration.Calibration`).
        threshold\_: The anomaly score that a share ``contamination`` of held-out normal windows exceeds, in
            the present ``mode``.
        reconstruction_share\_: The error of reconstructing held-out windows at the end of the first
            training stage, as a share of that of predicting the mean of the training windows; NaN if
            the mean has none, or no network was trained.
        trained_on\_: Number and checksum of the training windows (:meth:`was_trained_on`).
        fps\_: Median frames a second of the training clips; NaN if unknown.
        alarm\_: What :mod:`gepc_geo.streaming.thresholds` chose from normal poses, as plain values; ``None``
            before that.

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
        """Trains on normal poses.

        Inside of :func:`gepc_geo.utils.distributed.process_group` all ranks train one detector together.

        Args:
            tracks: Normal behaviour only; labels in it are not looked at.
            y: Ignored, for scikit-learn.
            run: Folder for checkpoint and loss log; default: nothing is written.
            resume: Go on from the checkpoint in ``run`` where there is one.
            device: ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
            quiet: Show no progress.
            tensorboard: Also write TensorBoard events into ``run``.

        Warns of poses of a single person, and of poses too few to keep somebody out for calibration
        (:class:`~gepc_geo.errors.InputWarning`).

        Raises:
            InputError: An option that is not allowed, something else than
                :class:`~gepc_geo.PoseTracks`, poses without a single full window, a loss
                that is no number any more, a checkpoint of other data; on all ranks, if on any.
                The detector is then what it was before.
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
        learned = learn(encoder, split.training, split.held_out)
        scorer = WindowScorer(encoder, learned.normality)
        calibration = Calibration.of(
            scorer, learned, split.calibration, options.contamination, quiet
        )
        trained_on, fps = split.training.fingerprint(), tracks.usual_fps
        self._take(SavedModel(options, scorer, calibration, trained_on, fps, reconstruction_share))

    def _take(self, fitted: SavedModel) -> None:
        """Takes over what was fitted or read from a file."""
        self.options_, self.scorer_, self.calibration_ = (
            fitted.options,
            fitted.scorer,
            fitted.calibration,
        )
        self.trained_on_, self.fps_, self.alarm_ = fitted.trained_on, fitted.fps, fitted.alarm
        self.reconstruction_share_ = fitted.reconstruction_share
        self.modes_ = fitted.scorer.modes
        self.network_, self.pipeline_ = (
            fitted.scorer.encoder.network,
            fitted.scorer.encoder.pipeline,
        )
        self.lengths_, self.skeleton_ = self.pipeline_.lengths, self.pipeline_.skeleton
        self.dims_, self.num_features_ = self.pipeline_.dims, self.pipeline_.num_features

    def _training_data(self, tracks: PoseTracks) -> tuple[dict[str, Any], int]:
        """What has to be the same on all ranks: the options, and a checksum of the poses."""
        places = (tracks.clip, tracks.track, tracks.frame)
        return self.to_dict(), checksum(*places, tracks.keypoints)

    # -- files ---------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Writes one file: weights, mixtures, skeleton, every option, calibration, thresholds.

        The options are those of :meth:`fit` with the present ``mode``; what ``set_params`` changed
        since is for the next fit and is not in the file.

        Raises:
            InputError: A detector that is not fitted, an unknown ``mode``, a file that cannot be
                written; an old one stays.
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
        )
        write_model(path, fitted, mode)

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto") -> GEPC:
        """Reads what :meth:`save` wrote; nothing in it is ever unpickled.

        The parameters (``get_params``) and ``options_`` are the options of the file: those of the fit,
        and the mode that was set when it was saved.

        Raises:
            InputError: No such file, another kind or version of file, contents that do not fit.
        """
        fitted = read_model(path, device)
        self = cls(**fitted.options.to_dict())
        self._take(fitted)
        return self


def check_detector(detector: object) -> None:
    """Makes sure that something is a fitted detector.

    Raises:
        InputError: It is something else, or not fitted.
    """
    if not isinstance(detector, GEPC):
        raise InputError(f"the detector is of type {type(detector).__name__}, expected a GEPC")
    detector.check_fitted()


GEPC.__doc__ = documented(GEPC.__doc__, Options)
