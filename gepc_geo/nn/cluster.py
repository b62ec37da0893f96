"""Cluster layer: soft assignments and their targets (section 3.3 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gepc_geo.errors import InputError
from gepc_geo.nn.checks import check_count

# Mean log odds of the nearest over the second nearest cluster after initialisation.
_LOG_ODDS = 2.0


class SoftAssignment(nn.Module):
    r"""Probability of each cluster given the latent.

    ``softmax`` is eq. 1, :math:`p_{ik} \propto \exp(\theta_k^{\top} z_i)`. It has no bias, so the
    centroids as :math:`\theta` do not give the assignments of k-means. The layer therefore centres
    the latent, scales it to unit mean variance and *augments* it by a constant one. With
    :math:`\theta_k = \alpha [c_k, -\lVert c_k \rVert^2 / 2]` the exponent is
    :math:`-\alpha \lVert z_i - c_k \rVert^2 / 2` plus a constant of the sample, so the nearest
    centroid gets the largest assignment. :math:`\alpha` sets the mean log odds of the nearest over
    the second nearest centroid to 2. Assignments are then neither flat nor all zeros and ones, for
    any number of dimensions.

    ``student`` is the Student-t kernel of Xie et al. (2016, eq. 1) with one degree of freedom. It
    scales the latent by its root mean square distance to the nearest centroid.

    Args:
        num_clusters: Number of clusters, :math:`K`.
        latent_dim: Size of the latent, :math:`D`.
        form: ``"softmax"`` or ``"student"``. (default: ``"softmax"``)

    Shapes:
        - **input:** :math:`(B, D)`
        - **output:** log soft assignments :math:`(B, K)`

    Raises:
        InputError: An argument is not one of those above.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, num_clusters: int, latent_dim: int, form: str = "softmax") -> None:
        super().__init__()
        if form not in ("softmax", "student"):
            raise InputError(f"assignment is {form!r}, expected softmax or student")
        check_count("num_clusters", num_clusters)
        check_count("latent_dim", latent_dim)
        self.num_clusters, self.latent_dim, self.form = num_clusters, latent_dim, form
        self.theta = nn.Parameter(torch.empty(num_clusters, latent_dim + (form == "softmax")))
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialises theta at random; training starts from :meth:`start` instead."""
        nn.init.normal_(self.theta, std=self.latent_dim**-0.5)
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.scale)

    @torch.no_grad()
    def standardize(self, z: Tensor) -> Tensor:
        r"""Measures mean and scale of latents :math:`(N, D)`; returns the standardised latents."""
        self.mean.copy_(z.mean(0))
        spread = (z - self.mean).square().mean().sqrt()
        self.scale.copy_(spread.clamp(min=1e-12))
        return (z - self.mean) / self.scale

    @torch.no_grad()
    def start(self, z: Tensor, centers: Tensor, labels: Tensor) -> None:
        r"""Sets theta such that the most probable cluster is the one with the nearest center.

        Args:
            z: Standardised latents, :math:`(N, D)` (:meth:`standardize`).
            centers: Centers of their clusters, :math:`(K, D)`.
            labels: Cluster of each latent, :math:`(N)`.
        """
        if self.form == "softmax":
            theta = torch.cat([centers, -centers.square().sum(1, keepdim=True) / 2], dim=1)
            logits = z @ theta[:, :-1].t() + theta[:, -1]
            nearest = logits.topk(2, dim=1).values
            gap = (nearest[:, 0] - nearest[:, 1]).mean().clamp(min=1e-12)
            self.theta.copy_(theta * (_LOG_ODDS / gap))
        else:
            # The unit of length of the kernel is one typical distance.
            distance = (z - centers[labels]).square().sum(1).mean().clamp(min=1e-12)
            self.scale.mul_(distance.sqrt())
            self.theta.copy_(centers / distance.sqrt())

    def forward(self, z: Tensor) -> Tensor:
        """Log soft assignments."""
        z = (z - self.mean) / self.scale
        if self.form == "softmax":
            logits = z @ self.theta[:, :-1].t() + self.theta[:, -1]
        else:
            square = (z.unsqueeze(1) - self.theta).square().sum(-1)
            logits = -torch.log1p(square)
        return logits.log_softmax(dim=1)

    def soft_assignment(self, z: Tensor) -> Tensor:
        """Soft assignments; rows sum to one."""
        return self(z).exp()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.num_clusters}, latent_dim={self.latent_dim}, "
            f"form={self.form!r})"
        )


def target_distribution(log_p: Tensor, form: str = "dec") -> Tensor:
    r"""Targets :math:`q` from the soft assignments of the whole training set.

    Let :math:`f_k = \sum_i p_{ik}`. ``paper`` is eq. 3,
    :math:`q_{ik} \propto p_{ik} / \sqrt{f_k}`, which balances cluster sizes. ``dec`` is
    :math:`q_{ik} \propto p_{ik}^2 / f_k` (Xie et al. 2016, eq. 3), which also sharpens.

    Args:
        log_p: Log soft assignments of all training samples, :math:`(N, K)`.
        form: ``"paper"`` or ``"dec"``. (default: ``"dec"``)

    Returns:
        Targets, :math:`(N, K)`; each row sums to one.

    Raises:
        InputError: ``form`` is unknown.
    """
    if form not in ("paper", "dec"):
        raise InputError(f"target is {form!r}, expected paper or dec")
    log_f = log_p.double().logsumexp(0)
    # Before normalisation, eq. 3 is the square root of DEC's form.
    logits = log_p - log_f / 2 if form == "paper" else 2 * log_p - log_f
    return logits.softmax(1).to(log_p.dtype)
