"""Models of normal windows, which give anomaly scores (section 3.4 of the paper)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gepc_geo.density.alterations import AlterationClassifier
from gepc_geo.density.mixture import DirichletProcessMixture, ilr
from gepc_geo.density.neighbours import NearestDistance
from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.options import Options
from gepc_geo.utils.progress import progress_bar

#: Parts of :math:`N` windows by name, from the encoder: ``window``, the input without the
#: confidence :math:`[N, D]`; ``altered``, its altered copies :math:`[N, A, D]`. With a network:
#: ``latent`` :math:`[N, D_z]`; ``log_p``, the log of the soft assignments :math:`[N, K]`;
#: ``residual``, input less reconstruction :math:`[N, S V C]`, 0 at unseen joints.
Parts = dict[str, Tensor]

#: The most principal components in modes latent and reconstruction.
PRINCIPAL_COMPONENTS = 64
#: Modes that score with a mixture.
_MIXED = ("assignment", "latent", "reconstruction")
#: The modes of these that whiten their part, and the name of the part.
_WHITENED = {"latent": "latent", "reconstruction": "residual"}
# The most old rows, and the most new rows, that mixtures are refitted to.
_REFIT = 10_000


def combine_views(mode: str, scores: Tensor) -> Tensor:
    r"""Scores of windows from scores of their views.

    Mode ``nearest`` takes the lowest score, other modes the mean.

    Args:
        mode: A scoring mode.
        scores: :math:`[A, N]`, a row for each view.

    Returns:
        :math:`[N]`.
    """
    return scores.amin(0) if mode == "nearest" else scores.mean(0)


class Whitening:
    r"""Principal components scaled to unit variance, and the distance from their subspace.

    Rows of :math:`[N, D]` become :math:`[N, d + 1]`: :math:`d` whitened components, and the
    standardised cube root of the squared distance from their subspace. The cube root of a
    chi-square variable is close to normal (Wilson and Hilferty 1931). A density of the components
    alone would miss deviations from the subspace, where normal rows hardly vary.

    Args:
        max_dims: The most components; directions without variance are dropped.
    """

    def __init__(self, max_dims: int) -> None:
        self.max_dims = max_dims
        self.mean = torch.zeros(0)
        self.basis = torch.zeros(0, 0)
        self.deviation = torch.zeros(0)
        # Mean of the squared distance, and mean and deviation of its cube root; empty if it is 0.
        self.rest = torch.zeros(0)

    def fit(self, x: Tensor) -> Whitening:
        """Measures mean, principal components and distances of the rows of ``x`` :math:`[N, D]`."""
        x = x.double()
        self.mean = x.mean(0)
        centred = x - self.mean
        # The smaller of the two Gram matrices has the same eigenvalues.
        wide = x.size(1) > len(x)
        gram = centred @ centred.T if wide else centred.T @ centred
        values, vectors = torch.linalg.eigh(gram / len(x))
        values, vectors = values.flip(0), vectors.flip(1)
        # Less than the rank of the data: the last directions of a small sample are noise.
        rank = int((values > 1e-6 * values[0].clamp(min=1e-12)).sum())
        keep = max(1, min(self.max_dims, rank, len(x) - 1))
        values, vectors = values[:keep].clamp(min=1e-12), vectors[:, :keep]
        self.basis = torch.nn.functional.normalize(centred.T @ vectors, dim=0) if wide else vectors
        self.deviation = values.sqrt()
        self.rest = torch.zeros(0, dtype=x.dtype, device=x.device)
        rest = _rest(centred, centred @ self.basis)
        typical = rest.mean()
        if bool(typical > 1e-6 * centred.square().sum(1).mean()):
            root = _cube_root(rest / typical)
            self.rest = torch.stack([typical, root.mean(), root.std().clamp(min=1e-6)])
        return self

    def __call__(self, x: Tensor) -> Tensor:
        """Whitens rows :math:`[N, D]`: :math:`[N, d + 1]` float64."""
        centred = x.double() - self.mean
        parts = centred @ self.basis
        whitened = parts / self.deviation
        if not len(self.rest):
            return whitened
        typical, mean, deviation = self.rest
        root = _cube_root(_rest(centred, parts) / typical)
        return torch.cat([whitened, ((root - mean) / deviation).unsqueeze(1)], dim=1)

    def to(self, device: torch.device) -> Whitening:
        """Moves all tensors to a device."""
        for name, value in self.state_dict().items():
            setattr(self, name, value.to(device))
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """The state as tensors."""
        return {
            "mean": self.mean,
            "basis": self.basis,
            "deviation": self.deviation,
            "rest": self.rest,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores the state from :meth:`state_dict`."""
        for name in self.state_dict():
            setattr(self, name, state[name])


