"""The estimator: from tracks to anomaly scores, scikit-learn-like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from gepc_geo.errors import InputError, warn_of_input
from gepc_geo.model_file import read_model, write_model
from gepc_geo.options import MODES, NETWORK_MODES, Options
from gepc_geo.poses.tracks import PoseTracks, check_tracks
from gepc_geo.scoring.calibration import Calibration
from gepc_geo.scoring.encoder import Encoder, Network, latents
from gepc_geo.scoring.learning import learn, usable_lengths
from gepc_geo.scoring.scorer import (
    WindowScorer,
    WindowScores,
    input_shares,
    own_modes,
    scoring_loader,
)
from gepc_geo.training.holdout import hold_out, warn_of_few
from gepc_geo.training.trainer import Trainer
from gepc_geo.utils import distributed
from gepc_geo.utils.checksums import checksum, fingerprint
from gepc_geo.utils.memory import kept_memory
from gepc_geo.utils.refitting import refitted
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.pipeline import InputPipeline

# Held-out windows of a length that scores are calibrated on: more of them make no tail better known.
_CALIBRATED = 30_000


@dataclass(eq=False, repr=False)
class GEPC(Options, BaseEstimator):
    r"""Finds abnormal windows of tracked poses, as an estimator.

    By default (``mode="combined"``) a window of poses is abnormal if it is far from the nearest normal
    people (``nearest``, :class:`~gepc_geo.density.neighbours.NearestDistance`) and if a small classifier confuses it
    with its own altered copies (``altered``, :class:`~gepc_geo.density.alterations.AlterationClassifier`); the
    score is the mean of both as tail probabilities. Both see
    the low frequencies of the joints and of the person's motion. Windows of about half a second, one and
    two seconds are scored together.

    The other modes are of Graph Embedded Pose Clustering (Markovitz et al., CVPR 2020): windows are
    embedded by a spatio-temporal graph autoencoder, clustered softly, and scored by a Dirichlet process
    mixture (sections 3.1 to 3.4 of the paper).

    What was fitted keeps the options that it was fitted with (``options_``): ``set_params`` afterwards
    changes what the next :meth:`fit` does. ``mode`` alone may change at any time to one of ``modes_``, and
    brings its own threshold.

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
        network\_: The trained :class:`~gepc_geo.nn.STGCAE` and :class:`~gepc_geo.nn.SoftAssignment` as a
            :class:`~gepc_geo.scoring.encoder.Network`; ``None`` where the mode needs none.
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

    @kept_memory()
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
        with distributed.agreement():
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
        self.options_ = options = Options(**self.to_dict())
        self.skeleton_, self.dims_, self.num_features_ = (
            tracks.skeleton,
            tracks.dims,
            tracks.num_features,
        )
        self.fps_ = tracks.usual_fps
        _warn_of_rates(tracks)
        self.alarm_: dict[str, Any] | None = None
        train, held_out = hold_out(tracks, options)
        self.pipeline_ = InputPipeline.for_tracks(tracks, options)
        windows = self.pipeline_.training_windows(train)
        known = self.pipeline_.windows(held_out, options.score_stride).without_padded()
        # The shortest length, which the pipeline's steps depend on, always stays.
        self.lengths_ = self.pipeline_.lengths = usable_lengths(windows, known)
        windows, known = windows.of_lengths(self.lengths_), known.of_lengths(self.lengths_)
        self.trained_on_ = fingerprint(windows)
        # Neighbours are these windows too: of a small set every clip counts.
        rest = self.pipeline_.windows(held_out, options.stride).without_padded()
        loader = scoring_loader(windows, target)
        self.pipeline_.to(target).fit(loader).to(target)
        self.network_: Network | None = None
        self.reconstruction_share_ = float("nan")
        if options.needs_network:
            self._check_size(min(int((windows.size == n).sum()) for n in self.lengths_))
            with torch.random.fork_rng():
                torch.manual_seed(options.seed)
                self.network_ = Network.of(options, self.pipeline_, target)
            trainer = Trainer(
                self.network_.model,
                self.network_.assignment,
                self.pipeline_,
                loader,
                options,
                held_out=rest,
                folder=folder,
                quiet=quiet,
                tensorboard=tensorboard,
            )
            trainer.run(resume=resume)
            self.network_.precision = trainer.precision
            self.reconstruction_share_ = trainer.reconstruction_share
        encoder = Encoder(self.pipeline_, self.network_)
        learned = learn(encoder, options, own_modes(options.modes), windows, rest)
        self.scorer_ = WindowScorer(encoder, learned.normality)
        self.modes_ = self.scorer_.modes
        if distributed.is_first():
            warn_of_few(windows, known, options.holdout)
        self.calibration_ = Calibration.of(
            self.scorer_,
            learned,
            _some_people(known),
            int(windows.person.max()) + 1,
            options.contamination,
            quiet,
        )

    def _check_size(self, windows: int) -> None:
        many = [
            f"{name} is {getattr(self.options_, name)}"
            for name in ("clusters", "components")
            if getattr(self.options_, name) > windows
        ]
        if many:
            raise InputError(
                f"{' and '.join(many)}, expected at most {windows}, the number of training windows"
                f"{' of the rarest length' if len(self.lengths_) > 1 else ''}"
            )

    def check_fitted(self) -> None:
        """Raises an :class:`~gepc_geo.errors.InputError` unless :meth:`fit` was called or a model loaded."""
        if not hasattr(self, "scorer_"):
            raise InputError("this detector is not fitted, expected fit() or load() first")

    def training_windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that :meth:`fit` learns from: those of all poses but the held-out ones.

        Raises:
            InputError: A detector that is not fitted, poses of another kind, or too few windows.
        """
        self.check_fitted()
        check_tracks(tracks)
        return self.pipeline_.training_windows(hold_out(tracks, self.options_)[0])

    def was_trained_on(self, tracks: PoseTracks) -> bool:
        """Whether poses are those of :meth:`fit`, in whatever file they lie; then scores are too low.

        Raises:
            InputError: A detector that is not fitted.
        """
        self.check_fitted()
        try:
            return fingerprint(self.training_windows(tracks)) == self.trained_on_
        except InputError:
            # Nobody can be trained on them.
            return False

    def _training_data(self, tracks: PoseTracks) -> tuple[dict[str, Any], int]:
        """What has to be the same on all ranks: the options, and a checksum of the poses."""
        places = (tracks.clip, tracks.track, tracks.frame)
        return self.to_dict(), checksum(*places, tracks.keypoints)

    # -- scores --------------------------------------------------------------------------------

    @property
    def threshold_(self) -> float:
        """The threshold of the present ``mode``."""
        return self.calibration_.thresholds[self.scoring_mode(None)]

    @threshold_.setter
    def threshold_(self, value: float) -> None:
        thresholds = self.calibration_.thresholds | {self.scoring_mode(None): value}
        # Copies of a detector share the calibration.
        self.calibration_ = replace(self.calibration_, thresholds=thresholds)

    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored: of each length every ``score_stride`` frames, short tracks padded."""
        self.check_fitted()
        return self.pipeline_.windows(tracks, self.options_.score_stride)

    @kept_memory()
    def window_scores(
        self,
        tracks: PoseTracks,
        modes: tuple[str, ...] | None = None,
        *,
        padded: bool = True,
        quiet: bool = True,
    ) -> WindowScores:
        r"""Anomaly scores of every window, from one pass.

        Of a single length they are the mode's own; of several :math:`-\log` of the probability that a
        normal window of that length scores as high, so that they can be compared and averaged.

        Args:
            modes: Some of ``modes_``; what only others need is not computed. (default: all)
            padded: Keep windows of tracks shorter than a window (their ends repeated).
            quiet: Show no progress.
        """
        windows = self.windows(tracks)
        if not padded:
            windows = windows.without_padded()
        return self.scorer_(windows, modes, quiet)

    def decision_function(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` of :meth:`windows`; higher is more abnormal.

        Args:
            mode: One of ``modes_``: ``combined``, ``nearest``, ``altered``; with a network ``assignment`` (the paper's:
                log-probability of the soft assignment), ``max`` (one minus the largest soft assignment),
                ``latent``, ``reconstruction``; default: the option ``mode``.
        """
        mode = self.scoring_mode(mode)
        return self.window_scores(tracks, (mode,)).scores[mode]

    def score_samples(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Log-densities :math:`[W]` of :meth:`windows`; higher is more normal.

        With augmentations, the mean of the log-densities of a window's views.

        Args:
            mode: ``"assignment"`` (default, section 3.4 of the paper) or ``"latent"``: the modes
                that are densities.

        Raises:
            InputError: A mode that is no density, or that there is no network for.
        """
        self.check_fitted()
        mode = "assignment" if mode is None else mode
        if mode not in ("assignment", "latent"):
            raise InputError(f"mode {mode!r} has no density, expected assignment or latent")
        mode = self.scoring_mode(mode)
        return -self.scorer_.raw(self.windows(tracks), (mode,))[mode].cpu().numpy()

    def predict(self, tracks: PoseTracks) -> np.ndarray:
        r"""1 where a window's score in the default mode exceeds ``threshold_``, else 0: :math:`[W]`."""
        return (self.decision_function(tracks) > self.threshold_).astype(np.int64)

    def embed(self, tracks: PoseTracks) -> np.ndarray:
        r"""Latents :math:`z` of :meth:`windows`, :math:`[W, D]` float32."""
        return self._latents(tracks).cpu().numpy()

    def soft_assignment(self, tracks: PoseTracks) -> np.ndarray:
        r"""Soft assignments :math:`p` (eq. 1) of :meth:`windows`, :math:`[W, K]`; rows sum to one."""
        latent = self._latents(tracks)
        with torch.no_grad():
            return self._trained_network().assignment.soft_assignment(latent).cpu().numpy()

    def joint_scores(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Each joint's share in the window's score, :math:`[W, V]`; rows sum to one.

        The sum over frames of :func:`~gepc_geo.scoring.scorer.input_shares` of :meth:`windows`.
        """
        windows, mode = self.windows(tracks), self.scoring_mode(mode)
        shares = np.zeros((len(windows), self.skeleton_.num_joints), np.float32)
        for index, share in input_shares(self.scorer_, windows, mode):
            shares[index.cpu().numpy()] = share.sum(1).cpu().numpy()
        return shares

    def _latents(self, tracks: PoseTracks) -> Tensor:
        windows, network = self.windows(tracks), self._trained_network()
        loader = scoring_loader(windows, self.scorer_.device)
        return latents(network.model, self.pipeline_, loader, network.precision)

    def _trained_network(self) -> Network:
        """The network.

        Raises:
            InputError: There is none.
        """
        self.check_fitted()
        if self.network_ is None:
            raise InputError(_NO_NETWORK)
        return self.network_

    def fps_mismatch(self, poses: PoseTracks | float) -> str:
        """A sentence where poses, or their frame rate, differ from training's by over 10 %, else ''.

        Windows are counted in frames: at another rate the same movement looks faster or slower.
        """
        self.check_fitted()
        there = poses.usual_fps if isinstance(poses, PoseTracks) else poses
        if abs(there / self.fps_ - 1) > 0.1:
            return f"the poses have {there:g} frames a second, training had {self.fps_:g}"
        return ""

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
        write_model(
            path,
            options=self.options_,
            mode=mode,
            scorer=self.scorer_,
            calibration=self.calibration_,
            trained_on=self.trained_on_,
            fps=self.fps_,
            reconstruction_share=self.reconstruction_share_,
            alarm=self.alarm_,
        )

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto") -> GEPC:
        """Reads what :meth:`save` wrote; nothing in it is ever unpickled.

        The parameters (``get_params``) and ``options_`` are the options of the file: those of the fit,
        and the mode that was set when it was saved.

        Raises:
            InputError: No such file, another kind or version of file, contents that do not fit.
        """
        found = read_model(path, device)
        self = cls(**found.options.to_dict())
        self.options_ = found.options
        self.scorer_, self.calibration_ = found.scorer, found.calibration
        self.pipeline_, self.network_ = found.scorer.encoder.pipeline, found.scorer.encoder.network
        self.modes_ = found.scorer.modes
        self.lengths_ = self.pipeline_.lengths
        self.skeleton_, self.dims_ = self.pipeline_.skeleton, self.pipeline_.dims
        self.num_features_ = self.pipeline_.num_features
        self.trained_on_ = found.trained_on
        self.fps_, self.alarm_ = found.fps, found.alarm
        self.reconstruction_share_ = found.reconstruction_share
        return self

    # -- inner ---------------------------------------------------------------------------------

    def scoring_mode(self, mode: str | None) -> str:
        """The scoring mode of that name; of ``None`` the option ``mode``.

        Raises:
            InputError: A detector that is not fitted, an unknown mode, or one that there is no network for.
        """
        self.check_fitted()
        mode = self.mode if mode is None else mode
        if mode not in MODES:
            raise InputError(f"mode is {mode!r}, expected {' or '.join(MODES)}")
        if mode not in self.modes_:
            raise InputError(f"mode is {mode!r}; {_NO_NETWORK}")
        return mode


_NO_NETWORK = (
    "this detector has no network, expected one fitted with a mode of a network "
    f"({', '.join(NETWORK_MODES)}; on the command line train --preset gepc)"
)


def check_detector(detector: object) -> None:
    """Makes sure that something is a fitted detector.

    Raises:
        InputError: It is something else, or not fitted.
    """
    if not isinstance(detector, GEPC):
        raise InputError(f"the detector is of type {type(detector).__name__}, expected a GEPC")
    detector.check_fitted()


def _some_people(windows: PoseWindows) -> PoseWindows:
    """All windows of as many people, evenly chosen, as have about 30,000 of each length at most."""
    most = _CALIBRATED * len(windows.lengths)
    if len(windows) <= most:
        return windows
    person, count = windows.person, int(windows.person.max()) + 1
    chosen = np.linspace(0, count - 1, max(1, count * most // len(windows))).round()
    return windows.subset(np.isin(person, chosen))


def _warn_of_rates(tracks: PoseTracks) -> None:
    """Warns of clips whose windows do not last as long as others'."""
    known = tracks.fps[~np.isnan(tracks.fps)]
    if len(known) and (np.abs(known / tracks.usual_fps - 1) > 0.1).any():
        warn_of_input(
            f"clips have {known.min():g} to {known.max():g} frames a second, and windows are counted in "
            f"frames at {tracks.usual_fps:g}, expected clips of one rate"
        )
