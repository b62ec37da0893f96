"""Gaussian components with a Gauss-Wishart prior (Bishop 2006, section 10.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

# Values (rows x components x columns) of one block. On the CPU a block fits into the cache (3x
# faster than larger blocks at 64 dimensions); on the GPU it is large enough to keep it busy.
_CHUNK = {"cpu": 1 << 18, "cuda": 1 << 26}
# Below this ratio of the smallest to the largest eigenvalue, a covariance may be singular.
_SINGULAR = 1e-12
# Rows and columns that every kernel for matrix products handles as whole blocks and vectors.
_ROWS, _VECTOR = 64, 8
# Columns of one block of a triangular or a symmetric matrix. Smaller blocks skip more zeros or
# duplicates, but make products slower by more than that saves.
_ROOT_COLUMNS, _MOMENT_COLUMNS = 32, 64
# Fewest rows for which a sum of products is worth its overhead.
_LONG = 512


class StudentT(NamedTuple):
    r"""Student-t densities of :math:`K` components as functions of squared distances.

    Attributes:
        constant: Log density at a mean, :math:`(K)`.
        power: Half the sum of degrees of freedom and dimensions, :math:`(K)`.
        factor: Factor of squared distances, :math:`(K)`.
        freedom: Degrees of freedom, :math:`(K)`.
    """

    constant: Tensor
    power: Tensor
    factor: Tensor
    freedom: Tensor

    def __call__(self, square: Tensor) -> Tensor:
        r"""Log densities :math:`(N, K)` at squared distances :math:`(N, K)`."""
        return self.constant - self.power * torch.log1p(self.factor * square / self.freedom)


class GaussianComponents:
    r"""Posterior over means and precisions of :math:`K` Gaussians in :math:`D` dimensions.

    With ``covariance_type="diag"`` the scale matrix of the posterior is diagonal.

    Args:
        covariance_type: ``"full"`` or ``"diag"``.
        mean_precision_prior: Weight of the prior mean, :math:`\beta_0`, in rows.
        reg_covar: Noise variance of each row, added to the diagonal of each scatter matrix.
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
        """Sets the priors to the mean and the covariance of the data."""
        self.mean_prior = x.mean(0)
        centred = x - self.mean_prior
        freedom = max(len(x) - 1, 1)
        if self.diagonal:
            self.scale_prior = centred.square().sum(0) / freedom
        else:
            self.scale_prior = centred.T @ centred / freedom
        # A constant column has no variance; the added noise keeps the prior proper.
        floor = max(self.reg_covar, 1e-12)
        flat = self.scale_prior if self.diagonal else self.scale_prior.diagonal()
        lift = torch.where(flat > 0, torch.zeros_like(flat), torch.full_like(flat, floor))
        self.scale_prior = self.scale_prior + (lift if self.diagonal else torch.diag(lift))
        if not self.diagonal:
            # Linearly dependent columns leave a direction without variance, except for rounding.
            values = torch.linalg.eigvalsh(self.scale_prior)
            dependent = values[0] < _SINGULAR * values[-1]
            lift = torch.where(dependent, floor + _SINGULAR * values[-1], 0.0)
            self.scale_prior = self.scale_prior + torch.diag(lift.expand(x.size(1)))

    def maximize(self, x: Tensor, responsibilities: Tensor) -> None:
        """M step: the posterior given the responsibilities."""
        size = x.size(1)
        count = responsibilities.sum(0) + 10 * torch.finfo(x.dtype).eps
        first = responsibilities.T @ (x - self.mean_prior)  # around the prior mean
        offset = first / count.unsqueeze(1)
        precision = self.mean_precision_prior + count
        self.mean_precision = precision
        self.means = self.mean_prior + first / precision.unsqueeze(1)
        # The prior has as many degrees of freedom as dimensions.
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
        second = _second_moments(x, self.mean_prior, responsibilities)
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
        r"""Log density of the Student-t posterior predictive of each component, :math:`(N, K)`.

        Bishop (2006), eq. 10.81 and 10.82.
        """
        return self.predictive()(self._square(x))

    def predictive(self) -> StudentT:
        """Part of :meth:`log_predictive` that does not depend on the rows."""
        size = self.means.size(1)
        freedom = self.degrees_of_freedom + 1 - size
        # The precision of the predictive is a multiple of the expected precision.
        factor = self._predictive_factor()
        constant = (
            torch.lgamma((freedom + size) / 2)
            - torch.lgamma(freedom / 2)
            - 0.5 * size * (freedom * math.pi).log()
            + self._half_log_det()
            + 0.5 * size * factor.log()
        )
        return StudentT(constant, 0.5 * (freedom + size), factor, freedom)

    def penalty(self, count: Tensor) -> Tensor:
        r"""Penalty of the bound: KL divergence from the prior, and the noise of ``reg_covar``.

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
        r"""Draws one row from the posterior predictive of each given component, :math:`(n, D)`.

        Args:
            component: Component of each row, :math:`(n)`, on the CPU.
            generator: Random numbers, on the CPU.
        """
        size, device = self.means.size(1), self.means.device
        freedom = (self.degrees_of_freedom + 1 - size).cpu()[component]
        noise = torch.randn(len(component), size, generator=generator, dtype=self.means.dtype)
        # A Student-t draw is a Gaussian draw over the root of an independent chi-square draw, which
        # is twice a Gamma draw of half the shape. torch.distributions has no generator argument.
        chi = 2 * torch._standard_gamma(freedom / 2, generator=generator)
        component, freedom, noise, chi = (
            tensor.to(device) for tensor in (component, freedom, noise, chi)
        )
        scale = (freedom / chi / self._predictive_factor()[component]).sqrt().unsqueeze(1)
        if self.diagonal:
            drawn = noise / self.precisions_cholesky[component]
        else:
            root = self.precisions_cholesky[component].mT
            drawn = torch.linalg.solve_triangular(root, noise.unsqueeze(2), upper=False).squeeze(2)
        return self.means[component] + scale * drawn

    def state_dict(self) -> dict[str, Any]:
        """Returns the fitted tensors."""
        return {name: getattr(self, name) for name in self.tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the result of :meth:`state_dict`."""
        for name in self.tensors:
            setattr(self, name, state[name])

    # -- inner ---------------------------------------------------------------------------------

    def _square(self, x: Tensor) -> Tensor:
        """Squared distance of each row to each mean in units of the expected covariance."""
        if not len(x):
            return x.new_zeros(0, len(self.means))
        distance, values = self.distances()
        return torch.cat([distance(block) for block in x.split(_block_rows(x, values))])

    def distances(self) -> tuple[Callable[[Tensor], Tensor], int]:
        r"""Returns a function from rows to squared distances, and its memory for each row.

        Squared distances :math:`(N, K)` are in units of the expected covariance. Memory is the
        number of values. Terms that do not depend on the rows are computed here.
        """
        if self.diagonal:
            means, root = self.means, self.precisions_cholesky
            return lambda x: ((x[:, None] - means) * root).square().sum(2), means.numel()
        centre, blocks = self.mean_prior, self._blocks()
        values = max(shift.numel() for _, shift in blocks)
        return lambda x: _square_full(x - centre, blocks), values

    def _blocks(self) -> list[tuple[Tensor, Tensor]]:
        """Roots of all components in blocks of columns, and their products with the means.

        A root is zero below its diagonal, so a block has as many rows as its last column. The
        products [K, columns] are of means relative to the prior mean.
        """
        centre, blocks = self.means - self.mean_prior, []
        for first, last in _spans(self.means.size(1), _ROOT_COLUMNS):
            root = self.precisions_cholesky[:, :last, first:last]
            flat = root.permute(1, 0, 2).flatten(1)
            # Rows must start on a whole vector, or rounding depends on their position.
            flat = pad(flat, (0, -flat.size(1) % _VECTOR))
            blocks.append((flat, torch.einsum("kd,kde->ke", centre[:, :last], root)))
        return blocks

    def _half_log_det(self) -> Tensor:
        root = self.precisions_cholesky
        return (root if self.diagonal else root.diagonal(dim1=1, dim2=2)).log().sum(1)

    def _half_freedoms(self, nu: Tensor) -> Tensor:
        i = torch.arange(self.means.size(1), dtype=nu.dtype, device=nu.device)
        return 0.5 * (nu.unsqueeze(1) - i)

    def _digamma_sum(self) -> Tensor:
        return torch.digamma(self._half_freedoms(self.degrees_of_freedom)).sum(1)

    def _log_normaliser(self, nu: Tensor) -> Tensor:
        """Part of the Wishart normaliser that does not depend on the scale matrix."""
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


