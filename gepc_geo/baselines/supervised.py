"""Baselines that use the classes of training clips (section 4.2 of the paper)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.baselines.base import WindowBaseline, inputs
from gepc_geo.density.mixture import DirichletProcessMixture
from gepc_geo.errors import InputError
from gepc_geo.nn import STGCNBlock
from gepc_geo.nn.norm import RowNorm
from gepc_geo.options import Options
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.gradients import CLIP_NORM
from gepc_geo.training.precision import autocast, decide
from gepc_geo.utils.refitting import refitted
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

# Channels, in units of 4 `hidden`, and temporal stride of each block.
_BLOCKS = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 1))
_DROPOUT = 0.1
# Share of steps with a rising learning rate.
_WARM_UP = 0.1


class ActionNetwork(nn.Module):
    r"""Shallow ST-GCN (Yan et al., AAAI 2018) with six blocks.

    A linear layer maps the mean over frames and joints to logits. Blocks are
    :class:`~gepc_geo.nn.STGCNBlock` with the adjacency of the skeleton. Channels are 4, 4, 8, 8, 16
    and 16 times ``hidden``. The second and the fourth block halve the number of frames.

    Args:
        pipeline: Pipeline with the joints and channels of the input.
        classes: Number of classes, :math:`K`.
        options: Options with ``hidden`` and ``kernel_size``.

    Shapes:
        - **input:** :math:`(B, T, V, C)`
        - **output:** logits :math:`(B, K)`
    """

    adj: Tensor

    def __init__(self, pipeline: InputPipeline, classes: int, options: Options) -> None:
        super().__init__()
        joints, channels = pipeline.skeleton.num_joints, pipeline.num_channels
        self.register_buffer("adj", pipeline.skeleton.adjacency())
        self.norm = RowNorm(joints * channels)
        sizes = [channels, *(4 * options.hidden * width for width, _ in _BLOCKS)]
        self.blocks = nn.ModuleList(
            STGCNBlock(
                size, wider, kernel_size=options.kernel_size, stride=stride, dropout=_DROPOUT
            )
            for (size, wider), (_, stride) in zip(itertools.pairwise(sizes), _BLOCKS, strict=True)
        )
        self.classify = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Computes the logits of windows."""
        x = self.norm(x.flatten(2).flatten(0, 1)).view(x.shape)
        for block in self.blocks:
            x = block(x, self.adj)
        logits: Tensor = self.classify(x.mean((1, 2)))
        return logits


class ActionClassifier(WindowBaseline):
    r"""One minus the largest softmax output of a classifier of the normal classes.

    An :class:`ActionNetwork` classifies windows by the class of their clip (``clip_label``). It is
    trained with cross-entropy and random augmentations for ``budget`` window passes, or 200,000
    without a budget.

    Args:
        options: Options of a detector. Training uses ``budget``, ``batch_size``, ``lr`` (peak of a
            cosine), ``weight_decay``, ``precision``, ``hidden``, ``kernel_size`` and
            ``random_state``. (default: all defaults)

    Attributes:
        classes\_: Names of the classes, sorted.
        model\_: The trained :class:`ActionNetwork`.
    """

    supervised: ClassVar[bool] = True

    def _fit(self, windows: PoseWindows) -> None:
        options, device = self._options, self.pipeline_.mean.device
        labels = _labels(windows)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                "training clips must have at least 2 classes for a classifier, "
                f"got only {str(self.classes_[0])!r}"
            )
        label = torch.from_numpy(numbers).to(device)
        self.precision_ = decide(options.precision, device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(options.random_state)
            self.model_ = ActionNetwork(self.pipeline_, len(self.classes_), options).to(device)
            self._train(windows, label)
        self.model_.eval()

    def _train(self, windows: PoseWindows, label: Tensor) -> None:
        options, device = self._options, label.device
        size = min(options.batch_size, len(windows))
        steps = math.ceil(self._passes / size)
        optimizer = torch.optim.Adam(
            self.model_.parameters(), lr=options.lr, weight_decay=options.weight_decay, fused=True
        )
        generator = torch.Generator().manual_seed(options.random_state)
        loader = WindowLoader(windows, size, device=device)
        for step, index in enumerate(itertools.islice(_batches(loader, generator), steps)):
            batch = loader.gather(index)
            done = (step + 1) / steps
            for group in optimizer.param_groups:
                group["lr"] = options.lr * min(done / _WARM_UP, (1 + math.cos(math.pi * done)) / 2)
            count = self.pipeline_.augment.num_choices
            choice = torch.randint(count, (batch.num_graphs,), device=device)
            logits = self._logits(self.pipeline_.tensor(batch, choice))
            loss = F.cross_entropy(logits, label[batch.window])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model_.parameters(), CLIP_NORM)
            optimizer.step()
        if not all(bool(weight.isfinite().all()) for weight in self.model_.parameters()):
            raise InputError(
                f"weights of the classifier must be finite, got NaN or infinity after {steps} "
                f"steps (lower the learning rate {options.lr:.3g})"
            )

    def _logits(self, x: Tensor) -> Tensor:
        with autocast(x.device, self.precision_):
            logits: Tensor = self.model_(x).float()
        return logits

    @torch.no_grad()
    def log_softmax(self, windows: PoseWindows) -> Tensor:
        r"""Log of the mean softmax over the views of each window, :math:`[W, K]` float64.

        Raises:
            InputError: The classifier is not fitted.
        """
        self.check_fitted()
        count = self.pipeline_.augment.num_scored
        views = torch.stack([self._log_softmax(windows, choice) for choice in range(count)])
        return views.logsumexp(0) - math.log(count)

    def _log_softmax(self, windows: PoseWindows, choice: int) -> Tensor:
        logits = [torch.zeros(0, len(self.classes_), device=self.pipeline_.mean.device)]
        logits += [self._logits(x.tensor()) for x in inputs(self.pipeline_, windows, choice)]
        return torch.cat(logits).double().log_softmax(1)

    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        # The sum of all other outputs keeps the digits of near-certain windows.
        others = self.log_softmax(windows).sort(1, descending=True).values[:, 1:]
        score: np.ndarray = others.exp().sum(1).cpu().numpy()
        return score


