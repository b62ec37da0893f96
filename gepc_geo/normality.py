"""From latents and soft assignments to anomaly scores (section 3.4 of the paper)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gepc_geo.calibration import TailCalibrator, fuse
from gepc_geo.encoding import Encoded
from gepc_geo.mixture import DirichletProcessMixture, ilr
from gepc_geo.neighbours import NearestDistance
from gepc_geo.options import Options

#: The modes scored directly; ``fused`` is made of those in :data:`FUSED`.
SINGLE = ("assignment", "max", "latent", "reconstruction", "nearest")
#: What ``fused`` combines: chosen on the training halves of Penn Action and NW-UCLA alone
#: (docs/results.md); what the latent adds there is mostly noise.
FUSED = ("nearest", "reconstruction")
# The most rows of what was learned, and of what is new, that mixtures are refitted to.
_DRAWN = 10_000


def of_views(mode: str, scores: Tensor) -> Tensor:
    r"""A mode's scores of windows, from those of their views (the augmentations that are scored).

    Of ``nearest`` the view that comes nearest counts, as the nearest neighbour does; what other modes
    say of the views is averaged.

    Args:
        mode: One of :data:`SINGLE`.
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


class Points(NamedTuple):
    r"""Windows in the few coordinates that scores are computed from.

    Attributes:
        assignment: Soft assignments in the coordinates of their mixture, :math:`[N, K']`.
        largest: Logarithm of the largest soft assignment, :math:`[N]`.
        latent: Whitened latents, :math:`[N, d]`.
        residual: Whitened residuals, :math:`[N, d]`.
        nearest: Windows and residuals side by side, in the coordinates of their neighbours,
            :math:`[N, d']`.
    """

    assignment: Tensor
    largest: Tensor
    latent: Tensor
    residual: Tensor
    nearest: Tensor