def _square_full(centred: Tensor, blocks: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Squared distances [rows, K] to each mean, in the coordinates of each root."""
    square = centred.new_zeros(())
    for flat, shift in blocks:
        # One product for all components.
        y = (centred[:, : len(flat)] @ flat)[:, : shift.numel()].unflatten(1, shift.shape)
        square = square + (y - shift).square().sum(2)
    return square


def _second_moments(x: Tensor, centre: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of the outer products of centred rows, for each component: [K, D, D].

    The sums are symmetric: blocks of columns are computed down to the diagonal.
    """
    size, count = x.size(1), weights.size(1)
    spans = _spans(size, _MOMENT_COLUMNS)
    sums = [x.new_zeros(count, last, last - first) for first, last in spans]
    # Components of one product: few enough that it sums over at least _LONG rows.
    group = min(count, max(1, _block_values(x) // (_LONG * size)))
    step = _block_rows(x, group * size)
    for block, weight in zip(x.split(step), weights.split(step), strict=True):
        centred, weight = (block - centre).T.contiguous(), weight.T.contiguous()
        for k in range(0, count, group):
            weighted = centred * weight[k : k + group].unsqueeze(1)  # [group, D, rows]
            for (first, last), total in zip(spans, sums, strict=True):
                columns = centred[first:last].T.expand(len(weighted), -1, -1)
                total[k : k + group].baddbmm_(weighted[:, :last], columns)
    second = x.new_zeros(count, size, size)
    for (first, last), total in zip(spans, sums, strict=True):
        second[:, :last, first:last] = total
    return second.triu() + second.triu(1).mT


def _spans(size: int, width: int) -> list[tuple[int, int]]:
    """First and last (excluded) column of blocks of equal width, at least ``width`` if possible."""
    count = max(1, size // width)
    borders = [size * i // count for i in range(count + 1)]
    return list(pairwise(borders))


def _block_rows(x: Tensor, values: int) -> int:
    """Rows of one block, if each row takes ``values`` values.

    A multiple of the rows of a kernel: remaining rows would be rounded differently.
    """
    return max(1, _block_values(x) // values // _ROWS) * _ROWS


def _block_values(x: Tensor) -> int:
    return _CHUNK.get(x.device.type, _CHUNK["cuda"])
