"""Gaussian components with a Gauss-Wishart prior (Bishop 2006, section 10.2)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

# Values (rows x components x dimensions) held at once: few enough to stay in a CPU's cache (3x faster
# than larger pieces at 64 dimensions), enough to keep a GPU busy.
_CHUNK = {"cpu": 1 << 18, "cuda": 1 << 26}
# Rows that no kernel for products splits further.
_ROWS = 64


class GaussianComponents:
    r"""Posterior over means and precisions of :math:`K` Gaussians in :math:`D` dimensions.

    With ``covariance_type="diag"`` the posterior's scale matrix is held diagonal.

    Args:
        covariance_type: ``"full"`` or ``"diag"``.
        mean_precision_prior: :math:`\beta_0`.
        reg_covar: Added to the diagonal of each component's scatter, as if every row carried that
            much noise.
    """

    tensors = (
        "mean_prior",
        "scale_prior",
        "mean_precision",
        "means",
        "degrees_of_freedom",
        "covariances",
        "precisions_cholesky",
    )

    def __init__(self, covariance_type: str, mean_precision_prior: float, reg_covar: float) -> None:
        self.diagonal = covariance_type == "diag"
        self.mean_precision_prior, self.reg_covar = mean_precision_prior, reg_covar

    def prepare(self, x: Tensor) -> None:
        """Sets the priors from the data: its mean and its covariance."""
        self.mean_prior = x.mean(0)
        centred = x - self.mean_prior
        freedom = max(len(x) - 1, 1)
        if self.diagonal:
            self.scale_prior = centred.square().sum(0) / freedom
        else:
            self.scale_prior = centred.T @ centred / freedom
        # A constant column has no covariance; noise alone keeps the prior a proper one.
        floor = max(self.reg_covar, 1e-12)
        flat = self.scale_prior if self.diagonal else self.scale_prior.diagonal()
        lift = torch.where(flat > 0, torch.zeros_like(flat), torch.full_like(flat, floor))
        self.scale_prior = self.scale_prior + (lift if self.diagonal else torch.diag(lift))

    def maximize(self, x: Tensor, responsibilities: Tensor) -> None:
        """The M step: the posterior given who is responsible for which row."""
        size = x.size(1)
        count = responsibilities.sum(0) + 10 * torch.finfo(x.dtype).eps
        first = responsibilities.T @ (x - self.mean_prior)  # around the prior's mean
        offset = first / count.unsqueeze(1)
        precision = self.mean_precision_prior + count
        self.mean_precision = precision
        self.means = self.mean_prior + first / precision.unsqueeze(1)
        # The prior's degrees of freedom are as many as there are dimensions.
        self.degrees_of_freedom = size + count
        shrink = (count * self.mean_precision_prior / precision).unsqueeze(1)
        noise = self.reg_covar * count.unsqueeze(1)
        if self.diagonal:
            second = responsibilities.T @ (x - self.mean_prior).square()
            scatter = second - count.unsqueeze(1) * offset.square()
            scale = self.scale_prior + scatter + noise + shrink * offset.square()
            self.covariances = scale / self.degrees_of_freedom.unsqueeze(1)
            self.precisions_cholesky = self.covariances.rsqrt()
            return
        second = x.new_zeros(len(count), size, size)
        step = _rows_at_once(x, self.means)
        for part, weight in zip(x.split(step), responsibilities.split(step), strict=True):
            centred = part - self.mean_prior
            weighted = centred.T * weight.T.unsqueeze(1)  # [K, D, rows]
            second.baddbmm_(weighted, centred.expand(len(count), -1, -1))
        outer = offset.unsqueeze(2) * offset.unsqueeze(1)
        scatter = second - count.view(-1, 1, 1) * outer
        scale = self.scale_prior + scatter + shrink.unsqueeze(2) * outer
        scale = scale + torch.diag_embed(noise.expand(-1, size))
        scale = (scale + scale.mT) / 2
        self.covariances = scale / self.degrees_of_freedom.view(-1, 1, 1)
        lower = torch.linalg.cholesky(self.covariances)
        eye = torch.eye(size, dtype=x.dtype, device=x.device).expand_as(lower)
        self.precisions_cholesky = torch.linalg.solve_triangular(lower, eye, upper=False).mT

    def log_likelihood(self, x: Tensor) -> Tensor:
        r"""Expected log density of each row under each component, :math:`(N, K)`."""
        size = x.size(1)
        freedom = self.degrees_of_freedom
        log_gauss = (
            -0.5 * (size * math.log(2 * math.pi) + self._square(x))
            + self._half_log_det()
            - 0.5 * size * freedom.log()
        )
        log_lambda = size * math.log(2) + self._digamma_sum()
        return log_gauss + 0.5 * (log_lambda - size / self.mean_precision)

    def log_predictive(self, x: Tensor) -> Tensor:
        r"""Log density of each component's Student-t posterior predictive, :math:`(N, K)`.

        Bishop (2006), eq. 10.81 and 10.82.
        """
        size = x.size(1)
        freedom = self.degrees_of_freedom + 1 - size
        # The predictive's precision is a multiple of the expected one.
        factor = self._predictive_factor()
        square = factor * self._square(x)
        return (
            torch.lgamma((freedom + size) / 2)
            - torch.lgamma(freedom / 2)
            - 0.5 * size * (freedom * math.pi).log()
            + self._half_log_det()
            + 0.5 * size * factor.log()
            - 0.5 * (freedom + size) * torch.log1p(square / freedom)
        )

    def penalty(self, count: Tensor) -> Tensor:
        r"""What the bound loses: KL divergence from the prior, and the noise of ``reg_covar``.

        Args:
            count: Sum of each component's responsibilities, :math:`(K)`.
        """
        size = self.means.size(1)
        nu, nu_0 = self.degrees_of_freedom, float(size)
        beta, beta_0 = self.mean_precision, self.mean_precision_prior
        offset = self.means - self.mean_prior
        if self.diagonal:
            precision = self.precisions_cholesky.square()
            distance = (offset.square() * precision).sum(1)
            product = (self.scale_prior * precision).sum(1)
            trace = precision.sum(1)
            prior_log_det = self.scale_prior.log().sum()
        else:
            root = self.precisions_cholesky
            distance = torch.einsum("kd,kde->ke", offset, root).square().sum(1)
            precision = root @ root.mT
            product = (self.scale_prior * precision).sum((1, 2))
            trace = precision.diagonal(dim1=1, dim2=2).sum(1)
            prior_log_det = torch.linalg.slogdet(self.scale_prior).logabsdet
        # Expected precision nu W is the inverse of ``covariances``.
        log_w = 2 * self._half_log_det() - size * nu.log()
        means = 0.5 * (
            size * beta_0 / beta + beta_0 * distance - size + size * (beta / beta_0).log()
        )
        log_b = -0.5 * nu * log_w - self._log_normaliser(nu)
        log_b_0 = 0.5 * nu_0 * prior_log_det - self._log_normaliser(torch.full_like(nu, nu_0))
        expected = self._digamma_sum() + size * math.log(2) + log_w
        scales = log_b - log_b_0 + 0.5 * (nu - nu_0) * expected - 0.5 * nu * size + 0.5 * product
        return (means + scales + 0.5 * self.reg_covar * count * trace).sum()

    def sample(self, component: Tensor, generator: torch.Generator) -> Tensor:
        r"""One draw from the posterior predictive of each named component, :math:`(n, D)`.

        Args:
            component: :math:`(n)`, on the CPU.
            generator: Random numbers, on the CPU.
        """
        size, device = self.means.size(1), self.means.device
        freedom = (self.degrees_of_freedom + 1 - size).cpu()[component]
        noise = torch.randn(len(component), size, generator=generator, dtype=self.means.dtype)
        # A Student-t draw is a Gaussian one over the root of an independent chi-square, which is
        # twice a Gamma of half its shape: torch.distributions draws it so, but takes no generator.
        chi = 2 * torch._standard_gamma(freedom / 2, generator=generator)
        component, freedom, noise, chi = (
            part.to(device) for part in (component, freedom, noise, chi)
        )
        scale = (freedom / chi / self._predictive_factor()[component]).sqrt().unsqueeze(1)
        if self.diagonal:
            drawn = noise / self.precisions_cholesky[component]
        else:
            root = self.precisions_cholesky[component].mT
            drawn = torch.linalg.solve_triangular(root, noise.unsqueeze(2), upper=False).squeeze(2)
        return self.means[component] + scale * drawn

    def state_dict(self) -> dict[str, Any]:
        """Plain tensors."""
        return {name: getattr(self, name) for name in self.tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` gave."""
        for name in self.tensors:
            setattr(self, name, state[name])

    # -- inner ---------------------------------------------------------------------------------

    def _square(self, x: Tensor) -> Tensor:
        """Squared distance of each row to each mean in units of the expected covariance."""
        root, size, parts = self.precisions_cholesky, x.size(1), []
        for part in x.split(_rows_at_once(x, self.means)):
            if self.diagonal:
                y = (part.unsqueeze(1) - self.means) * root
            else:
                # One product for all components.
                flat = root.permute(1, 0, 2).reshape(size, -1)
                y = ((part - self.mean_prior) @ flat).unflatten(1, (-1, size))
                centre = self.means - self.mean_prior
                y = y - torch.einsum("kd,kde->ke", centre, root)
            parts.append(y.square().sum(2))
        return torch.cat(parts) if parts else x.new_zeros(0, len(self.means))

    def _half_log_det(self) -> Tensor:
        root = self.precisions_cholesky
        return (root if self.diagonal else root.diagonal(dim1=1, dim2=2)).log().sum(1)

    def _half_freedoms(self, nu: Tensor) -> Tensor:
        i = torch.arange(self.means.size(1), dtype=nu.dtype, device=nu.device)
        return 0.5 * (nu.unsqueeze(1) - i)

    def _digamma_sum(self) -> Tensor:
        return torch.digamma(self._half_freedoms(self.degrees_of_freedom)).sum(1)

    def _log_normaliser(self, nu: Tensor) -> Tensor:
        """The part of a Wishart's normaliser that its scale matrix has no part in."""
        size = self.means.size(1)
        return (
            0.5 * nu * size * math.log(2)
            + 0.25 * size * (size - 1) * math.log(math.pi)
            + torch.lgamma(self._half_freedoms(nu)).sum(1)
        )

    def _predictive_factor(self) -> Tensor:
        size = self.means.size(1)
        beta, nu = self.mean_precision, self.degrees_of_freedom
        return (nu + 1 - size) * beta / (1 + beta) / nu


def _rows_at_once(x: Tensor, means: Tensor) -> int:
    """Whole blocks of a product's kernel: rows left over at the end would be rounded otherwise."""
    fit = _CHUNK.get(x.device.type, _CHUNK["cuda"]) // means.numel()
    return max(1, fit // _ROWS) * _ROWS