class Normality:
    """Mixtures over soft assignments, latents and residuals, and the calibration of every mode.

    Fitted in two steps, so that no more than a sample of the raw latents and residuals is ever held:
    :meth:`measure` on a sample, then :meth:`fit` on the :meth:`project` of every window.

    Args:
        options: Mixture options and the seed.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.whitening = {part: Whitening(options.whitened_dims) for part in ("latent", "residual")}
        kind = "dirichlet" if options.density == "dirichlet" else "gaussian"
        # Latents and residuals are no proportions: Gaussians in every variant.
        self.mixtures = {
            "assignment": self._mixture(kind),
            "latent": self._mixture("gaussian"),
            "residual": self._mixture("gaussian"),
        }
        self.nearest = NearestDistance()
        self.calibrators: dict[str, TailCalibrator] = {}

    def _mixture(self, kind: str) -> DirichletProcessMixture:
        return DirichletProcessMixture(
            self.options.components,
            components=kind,
            covariance_type=self.options.covariance,
            random_state=self.options.seed,
        )

    def measure(self, encoded: Encoded) -> Normality:
        """Learns the whitening of latents and residuals from a sample of the training windows."""
        for part, whitening in self.whitening.items():
            whitening.fit(getattr(encoded, part))
        self.nearest.measure(_side_by_side(encoded), self.options.seed)
        return self

    def project(self, encoded: Encoded) -> Points:
        """Windows in the coordinates of the mixtures."""
        log_p = encoded.log_p.double()
        return Points(
            assignment=ilr(log_p) if self.options.density == "gaussian-ilr" else log_p.exp(),
            largest=log_p.max(1).values,
            latent=self.whitening["latent"](encoded.latent),
            residual=self.whitening["residual"](encoded.residual),
            nearest=self.nearest.project(_side_by_side(encoded)),
        )

    def fit(self, points: Points, neighbours: Tensor, person: Tensor) -> Normality:
        """Fits mixtures to the training windows, and neighbours to those that are to be neighbours.

        Args:
            points: All training windows, from :meth:`project`.
            neighbours: The ``nearest`` of :meth:`project` of them and of others, :math:`[N, d']`.
            person: Whose each of the neighbours is, :math:`[N]`.
        """
        for part, mixture in self.mixtures.items():
            mixture.fit(getattr(points, part))
        self.nearest.fit(neighbours, person)
        return self

    @torch.no_grad()
    def extended(self, points: Points, person: Tensor) -> Normality:
        """A copy that knows more windows beside those it was fitted to, which are not at hand any more.

        Mixtures are refitted to rows drawn from themselves (as many as they were fitted to, at most
        10,000) and the new ones together; neighbours gain rows. Whitening and calibration stay.

        Args:
            points: The new windows, from :meth:`project`.
            person: Whose each is, :math:`[N]`, numbers from 0.
        """
        more = Normality(self.options)
        more.whitening, more.calibrators = self.whitening, dict(self.calibrators)
        more.nearest = self.nearest.extended(points.nearest, person)
        for part, mixture in self.mixtures.items():
            new = getattr(points, part)
            new = new[:: -(-len(new) // _DRAWN)]
            count = round(float((mixture.weight_concentration_[0] - 1).sum()))
            drawn, _ = mixture.sample(max(mixture.n_components, min(count, _DRAWN)))
            rows = torch.cat([drawn.to(new), new])
            start = mixture.predict_proba(rows)
            again = DirichletProcessMixture(**mixture.state_dict()["parameters"])
            more.mixtures[part] = again.fit(rows, responsibilities=start)
        return more

    def calibrate(self, scores: dict[str, Tensor]) -> None:
        """Learns each mode's distribution on windows that were held out of training."""
        self.calibrators = {mode: TailCalibrator().fit(scores[mode]) for mode in SINGLE}

    def single_scores(self, points: Points, person: Tensor | None = None) -> dict[str, Tensor]:
        """Anomaly scores [N] (float64, higher is more abnormal) of the directly scored modes.

        Args:
            points: From :meth:`project`.
            person: Whose each is, :math:`[N]`, by the numbers of :meth:`fit`: nobody is their own
                neighbour then.
        """
        return {
            "assignment": -self.mixtures["assignment"]._log_density(points.assignment),
            # 1 - max p, from the log so that near-certain windows keep an order.
            "max": -torch.expm1(points.largest),
            "latent": -self.mixtures["latent"]._log_density(points.latent),
            "reconstruction": -self.mixtures["residual"]._log_density(points.residual),
            "nearest": self.nearest(points.nearest, person),
        }

    def fused_score(self, scores: dict[str, Tensor]) -> Tensor:
        """The calibrated combination of single modes (no labels used)."""
        return fuse(torch.stack([self.calibrators[mode].log_tail(scores[mode]) for mode in FUSED]))

    def to(self, device: torch.device) -> Normality:
        """Moves everything fitted to a device."""
        parts: list[Any] = [self.whitening, self.mixtures, self.calibrators]
        for part in (one for group in parts for one in group.values()):
            part.to(device)
        self.nearest.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and strings only."""
        groups = ("whitening", "mixtures", "calibrators")
        state: dict[str, Any] = {
            name: {key: part.state_dict() for key, part in getattr(self, name).items()}
            for name in groups
        }
        return state | {"nearest": self.nearest.state_dict()}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any], options: Options) -> Normality:
        """Rebuilds what :meth:`state_dict` gave."""
        self = cls(options)
        for part, whitening in self.whitening.items():
            whitening.load_state_dict(state["whitening"][part])
        self.mixtures = {
            part: DirichletProcessMixture.from_state_dict(state["mixtures"][part])
            for part in self.mixtures
        }
        self.nearest.load_state_dict(state["nearest"])
        self.calibrators = {
            m: TailCalibrator.from_state_dict(c) for m, c in state["calibrators"].items()
        }
        return self


def _side_by_side(encoded: Encoded) -> Tensor:
    """What a window is, and what of it the network does not expect."""
    return torch.cat([encoded.window, encoded.residual], dim=1)
