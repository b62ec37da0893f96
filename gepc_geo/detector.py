"""The estimator: from tracks to anomaly scores, scikit-learn-like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn.functional import pad
from torch_geometric.data import Batch

from gepc_geo import checkpoint, distributed
from gepc_geo._version import __version__
from gepc_geo.calibration import TailCalibrator
from gepc_geo.checksums import checksum
from gepc_geo.device import pick_device
from gepc_geo.encoding import Encoded, autoencoder, encode_input, latents
from gepc_geo.engine import Trainer
from gepc_geo.errors import InputError
from gepc_geo.fitting import refitted
from gepc_geo.holdout import hold_out, warn_of_few
from gepc_geo.inputs import InputPipeline
from gepc_geo.loader import WindowLoader
from gepc_geo.memory import kept_memory
from gepc_geo.nn import SoftAssignment
from gepc_geo.normality import SINGLE, Normality, Points, of_views
from gepc_geo.options import MODES, Options
from gepc_geo.precision import PRECISIONS
from gepc_geo.progress import Progress
from gepc_geo.scoring import person_frame_scores
from gepc_geo.skeleton import Skeleton
from gepc_geo.tracks import PoseTracks, check_tracks
from gepc_geo.windows import PoseWindows

#: Kind and version of a saved model.
KIND, VERSION = "gepc_geo model", 11
# Windows a forward pass takes when nothing is learned; a GPU is not kept busy by as few as a CPU is.
_SCORE_BATCH = {"cpu": 512, "cuda": 4096}
# Raw latents and residuals that are held at once to measure their principal components.
_SAMPLE = 20_000

_Tensors = TypeVar("_Tensors", Encoded, Points)


@dataclass
class WindowScores:
    r"""Anomaly scores of windows; higher is more abnormal.

    Attributes:
        windows: Which windows (clip, person, frames, padding), :math:`W` of them.
        scores: For each mode :math:`[W]` float64.
    """

    windows: PoseWindows
    scores: dict[str, np.ndarray]


@dataclass(eq=False, repr=False)
class GEPC(Options, BaseEstimator):
    r"""Graph Embedded Pose Clustering (Markovitz et al., CVPR 2020) as an estimator.

    Windows of tracked poses are embedded by a spatio-temporal graph autoencoder, clustered softly,
    and scored by a Dirichlet process mixture (sections 3.1 to 3.4 of the paper).

    What was fitted keeps the options that it was fitted with (``options_``): ``set_params`` afterwards
    changes what the next :meth:`fit` does. ``mode`` alone may change at any time, and brings its own
    threshold.

    Args:
        **options: Every field of :class:`~gepc_geo.options.Options` is a parameter.

    Attributes:
        options\_: The options it was fitted with; of ``mode`` the parameter counts.
        skeleton\_: The skeleton of the training poses.
        model\_: The trained :class:`~gepc_geo.nn.STGCAE`.
        assignment\_: The trained :class:`~gepc_geo.nn.SoftAssignment`.
        normality\_: Mixtures and calibration.
        thresholds\_: For each mode the anomaly score that a share ``contamination`` of held-out normal
            windows exceeds.
        threshold\_: The one of the present ``mode``.
        most_normal\_: For each mode the lowest anomaly score seen in training.
        reconstruction_share\_: The error of reconstructing held-out windows at the end of the first
            training stage, as a share of that of predicting the mean of the training windows; NaN if
            the mean has none.
        precision\_: What ``precision`` was decided to be: ``fp32`` or ``bf16``.
        fps\_: Median frames a second of the training clips; NaN if unknown.
        alarm\_: What :mod:`gepc_geo.alarms` chose from normal poses, as plain values; ``None``
            before that.

    Example:
        >>> detector = GEPC(budget=50_000).fit(train_tracks)  # doctest: +SKIP
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

        Inside of :func:`gepc_geo.distributed.process_group` all ranks train one detector together.

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
        train, held_out = hold_out(tracks, options)
        self.skeleton_ = tracks.skeleton
        self.dims_ = tracks.dims
        self.num_features_ = tracks.num_features
        self.fps_ = _fps(tracks)
        self.alarm_: dict[str, Any] | None = None
        self.pipeline_ = InputPipeline(self.skeleton_, self.dims_, self.num_features_, options)
        windows = self.pipeline_.training_windows(train)
        many = [
            f"{name} is {getattr(options, name)}"
            for name in ("clusters", "components")
            if getattr(options, name) > len(windows)
        ]
        if many:
            raise InputError(
                f"{' and '.join(many)}, expected at most {len(windows)}, the number of training windows"
            )
        # Neighbours are these windows too: of a small set every clip counts.
        rest = self.pipeline_.windows(held_out, options.stride).without_padded()
        loader = WindowLoader(windows, batch_size=_score_batch(target), device=target)
        self.pipeline_.to(target).fit(loader).to(target)
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            self._build(target)
        trainer = Trainer(
            self.model_,
            self.assignment_,
            self.pipeline_,
            loader,
            options,
            held_out=rest,
            folder=folder,
            quiet=quiet,
            tensorboard=tensorboard,
        )
        trainer.run(resume=resume)
        self.precision_ = trainer.precision
        self.reconstruction_share_ = trainer.reconstruction_share
        self._fit_normality(loader, held_out, rest, quiet)

    def check_fitted(self) -> None:
        """Raises an :class:`~gepc_geo.errors.InputError` unless :meth:`fit` was called or a model loaded."""
        if not hasattr(self, "normality_"):
            raise InputError("this detector is not fitted, expected fit() or load() first")

    def training_windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that :meth:`fit` learns from: those of all poses but the held-out ones.

        Raises:
            InputError: A detector that is not fitted, poses of another kind, or too few windows.
        """
        self.check_fitted()
        check_tracks(tracks)
        return self.pipeline_.training_windows(hold_out(tracks, self.options_)[0])

    def _training_data(self, tracks: PoseTracks) -> tuple[dict[str, Any], int]:
        """What has to be the same on all ranks: the options, and a checksum of the poses."""
        places = (tracks.clip, tracks.track, tracks.frame)
        return self.to_dict(), checksum(*places, tracks.keypoints)

    def _build(self, device: torch.device) -> None:
        """Makes the networks for the pipeline's input."""
        channels = self.pipeline_.num_channels
        self.model_ = autoencoder(self.options_, self.skeleton_, channels).to(device)
        self.assignment_ = SoftAssignment(
            self.options_.clusters, self.model_.latent_dim, form=self.options_.assignment
        ).to(device)

    @torch.no_grad()
    def _fit_normality(
        self, loader: WindowLoader, held_out: PoseTracks, rest: PoseWindows, quiet: bool
    ) -> None:
        """Mixtures of the training windows, neighbours of all; calibration on held-out windows."""
        count = len(loader.windows)
        choices = range(self.pipeline_.augment.copies(count + len(rest)))
        some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
        # Each rank encodes its share of the windows; measured and fitted it is on the first.
        shown = some[distributed.share(len(some))]
        sample = [
            _gather(self._encode(self._loader(loader.windows.subset(shown)), c)) for c in choices
        ]
        normality = _first(lambda: Normality(self.options_).measure(_cat(sample)), loader.device)
        if len(some) == count:
            passes = [normality.project(part) for part in sample]
        else:
            mine = torch.arange(count, device=loader.device)[distributed.share(count)]
            passes = [
                _gather(map(normality.project, self._encode(loader.batches(mine), c)))
                for c in choices
            ]
        everything = _cat(passes)
        person = torch.as_tensor(loader.windows.person).to(loader.device)
        neighbours, whose = [everything.nearest], [person.repeat(len(choices))]
        # In the numbers of people those held out come after those trained on.
        offset = int(person.max()) + 1
        if len(rest):
            part = _share(rest)
            # A rank that has none of them encodes one all the same, and takes no row of it.
            batches = self._loader(part if len(part) else rest.subset([0]))
            for choice in choices:
                points = _cat(map(normality.project, self._encode(batches, choice)))
                neighbours.append(distributed.gather(points.nearest[: len(part)]))
            theirs = torch.as_tensor(rest.person).to(loader.device) + offset
            whose.append(theirs.repeat(len(choices)))
        self.normality_ = _first(
            lambda: normality.fit(everything, torch.cat(neighbours), torch.cat(whose)),
            loader.device,
        )
        # Whoever is among the neighbours is scored without them, as somebody new would be.
        train_scores = _of_views(
            [self.normality_.single_scores(one, person) for one in passes[: self._choices]]
        )
        self._calibrate(loader.windows, train_scores, held_out, offset, quiet)

    def _calibrate(
        self,
        trained: PoseWindows,
        train_scores: dict[str, Tensor],
        held_out: PoseTracks,
        offset: int,
        quiet: bool,
    ) -> None:
        """Calibration, threshold and lowest scores; people held out are numbered from ``offset``."""
        rest = self.pipeline_.windows(held_out, self.options_.score_stride).without_padded()
        windows = rest
        if len(rest):
            part = _share(rest)
            with distributed.agreement():
                scores = self._single_scores(part, quiet, part.person + offset)
            scores = {mode: distributed.gather(scores[mode]) for mode in SINGLE}
        else:
            # Nothing could be held out (a handful of tracks): the training windows must do.
            windows, scores = trained, train_scores
        if distributed.is_first():
            warn_of_few(trained, rest, self.options_.holdout)
        self.normality_.calibrate(scores)
        scores["fused"] = self.normality_.fused_score(scores)
        train_scores["fused"] = self.normality_.fused_score(train_scores)
        self.most_normal_ = {mode: float(train_scores[mode].min()) for mode in MODES}
        share = 1 - self.options_.contamination
        self.thresholds_ = {
            # torch.quantile takes no more than 16 million values.
            mode: float(np.quantile(scores[mode].cpu().numpy(), share))
            for mode in MODES
        }
        # People are scored frame by frame with means over windows, whose spread is smaller.
        self.person_calibrators_ = {
            mode: TailCalibrator().fit(_covered(windows, scores[mode])) for mode in MODES
        }

    # -- scores --------------------------------------------------------------------------------

    @property
    def threshold_(self) -> float:
        """The threshold of the present ``mode``."""
        return self.thresholds_[self._mode(None)]

    @threshold_.setter
    def threshold_(self, value: float) -> None:
        # Copies of a detector share the dict.
        self.thresholds_ = {**self.thresholds_, self._mode(None): value}

    def windows(self, tracks: PoseTracks) -> PoseWindows:
        """The windows that are scored: every ``score_stride`` frames, short tracks padded."""
        self.check_fitted()
        return self.pipeline_.windows(tracks, self.options_.score_stride)

    @kept_memory()
    def window_scores(
        self, tracks: PoseTracks, *, padded: bool = True, quiet: bool = True
    ) -> WindowScores:
        """Anomaly scores of every window in every mode, from one pass.

        Args:
            padded: Keep windows of tracks shorter than a window (their ends repeated).
            quiet: Show no progress.
        """
        windows = self.windows(tracks)
        if not padded:
            windows = windows.without_padded()
        scores = self._single_scores(windows, quiet)
        scores["fused"] = self.normality_.fused_score(scores)
        return WindowScores(windows, {m: s.cpu().numpy() for m, s in scores.items()})

    def decision_function(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Anomaly scores :math:`[W]` of :meth:`windows`; higher is more abnormal.

        Args:
            mode: One of ``assignment`` (the paper's: log-probability of the soft assignment),
                ``max`` (one minus the largest soft assignment), ``latent``, ``reconstruction``,
                ``nearest``, ``fused``; default: the option ``mode``.
        """
        mode = self.scoring_mode(mode)
        return self.window_scores(tracks).scores[mode]

    def score_samples(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Log-densities :math:`[W]` of :meth:`windows`; higher is more normal.

        With augmentations, the mean of the log-densities of a window's views.

        Args:
            mode: ``"assignment"`` (default, section 3.4 of the paper) or ``"latent"``: the modes
                that are densities.

        Raises:
            InputError: A mode that is no density.
        """
        self.check_fitted()
        mode = "assignment" if mode is None else mode
        if mode not in ("assignment", "latent"):
            raise InputError(f"mode {mode!r} has no density, expected assignment or latent")
        return -self.decision_function(tracks, mode)

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
            return self.assignment_.soft_assignment(latent).cpu().numpy()

    @torch.no_grad()
    def places(self, windows: PoseWindows) -> tuple[np.ndarray, np.ndarray]:
        r"""Where windows lie: among the clusters, and among other windows.

        Args:
            windows: Of poses of the detector's skeleton, e.g. some of :meth:`windows`; taken as they
                are, without augmentation.

        Returns:
            Soft assignments (eq. 1) :math:`[W, K]`, and the coordinates in which mode ``nearest``
            measures distances, :math:`[W, d]`; both float64.
        """
        self.check_fitted()
        assignment, nearest = [], []
        for batch, count in self._full_batches(windows):
            encoded = self._encode_batch(batch, 0)
            assignment.append(encoded.log_p.double().exp()[:count])
            nearest.append(self.normality_.project(encoded).nearest.double()[:count])
        dims = self.normality_.nearest.basis.size(1)
        return _stack(assignment, self.options_.clusters), _stack(nearest, dims)

    def joint_scores(self, tracks: PoseTracks, mode: str | None = None) -> np.ndarray:
        r"""Each joint's share in the window's score, :math:`[W, V]`; rows sum to one.

        The sum over frames of :meth:`input_shares` of :meth:`windows`.
        """
        shares = self._input_shares(self.windows(tracks), mode)
        return _stack((one.sum(1) for one in shares), self.skeleton_.num_joints)

    def input_shares(self, windows: PoseWindows, mode: str | None = None) -> np.ndarray:
        r"""Each joint's and frame's share in a window's score, :math:`[W, T, V]`; each sums to one.

        :math:`|x \cdot \partial s / \partial x|` of the anomaly score :math:`s` with respect to the
        network's input :math:`x`, summed over its views and the joint's own channels (coordinates
        and features; motion channels are the whole person's, the same at every joint). Where the
        score does not depend on the input at all, every share is the same.

        Args:
            windows: Some of :meth:`windows`.
            mode: As in :meth:`decision_function`.
        """
        self.check_fitted()
        shape = (self.options_.length, self.skeleton_.num_joints)
        return _stack(self._input_shares(windows, mode), *shape)

    def _input_shares(self, windows: PoseWindows, mode: str | None) -> Iterator[Tensor]:
        """Batch for batch what :meth:`input_shares` gives."""
        mode = self._mode(mode)
        own = self.dims_ + self.num_features_
        for batch in self._loader(windows):
            size = (batch.num_graphs, self.options_.length, self.skeleton_.num_joints)
            share = torch.zeros(size, device=batch.x.device)
            views = [self._input(batch, c).requires_grad_(True) for c in range(self._choices)]
            with torch.enable_grad():
                scores = _of_views([self._scores_of_input(x) for x in views])
                scores["fused"] = self.normality_.fused_score(scores)
                gradients = torch.autograd.grad(scores[mode].sum(), views)
            for choice, (x, gradient) in enumerate(zip(views, gradients, strict=True)):
                part = (gradient * x).detach()[..., :own].abs().sum(3)
                share += self.pipeline_.augment.to_source(part, choice)
            # Added before the division: no more than rounding where there is any gradient.
            share = share.clamp(min=1e-30)
            yield share / share.sum((1, 2), keepdim=True)

    def _scores_of_input(self, x: Tensor) -> dict[str, Tensor]:
        encoded = encode_input(self.model_, self.assignment_, x, self.precision_)
        return self.normality_.single_scores(self.normality_.project(encoded))

    @property
    def _choices(self) -> int:
        """The first augmentations: the views of a window that are scored."""
        return self.pipeline_.augment.num_scored

    def _loader(self, windows: PoseWindows) -> WindowLoader:
        device = next(self.model_.parameters()).device
        return WindowLoader(windows, batch_size=_score_batch(device), device=device)

    def _full_batches(self, windows: PoseWindows) -> Iterator[tuple[Batch, int]]:
        """Batches of one size, and how many windows of each count: the last is filled with others.

        Kernels are chosen, and split, by the size of a batch, and round differently. With one size
        for all a window has the same score whatever is scored with it.
        """
        loader = self._loader(windows)
        order = torch.arange(len(windows), device=loader.device)
        for index in order.split(loader.batch_size):
            if len(index):
                missing = loader.batch_size - len(index)
                yield loader.gather(pad(index, (0, missing))), len(index)

    def _latents(self, tracks: PoseTracks) -> Tensor:
        loader = self._loader(self.windows(tracks))
        return latents(self.model_, self.pipeline_, loader, self.precision_)

    def _encode(self, batches: Iterable[Batch], choice: int) -> Iterator[Encoded]:
        """Batch for batch what the network makes of the windows under one augmentation."""
        for batch in batches:
            yield self._encode_batch(batch, choice)

    def _encode_batch(self, batch: Batch, choice: int) -> Encoded:
        x = self._input(batch, choice)
        return encode_input(self.model_, self.assignment_, x, self.precision_)

    def _input(self, batch: Batch, choice: int) -> Tensor:
        """The network's input with one augmentation applied to every window."""
        choices = torch.full((batch.num_graphs,), choice, device=batch.x.device)
        return self.pipeline_.tensor(batch, choices)

    @torch.no_grad()
    def batch_scores(self, windows: PoseWindows) -> dict[str, np.ndarray]:
        r"""Anomaly scores :math:`[W]` of a few windows in every mode, at the least cost.

        Unlike in :meth:`window_scores` batches are no larger than they must be, and all augmentations go
        through the network together: what a window is scored with changes its score by rounding.
        Scores that are not finite numbers stay as they are.
        """
        self.check_fitted()
        parts = []
        for batch in self._loader(windows):
            x = torch.cat([self._input(batch, choice) for choice in range(self._choices)])
            encoded = encode_input(self.model_, self.assignment_, x, self.precision_)
            copies = self.normality_.single_scores(self.normality_.project(encoded))
            parts.append({m: of_views(m, s.view(self._choices, -1)) for m, s in copies.items()})
        if not parts:
            return {mode: np.zeros(0) for mode in MODES}
        scores = {mode: torch.cat([part[mode] for part in parts]) for mode in SINGLE}
        scores["fused"] = self.normality_.fused_score(scores)
        return {mode: score.cpu().numpy() for mode, score in scores.items()}

    @torch.no_grad()
    def _single_scores(
        self, windows: PoseWindows, quiet: bool, person: np.ndarray | None = None
    ) -> dict[str, Tensor]:
        """Every direct mode's scores [W], all views of a window together, in flat memory.

        With ``person`` [W] learned windows of the same person are no neighbours.
        """
        normality = self.normality_
        device = next(self.model_.parameters()).device
        own = None if person is None else torch.as_tensor(person).to(device)
        # All of it beforehand: what a batch leaves behind is put where its large temporaries were, and
        # those of the next do not fit there any more.
        scores = {
            mode: torch.zeros(len(windows), dtype=torch.float64, device=device) for mode in SINGLE
        }
        with Progress("scoring", len(windows), "windows", quiet=quiet) as bar:
            done = 0
            for batch, count in self._full_batches(windows):
                points = [
                    normality.project(self._encode_batch(batch, c)) for c in range(self._choices)
                ]
                whose = None
                if own is not None:
                    # What fills the batch up is cut off below, whosever it is.
                    whose = pad(own[done : done + count], (0, batch.num_graphs - count))
                copies = [normality.single_scores(one, whose) for one in points]
                for mode, score in _of_views(copies).items():
                    scores[mode][done : done + count] = score[:count]
                done += count
                bar.update(count)
        # Looked at once, not batch for batch: each look waits for the device.
        bad = ~torch.stack([score.isfinite() for score in scores.values()]).all(0)
        if bool(bad.any()):
            first = int(bad.int().argmax())
            names = windows.table.source.clip_names
            raise InputError(
                f"the score of person {windows.track[first]} from frame {windows.frame[first]} of "
                f"clip {names[windows.clip[first]]!r} is not a finite number, expected poses of "
                "sizes that occur in training"
            )
        return scores

    def fps_mismatch(self, poses: PoseTracks | float) -> str:
        """A sentence where poses, or their frame rate, differ from training's by over 10 %, else ''.

        Windows are counted in frames: at another rate the same movement looks faster or slower.
        """
        self.check_fitted()
        there = _fps(poses) if isinstance(poses, PoseTracks) else poses
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
        checkpoint.save(
            {
                "written_by": __version__,
                "options": {**self.options_.to_dict(), "mode": mode},
                "skeleton": self.skeleton_.to_dict(),
                "dims": self.dims_,
                "num_features": self.num_features_,
                "fps": self.fps_,
                "precision": self.precision_,
                "reconstruction_share": self.reconstruction_share_,
                "statistics": {"mean": self.pipeline_.mean, "std": self.pipeline_.std},
                "model": self.model_.state_dict(),
                "assignment": self.assignment_.state_dict(),
                "normality": self.normality_.state_dict(),
                "person_calibrators": {
                    m: c.state_dict() for m, c in self.person_calibrators_.items()
                },
                "most_normal": self.most_normal_,
                "thresholds": self.thresholds_,
                "alarm": self.alarm_,
            },
            path,
            kind=KIND,
            version=VERSION,
        )

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto") -> GEPC:
        """Reads what :meth:`save` wrote; nothing in it is ever unpickled.

        The parameters (``get_params``) and ``options_`` are the options of the file: those of the fit,
        and the mode that was set when it was saved.

        Raises:
            InputError: No such file, another kind or version of file, contents that do not fit.
        """
        target = pick_device(device)
        state = checkpoint.load(path, kind=KIND, version=VERSION)
        try:
            self = cls(**Options.read(state["options"], str(path)))
            self.check()
            self.options_ = Options(**self.to_dict())
            self.skeleton_ = Skeleton.from_dict(state["skeleton"], f"{path}: skeleton")
            self.dims_, self.num_features_ = int(state["dims"]), int(state["num_features"])
            self.fps_ = float(state["fps"])
            self.precision_ = state["precision"]
            self.reconstruction_share_ = float(state["reconstruction_share"])
            if self.precision_ not in PRECISIONS:
                raise InputError(
                    f"{path} has precision {self.precision_!r}, expected {' or '.join(PRECISIONS)}"
                )
            self.pipeline_ = InputPipeline(
                self.skeleton_, self.dims_, self.num_features_, self.options_
            )
            self.pipeline_.mean = state["statistics"]["mean"]
            self.pipeline_.std = state["statistics"]["std"]
            self.pipeline_.to(target)
            self._build(target)
            self.model_.load_state_dict(state["model"])
            self.assignment_.load_state_dict(state["assignment"])
            self.model_.eval()
            self.assignment_.eval()
            self.normality_ = Normality.from_state_dict(state["normality"], self.options_).to(
                target
            )
            self.person_calibrators_ = {
                mode: TailCalibrator.from_state_dict(one).to(target)
                for mode, one in state["person_calibrators"].items()
            }
            self.most_normal_ = {m: float(v) for m, v in state["most_normal"].items()}
            self.thresholds_ = {mode: float(state["thresholds"][mode]) for mode in MODES}
            # Files from before there were alarms have none.
            self.alarm_ = state.get("alarm")
        except (KeyError, TypeError, AttributeError, RuntimeError, IndexError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path} does not fit together, expected a {KIND}: {reason}") from None
        return self

    # -- inner ---------------------------------------------------------------------------------

    def scoring_mode(self, mode: str | None) -> str:
        """The scoring mode of that name; of ``None`` the option ``mode``.

        Raises:
            InputError: A detector that is not fitted, or an unknown mode.
        """
        self.check_fitted()
        return self._mode(mode)

    def _mode(self, mode: str | None) -> str:
        mode = self.mode if mode is None else mode
        if mode not in MODES:
            raise InputError(f"mode is {mode!r}, expected {' or '.join(MODES)}")
        return mode


def check_detector(detector: object) -> None:
    """Makes sure that something is a fitted detector.

    Raises:
        InputError: It is something else, or not fitted.
    """
    if not isinstance(detector, GEPC):
        raise InputError(f"the detector is of type {type(detector).__name__}, expected a GEPC")
    detector.check_fitted()


def _score_batch(device: torch.device) -> int:
    return _SCORE_BATCH.get(device.type, _SCORE_BATCH["cpu"])


def _of_views(scores: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {mode: of_views(mode, torch.stack([one[mode] for one in scores])) for mode in SINGLE}


def _cat(parts: Iterable[_Tensors]) -> _Tensors:
    """Named tuples of tensors of several batches as one."""
    each = list(parts)
    return type(each[0])(*map(torch.cat, zip(*each, strict=True)))


def _gather(parts: Iterable[_Tensors]) -> _Tensors:
    """Named tuples of tensors of several batches of every rank as one."""
    whole = _cat(parts)
    return type(whole)(*map(distributed.gather, whole))


def _first(make: Callable[[], Normality], device: torch.device) -> Normality:
    """What the first rank makes, on all ranks' devices: the CPU's is what can be sent."""
    if distributed.world() == 1:
        return make()
    return distributed.from_first(lambda: make().to(torch.device("cpu"))).to(device)


def _stack(parts: Iterable[Tensor], *shape: int) -> np.ndarray:
    """Batches of arrays of a shape as one, of no batch an empty one."""
    return np.concatenate([np.zeros((0, *shape), np.float32), *(p.cpu().numpy() for p in parts)])


def _share(windows: PoseWindows) -> PoseWindows:
    """This rank's."""
    return windows.subset(distributed.share(len(windows)))


def _fps(tracks: PoseTracks) -> float:
    known = tracks.fps[~np.isnan(tracks.fps)]
    return float(np.median(known)) if len(known) else float("nan")


def _covered(windows: PoseWindows, score: Tensor) -> Tensor:
    """Person-frame scores of the rows that (full) windows cover, added up on the CPU.

    There equal runs give equal sums: a GPU adds in any order.
    """
    rows = person_frame_scores(
        score.cpu(),
        torch.as_tensor(windows.first),
        windows.length,
        len(windows.table.frame),
    )
    return rows[~torch.isnan(rows)]