class SoftmaxDirichlet(WindowBaseline):
    r"""Normality score of section 3.4 of the paper on the softmax of a classifier.

    The score is minus the log density of a Dirichlet process mixture with Dirichlet components,
    fitted to the softmax outputs of the training windows.

    Args:
        options: Options of :class:`ActionClassifier`, and ``components``. (default: all defaults)
        classifier: A fitted classifier to use; without it, :meth:`fit` trains one.
            (default: :obj:`None`)

    Attributes:
        classifier\_: The classifier in use.
        mixture\_: The fitted :class:`~gepc_geo.density.mixture.DirichletProcessMixture`.
    """

    supervised: ClassVar[bool] = True

    def __init__(
        self, options: Options | None = None, classifier: ActionClassifier | None = None
    ) -> None:
        super().__init__(options)
        self.classifier = classifier

    @classmethod
    def from_classifier(cls, classifier: ActionClassifier) -> SoftmaxDirichlet:
        """Makes a baseline with a fitted classifier and its options."""
        return cls(classifier.options, classifier)

    def fit(
        self, tracks: PoseTracks, y: object = None, *, device: str | torch.device = "auto"
    ) -> SoftmaxDirichlet:
        """Trains the classifier, if none is given, then fits the mixture to its outputs.

        Args:
            tracks: Poses of normal behaviour with classes; with a classifier, its training poses.
            y: Not used; for compatibility with scikit-learn.
            device: Device of the training; a given classifier is not moved. (default: ``"auto"``)

        Returns:
            The fitted baseline.

        Raises:
            InputError: Training clips have fewer than 2 classes, or a clip has none; same as
                :meth:`ActionClassifier.fit`; or the given classifier is not fitted.
        """
        with refitted(self) as fresh:
            if self.classifier is None:
                fresh.classifier_ = ActionClassifier(self._options).fit(tracks, device=device)
            else:
                self.classifier.check_fitted()
                fresh.classifier_ = self.classifier
            pipeline = fresh.classifier_.pipeline_
            fresh.fit_windows(pipeline, pipeline.training_windows(tracks))
        return self

    def _fit(self, windows: PoseWindows) -> None:
        options = self._options
        self.mixture_ = DirichletProcessMixture(
            min(options.components, len(windows)),
            components="dirichlet",
            random_state=options.random_state,
        ).fit(self.classifier_.log_softmax(windows).exp())

    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        density = self.mixture_.log_density(self.classifier_.log_softmax(windows).exp())
        score: np.ndarray = -density.cpu().numpy()
        return score


def _batches(loader: WindowLoader, generator: torch.Generator) -> Iterator[Tensor]:
    """Yields shuffled full batches without end, as in the training of a detector."""
    count = len(loader.windows)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % loader.batch_size].split(loader.batch_size)


def _labels(windows: PoseWindows) -> np.ndarray:
    """Class of the clip of each window, [W]; raises if a clip has no class."""
    source = windows.table.source
    labels: np.ndarray = np.array(source.clip_label)[windows.clip]
    missing = labels == ""
    if missing.any():
        name = source.clip_names[int(windows.clip[int(np.argmax(missing))])]
        raise InputError(f"every training clip must have a class, got none for {name!r}")
    return labels