def _rest(centred: Tensor, parts: Tensor) -> Tensor:
    """Squared distances of rows from the subspace in which their coordinates are ``parts``."""
    return centred.square().sum(1) - parts.square().sum(1)


def _cube_root(x: Tensor) -> Tensor:
    # Near 0 rounding gives negative numbers, and the slope is infinite.
    return x.clamp(min=1e-9).pow(1 / 3)


class Normality:
    r"""A model of normal windows of one length: scores and calibration for each scoring mode.

    It is fitted in two steps to save memory: :meth:`measure` on the wide :data:`Parts` of a sample,
    then :meth:`fit` on the points of all windows, from :meth:`project`. Points are rows
    :math:`[N, d]` by mode: windows in principal components, for ``altered`` with their copies
    :math:`[N, A + 1, d]`; whitened latents and residuals; log-ratios of soft assignments; for
    ``max`` the log of the largest probability, :math:`[N, 1]`.

    Args:
        options: The mixture options and the seed count.
        modes: Scoring modes without ``combined``.
    """

    def __init__(self, options: Options, modes: Sequence[str]) -> None:
        self.options, self.modes = options, tuple(modes)
        self.whitening = {
            mode: Whitening(PRINCIPAL_COMPONENTS) for mode in modes if mode in _WHITENED
        }
        self.mixtures = {mode: self._mixture(mode) for mode in modes if mode in _MIXED}
        self.nearest = NearestDistance()
        self.altered = AlterationClassifier(options.random_state)
        self.calibrators: dict[str, TailCalibrator] = {}

    def _mixture(self, mode: str) -> DirichletProcessMixture:
        # Latents and residuals are not probabilities: they always have Gaussians.
        dirichlet = mode == "assignment" and self.options.density == "dirichlet"
        return DirichletProcessMixture(
            self.options.components,
            components="dirichlet" if dirichlet else "gaussian",
            random_state=self.options.random_state,
        )

    def measure(self, parts: Parts) -> Normality:
        """Fits principal components to the parts of a sample of the training windows."""
        for mode, whitening in self.whitening.items():
            whitening.fit(parts[_WHITENED[mode]])
        self.nearest.measure(parts["window"], self.options.random_state)
        return self

    def project(self, parts: Parts) -> dict[str, Tensor]:
        """Points of windows by mode, for the modes whose parts are given."""
        points = {
            mode: whitening(parts[_WHITENED[mode]])
            for mode, whitening in self.whitening.items()
            if _WHITENED[mode] in parts
        }
        if "window" in parts:
            points["nearest"] = self.nearest.project(parts["window"])
        if "altered" in parts:
            rows = parts["altered"]
            copies = torch.unflatten(self.nearest.project(rows.flatten(0, 1)), 0, rows.shape[:2])
            points["altered"] = torch.cat([points["nearest"][:, None], copies], dim=1)
        if "log_p" in parts:
            log_p = parts["log_p"].double()
            points["assignment"] = (
                ilr(log_p) if self.options.density == "gaussian-ilr" else log_p.exp()
            )
            points["max"] = log_p.amax(1, keepdim=True)
        return points

    def fit(
        self,
        points: dict[str, Tensor],
        windows: dict[str, Tensor],
        person: Tensor,
        quiet: bool = True,
    ) -> Normality:
        """Fits mixtures to all training windows, and window modes to a sample and held-out windows.

        Args:
            points: Points of all training windows.
            windows: Points of the sample and the held-out windows in the window modes.
            person: Person of each row of ``windows``, :math:`[N]`.
            quiet: Show no progress. (default: ``True``)
        """
        rows = max((len(points[mode]) for mode in self.mixtures), default=0)
        name = f"fitting mixtures to {rows:,} windows"
        with progress_bar(name, len(self.mixtures), "mixtures", quiet=quiet) as bar:
            for mode, mixture in self.mixtures.items():
                mixture.fit(points[mode])
                bar.update()
        self.nearest.fit(windows["nearest"], person)
        self.altered.fit(windows["altered"], person)
        return self

    @torch.no_grad()
    def extended(self, points: dict[str, Tensor], person: Tensor) -> Normality:
        """A copy that is fitted to further windows too.

        The windows of the first fit are not stored. Mixtures are refitted to rows drawn from them
        (as many as in the first fit, at most 10,000) and to new rows, the classifier to rows that
        it stored and new rows. The reference set gains rows. Whitening and calibration do not
        change.

        Args:
            points: Points of the new windows.
            person: Person of each new window, :math:`[N]`, numbers from 0.
        """
        more = Normality(self.options, self.modes)
        more.whitening, more.calibrators = self.whitening, dict(self.calibrators)
        more.altered = self.altered.extended(points["altered"], person)
        more.nearest = self.nearest.extended(points["nearest"], person)
        for mode, mixture in self.mixtures.items():
            new = points[mode]
            new = new[:: -(-len(new) // _REFIT)]
            count = round(float((mixture.weight_concentration_[0] - 1).sum()))
            drawn, _ = mixture.sample(max(mixture.n_components, min(count, _REFIT)))
            rows = torch.cat([drawn.to(new), new])
            responsibilities = mixture.predict_proba(rows)
            refitted = DirichletProcessMixture(**mixture.state_dict()["parameters"])
            more.mixtures[mode] = refitted.fit(rows, responsibilities=responsibilities)
        return more

    def calibrate(self, scores: dict[str, Tensor]) -> None:
        """Calibrates each mode on scores :math:`[N]` of windows of held-out people."""
        self.calibrators = {mode: TailCalibrator().fit(scores[mode]) for mode in self.modes}

    def with_calibration(self, scores: dict[str, Tensor]) -> Normality:
        """A copy, calibrated on scores :math:`[N]` of further normal windows too."""
        extended = {mode: self.calibrators[mode].extended(one) for mode, one in scores.items()}
        changed = copy.copy(self)
        changed.calibrators = self.calibrators | extended
        return changed

    def scores(self, points: dict[str, Tensor], person: Tensor | None = None) -> dict[str, Tensor]:
        """Anomaly scores :math:`[N]` float64 by mode; higher is more abnormal.

        Args:
            points: Points of windows by mode.
            person: Person of each window by the numbers of :meth:`fit`, :math:`[N]`: a window is
                scored without the reference windows of its person, and by a classifier that was not
                trained on the person. (default: :obj:`None`, with all)
        """
        return {mode: self._score(mode, rows, person) for mode, rows in points.items()}

    def _score(self, mode: str, rows: Tensor, person: Tensor | None) -> Tensor:
        if mode == "nearest":
            return self.nearest(rows, person)
        if mode == "altered":
            return self.altered(rows, person)
        if mode == "max":
            # 1 - max p, from the log: precise for probabilities near 1.
            return -torch.expm1(rows[:, 0])
        return -self.mixtures[mode].unchecked_log_density(rows)

    def tails(self, scores: dict[str, Tensor]) -> dict[str, Tensor]:
        r""":math:`-\log` of the tail probabilities of scores, by mode."""
        return {mode: -self.calibrators[mode].log_tail(score) for mode, score in scores.items()}

    def to(self, device: torch.device) -> Normality:
        """Moves all tensors to a device."""
        parts: list[Any] = [self.whitening, self.mixtures, self.calibrators]
        for part in (part for group in parts for part in group.values()):
            part.to(device)
        self.nearest.to(device)
        self.altered.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """The state as tensors, numbers and strings."""
        groups = ("whitening", "mixtures", "calibrators")
        state: dict[str, Any] = {
            name: {key: part.state_dict() for key, part in getattr(self, name).items()}
            for name in groups
        }
        return state | {
            "nearest": self.nearest.state_dict(),
            "altered": self.altered.state_dict(),
        }

    @classmethod
    def from_state_dict(
        cls, state: dict[str, Any], options: Options, modes: Sequence[str]
    ) -> Normality:
        """Restores a model from :meth:`state_dict`."""
        self = cls(options, modes)
        for mode, whitening in self.whitening.items():
            whitening.load_state_dict(state["whitening"][mode])
        self.mixtures = {
            mode: DirichletProcessMixture.from_state_dict(state["mixtures"][mode])
            for mode in self.mixtures
        }
        self.nearest.load_state_dict(state["nearest"])
        self.altered.load_state_dict(state["altered"])
        self.calibrators = {
            m: TailCalibrator.from_state_dict(c) for m, c in state["calibrators"].items()
        }
        return self
