"""From windows, latents and soft assignments to anomaly scores (section 3.4 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gepc_geo.density.alterations import AlterationClassifier
from gepc_geo.density.mixture import DirichletProcessMixture, ilr
from gepc_geo.density.neighbours import NearestDistance
from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.options import Options

#: What the encoder makes of :math:`N` windows, by name, a row for each window: ``window``, the input without
#: the confidence :math:`[N, D]`; ``altered``, its altered copies :math:`[N, A, D]`; with a network ``latent``
#: :math:`[N, D_z]`, ``log_p``, the log soft assignments :math:`[N, K]`, and ``residual``, input less
#: reconstruction :math:`[N, S V C]`, 0 at joints not seen.
Parts = dict[str, Tensor]

#: Modes whose score is that of a mixture.
_MIXED = ("assignment", "latent", "reconstruction")
#: Those of them that whiten what the network makes first, and what that is.
_WHITENED = {"latent": "latent", "reconstruction": "residual"}
# The most rows of what was learned, and of what is new, that mixtures are refitted to.
_DRAWN = 10_000


def of_views(mode: str, scores: Tensor) -> Tensor:
    r"""A mode's scores of windows, from those of their views (the augmentations that are scored).

    Of ``nearest`` the view that comes nearest counts, as the nearest neighbour does; what other modes
    say of the views is averaged.

    Args:
        mode: A scoring mode.
        scores: :math:`[A, N]`, a row for each view.
    """
    return scores.amin(0) if mode == "nearest" else scores.mean(0)


class Whitening:
    r"""Principal components scaled to unit variance, and what they leave over.

    Rows of :math:`[N, D]` become :math:`[N, d + 1]`: :math:`d` whitened components, and the
    standardised cube root of the squared distance from the subspace they span, which is close to
    normal where the distance is close to chi-square (Wilson and Hilferty 1931). A density on the
    components alone would not see what sticks out of the subspace, where normal rows hardly vary.

    Args:
        max_dims: The most components to keep; directions without variance are dropped.
    """

    def __init__(self, max_dims: int) -> None:
        self.max_dims = max_dims
        self.mean = torch.zeros(0)
        self.basis = torch.zeros(0, 0)
        self.deviation = torch.zeros(0)
        # What is left over: its mean square, and of its cube root mean and deviation; empty: nothing.
        self.rest = torch.zeros(0)

    def fit(self, x: Tensor) -> Whitening:
        """Measures mean, principal components and what is left over of the rows of ``x``."""
        x = x.double()
        self.mean = x.mean(0)
        centred = x - self.mean
        # The smaller of the two Gram matrices has the same eigenvalues.
        wide = x.size(1) > len(x)
        gram = centred @ centred.T if wide else centred.T @ centred
        values, vectors = torch.linalg.eigh(gram / len(x))
        values, vectors = values.flip(0), vectors.flip(1)
        # Fewer than the rank of the data: the last directions of a small sample are noise.
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
        centred = x.double() - self.mean
        parts = centred @ self.basis
        whitened = parts / self.deviation
        if not len(self.rest):
            return whitened
        typical, mean, deviation = self.rest
        root = _cube_root(_rest(centred, parts) / typical)
        return torch.cat([whitened, ((root - mean) / deviation).unsqueeze(1)], dim=1)

    def to(self, device: torch.device) -> Whitening:
        """Moves everything measured to a device."""
        for name, value in self.state_dict().items():
            setattr(self, name, value.to(device))
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Plain tensors."""
        return {
            "mean": self.mean,
            "basis": self.basis,
            "deviation": self.deviation,
            "rest": self.rest,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over what :meth:`state_dict` gave."""
        for name in self.state_dict():
            setattr(self, name, state[name])


def _rest(centred: Tensor, parts: Tensor) -> Tensor:
    """Squared distance of rows from the subspace in which they have these coordinates."""
    return centred.square().sum(1) - parts.square().sum(1)


def _cube_root(x: Tensor) -> Tensor:
    # Away from 0, where rounding makes negative numbers and the slope is infinite.
    return x.clamp(min=1e-9).pow(1 / 3)


class Normality:
    r"""What is normal among windows of one length: a density for each scoring mode, and its calibration.

    Fitted in two steps, so that no more than a sample of what is wide is ever held: :meth:`measure` on a
    sample of :data:`Parts`, then :meth:`fit` on the :meth:`project` of every window.
    Points, which :meth:`project` gives, are rows :math:`[N, d]` by mode: in the coordinates of neighbours
    (of ``altered`` each copy, :math:`[N, A + 1, d]`), whitened, log-ratios of soft assignments; of ``max``
    the logarithm of the largest, :math:`[N, 1]`.

    Args:
        options: Mixture options and the seed.
        modes: Scoring modes that there are parts for; ``combined``, which is made of the others' tail
            probabilities, is none of them.
    """

    def __init__(self, options: Options, modes: Sequence[str]) -> None:
        self.options, self.modes = options, tuple(modes)
        self.whitening = {
            mode: Whitening(options.whitened_dims) for mode in modes if mode in _WHITENED
        }
        self.mixtures = {mode: self._mixture(mode) for mode in modes if mode in _MIXED}
        self.nearest = NearestDistance()
        self.altered = AlterationClassifier(options.random_state)
        self.calibrators: dict[str, TailCalibrator] = {}

    def _mixture(self, mode: str) -> DirichletProcessMixture:
        # Latents and residuals are no proportions: Gaussians in every variant.
        dirichlet = mode == "assignment" and self.options.density == "dirichlet"
        return DirichletProcessMixture(
            self.options.components,
            components="dirichlet" if dirichlet else "gaussian",
            covariance_type=self.options.covariance,
            random_state=self.options.random_state,
        )

    def measure(self, parts: Parts) -> Normality:
        """Learns principal components from a sample of the training windows."""
        for mode, whitening in self.whitening.items():
            whitening.fit(parts[_WHITENED[mode]])
        self.nearest.measure(parts["window"], self.options.random_state)
        return self

    def project(self, parts: Parts) -> dict[str, Tensor]:
        """Windows in the coordinates of scores, by mode: of the modes that all parts are there for."""
        points = {
            mode: whitening(parts[_WHITENED[mode]])
            for mode, whitening in self.whitening.items()
            if _WHITENED[mode] in parts
        }
        if "window" in parts:
            points["nearest"] = self.nearest.project(parts["window"])
        if "altered" in parts:
            rows = parts["altered"]
            copies = self.nearest.project(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
            points["altered"] = torch.cat([points["nearest"][:, None], copies], dim=1)
        if "log_p" in parts:
            log_p = parts["log_p"].double()
            points["assignment"] = (
                ilr(log_p) if self.options.density == "gaussian-ilr" else log_p.exp()
            )
            points["max"] = log_p.amax(1, keepdim=True)
        return points

    def fit(
        self, points: dict[str, Tensor], windows: dict[str, Tensor], person: Tensor
    ) -> Normality:
        """Fits mixtures to all training windows, neighbours and the classifier to a sample and held-out windows.

        Args:
            points: All training windows, from :meth:`project`.
            windows: :data:`~gepc_geo.options.WINDOW_MODES` of :meth:`project` of the sample and held-out windows.
            person: The person of each of these, :math:`[N]`.
        """
        for mode, mixture in self.mixtures.items():
            mixture.fit(points[mode])
        self.nearest.fit(windows["nearest"], person)
        self.altered.fit(windows["altered"], person)
        return self

    @torch.no_grad()
    def extended(self, points: dict[str, Tensor], person: Tensor) -> Normality:
        """A copy that knows more windows beside those it was fitted to, which are not at hand any more.

        Mixtures are refitted to rows drawn from themselves (as many as they were fitted to, at most
        10,000) and the new ones together, and so is the classifier to rows that it kept; neighbours gain
        rows. Whitening and calibration stay.

        Args:
            points: The new windows, from :meth:`project`.
            person: Whose each is, :math:`[N]`, numbers from 0.
        """
        more = Normality(self.options, self.modes)
        more.whitening, more.calibrators = self.whitening, dict(self.calibrators)
        more.altered = self.altered.extended(points["altered"], person)
        more.nearest = self.nearest.extended(points["nearest"], person)
        for mode, mixture in self.mixtures.items():
            new = points[mode]
            new = new[:: -(-len(new) // _DRAWN)]
            count = round(float((mixture.weight_concentration_[0] - 1).sum()))
            drawn, _ = mixture.sample(max(mixture.n_components, min(count, _DRAWN)))
            rows = torch.cat([drawn.to(new), new])
            start = mixture.predict_proba(rows)
            again = DirichletProcessMixture(**mixture.state_dict()["parameters"])
            more.mixtures[mode] = again.fit(rows, responsibilities=start)
        return more

    def calibrate(self, scores: dict[str, Tensor]) -> None:
        """Learns each mode's distribution on windows of people who were not learned from."""
        self.calibrators = {mode: TailCalibrator().fit(scores[mode]) for mode in self.modes}

    def extend_calibration(self, scores: dict[str, Tensor]) -> None:
        """Joins scores of more normal windows to each mode's distribution."""
        for mode, score in scores.items():
            self.calibrators[mode] = self.calibrators[mode].extended(score)

    def scores(self, points: dict[str, Tensor], person: Tensor | None = None) -> dict[str, Tensor]:
        """Anomaly scores [N] (float64, higher is more abnormal) of the points' modes.

        Args:
            points: From :meth:`project`.
            person: Whose each is, :math:`[N]`, by the numbers of :meth:`fit`: nobody is
                their own neighbour then, or scored by a classifier that has learned from them.
        """
        return {mode: self._score(mode, rows, person) for mode, rows in points.items()}

    def _score(self, mode: str, rows: Tensor, person: Tensor | None) -> Tensor:
        if mode == "nearest":
            return self.nearest(rows, person)
        if mode == "altered":
            return self.altered(rows, person)
        if mode == "max":
            # 1 - max p, from the log so that near-certain windows keep an order.
            return -torch.expm1(rows[:, 0])
        return -self.mixtures[mode]._log_density(rows)

    def tails(self, scores: dict[str, Tensor]) -> dict[str, Tensor]:
        r"""Scores as :math:`-\log` of the probability that a normal window of this length scores as high."""
        return {mode: -self.calibrators[mode].log_tail(score) for mode, score in scores.items()}

    def to(self, device: torch.device) -> Normality:
        """Moves everything fitted to a device."""
        parts: list[Any] = [self.whitening, self.mixtures, self.calibrators]
        for part in (one for group in parts for one in group.values()):
            part.to(device)
        self.nearest.to(device)
        self.altered.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and strings only."""
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
        """Rebuilds what :meth:`state_dict` gave."""
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
