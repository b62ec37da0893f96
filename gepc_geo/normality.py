"""From latents and soft assignments to anomaly scores (section 3.4 of the paper)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gepc_geo.calibration import TailCalibrator, fuse
from gepc_geo.engine import Encoded
from gepc_geo.mixture import DirichletProcessMixture, ilr
from gepc_geo.options import Options

#: The modes scored directly; ``fused`` is made of those in :data:`FUSED`.
SINGLE = ("assignment", "max", "latent", "reconstruction")
#: What ``fused`` combines: chosen on the training halves of Penn Action and NW-UCLA alone
#: (benchmarks/choose_defaults.py); assignments add nothing there that the latent does not have.
FUSED = ("latent", "reconstruction")


class Whitening:
    r"""Principal components scaled to unit variance: :math:`[N, D] \to [N, d]`.

    Args:
        max_dims: The most dimensions to keep; directions without variance are dropped.
    """

    def __init__(self, max_dims: int) -> None:
        self.max_dims = max_dims
        self.mean = torch.zeros(0)
        self.matrix = torch.zeros(0, 0)

    def fit(self, x: Tensor) -> Whitening:
        """Measures mean and principal components of the rows of ``x``, in float64."""
        x = x.double()
        self.mean = x.mean(0)
        centred = x - self.mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(x))
        values, vectors = values.flip(0), vectors.flip(1)
        # Fewer than the rank of the data: the last directions of a small sample are noise.
        rank = int((values > 1e-6 * values[0].clamp(min=1e-12)).sum())
        keep = max(1, min(self.max_dims, rank, len(x) - 1))
        self.matrix = vectors[:, :keep] / values[:keep].clamp(min=1e-12).sqrt()
        return self

    def __call__(self, x: Tensor) -> Tensor:
        return (x.double() - self.mean) @ self.matrix


class Normality:
    """Mixtures over soft assignments and whitened latents, and the calibration of every mode.

    Args:
        options: Mixture options and the seed.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.whitening = Whitening(options.latent_dims)
        self.assignment = self._mixture(
            "dirichlet" if options.density == "dirichlet" else "gaussian"
        )
        # The latent's mixture is Gaussian in every variant: latents are no proportions.
        self.latent = self._mixture("gaussian")
        # Each channel's mean squared reconstruction error in training, [C].
        self.noise = torch.ones(0)
        self.calibrators: dict[str, TailCalibrator] = {}

    def _mixture(self, kind: str) -> DirichletProcessMixture:
        return DirichletProcessMixture(
            self.options.components,
            components=kind,
            covariance_type=self.options.covariance,
            random_state=self.options.seed,
        )

    def _proportions(self, log_p: Tensor) -> Tensor:
        """Soft assignments in the coordinates the mixture is fitted in."""
        if self.options.density == "gaussian-ilr":
            return ilr(log_p.double())
        return log_p.double().exp()

    def fit(self, encoded: Encoded) -> Normality:
        """Fits whitening, both mixtures and the channels' noise to the training windows."""
        self.assignment.fit(self._proportions(encoded.log_p))
        self.whitening.fit(encoded.latent)
        self.latent.fit(self.whitening(encoded.latent))
        self.noise = encoded.error.double().mean(0).clamp(min=1e-6)
        return self

    def calibrate(self, scores: dict[str, Tensor]) -> None:
        """Learns each mode's distribution on windows that were held out of training."""
        self.calibrators = {mode: TailCalibrator().fit(scores[mode]) for mode in SINGLE}

    def single_scores(self, encoded: Encoded) -> dict[str, Tensor]:
        """Anomaly scores [N] (float64, higher is more abnormal) of the directly scored modes."""
        return {
            "assignment": -self.assignment.log_density(self._proportions(encoded.log_p)),
            # 1 - max p, from the log so that near-certain windows keep an order.
            "max": -torch.expm1(encoded.log_p.double().max(1).values),
            "latent": -self.latent.log_density(self.whitening(encoded.latent)),
            # Up to constants the log-density of Gaussian residuals: a channel that nothing can
            # predict (a frame's velocity) must not drown the others.
            "reconstruction": (encoded.error.double() / self.noise).mean(1),
        }

    def fused_score(self, scores: dict[str, Tensor]) -> Tensor:
        """The calibrated combination of single modes (no labels used)."""
        return fuse(torch.stack([self.calibrators[mode].log_tail(scores[mode]) for mode in FUSED]))

    def to(self, device: torch.device) -> Normality:
        """Moves everything fitted to a device."""
        self.whitening.mean = self.whitening.mean.to(device)
        self.whitening.matrix = self.whitening.matrix.to(device)
        self.assignment.to(device)
        self.latent.to(device)
        self.noise = self.noise.to(device)
        for calibrator in self.calibrators.values():
            calibrator.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and strings only."""
        return {
            "whitening": {"mean": self.whitening.mean, "matrix": self.whitening.matrix},
            "assignment": self.assignment.state_dict(),
            "latent": self.latent.state_dict(),
            "noise": self.noise,
            "calibrators": {m: c.state_dict() for m, c in self.calibrators.items()},
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any], options: Options) -> Normality:
        """Rebuilds what :meth:`state_dict` gave."""
        self = cls(options)
        self.whitening.mean = state["whitening"]["mean"]
        self.whitening.matrix = state["whitening"]["matrix"]
        self.assignment = DirichletProcessMixture.from_state_dict(state["assignment"])
        self.latent = DirichletProcessMixture.from_state_dict(state["latent"])
        self.noise = state["noise"]
        self.calibrators = {
            m: TailCalibrator.from_state_dict(c) for m, c in state["calibrators"].items()
        }
        return self
