"""Dirichlet process mixture by truncated stick-breaking variational inference."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gepc_geo.density.kmeans import kmeans
from gepc_geo.density.mixture.checks import check_parameters, checked_rows
from gepc_geo.density.mixture.dirichlet import DirichletComponents
from gepc_geo.density.mixture.gaussian import GaussianComponents
from gepc_geo.density.mixture.sticks import (
    expected_log_weights,
    expected_weights,
    stick_penalty,
    stick_posterior,
)
from gepc_geo.errors import InputError

# Arguments of the constructor, in the order of a state dict.
_PARAMETERS = (
    "n_components",
    "components",
    "covariance_type",
    "weight_concentration_prior",
    "mean_precision_prior",
    "reg_covar",
    "max_iter",
    "tol",
    "n_init",
    "random_state",
)


class DirichletProcessMixture:
    r"""Mixture that infers the number of components in use from the data (Blei and Jordan 2006).

    Gaussian components follow the model and the updates of
    :class:`sklearn.mixture.BayesianGaussianMixture` with a Dirichlet process prior. Dirichlet
    components have variational weights and MAP concentrations. All computations run in float64 on
    the device of the data.

    Args:
        n_components: Truncation: largest number of components, :math:`K`. (default: :obj:`10`)
        components: ``"gaussian"`` or ``"dirichlet"`` (rows are proportions).
            (default: :obj:`"gaussian"`)
        covariance_type: ``"full"`` or ``"diag"``, for Gaussians. (default: :obj:`"full"`)
        weight_concentration_prior: :math:`\gamma` of the stick prior :math:`Beta(1, \gamma)`.
            (default: one over ``n_components``)
        mean_precision_prior: Weight of the prior mean, in rows. (default: :obj:`1`)
        reg_covar: Variance added to the diagonal of covariances. (default: :obj:`1e-6`)
        max_iter: Largest number of iterations of a start. (default: :obj:`200`)
        tol: A start converges when the bound of a row changes by less. (default: :obj:`1e-3`)
        n_init: Number of k-means starts; the fit has the highest bound of them. (default: :obj:`1`)
        random_state: Seed of the k-means starts. (default: :obj:`0`)

    Attributes:
        weights\_: Expected weights, :math:`(K)`; they sum to one.
        weight_concentration\_: Both parameters of the Beta posterior of each stick.
        components\_: Posterior of the components.
        converged\_: Whether the best start converged.
        n_iter\_: Iterations of the best start.
        lower_bounds\_: Evidence lower bound, including priors, after each E step.
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        components: str = "gaussian",
        covariance_type: str = "full",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float = 1.0,
        reg_covar: float = 1e-6,
        max_iter: int = 200,
        tol: float = 1e-3,
        n_init: int = 1,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.components = components
        self.covariance_type = covariance_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.random_state = random_state

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _PARAMETERS}

    # -- fitting -------------------------------------------------------------------------------

    @torch.no_grad()
    def fit(self, x: Tensor, *, responsibilities: Tensor | None = None) -> DirichletProcessMixture:
        """Fits the mixture to the rows of ``x``.

        Args:
            x: Rows, :math:`(N, D)`; for Dirichlet components positive rows that sum to one.
            responsibilities: Initial responsibilities, :math:`(N, K)`. (default: from k-means)

        Returns:
            The fitted mixture.

        Raises:
            InputError: ``x`` has NaN or infinite values, fewer rows than components, or rows that
                are not proportions; a parameter or ``responsibilities`` is invalid.
        """
        check_parameters(self._parameters())
        self.__dict__.pop("components_", None)
        x = self._check(x)
        if len(x) < self.n_components:
            raise InputError(
                f"rows of the mixture must be at least {self.n_components} (n_components), "
                f"got {len(x)}"
            )
        generator = torch.Generator().manual_seed(self.random_state)
        best: dict[str, Any] | None = None
        for _ in range(1 if responsibilities is not None else self.n_init):
            if responsibilities is None:
                start = self._start(x, generator)
            else:
                start = responsibilities.to(x)
                if start.shape != (len(x), self.n_components):
                    raise InputError(
                        f"responsibilities must have shape {[len(x), self.n_components]}, "
                        f"got {list(start.shape)}"
                    )
            self._fit_once(x, start)
            if best is None or self.lower_bounds_[-1] > best["lower_bounds_"][-1]:
                best = dict(self.__dict__)
        assert best is not None
        self.__dict__.update(best)
        return self

    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        points = x.log().clamp(min=-30) if self.components == "dirichlet" else x
        labels = kmeans(points, self.n_components, n_init=1, generator=generator).labels
        return torch.nn.functional.one_hot(labels, self.n_components).to(x)

    def _fit_once(self, x: Tensor, responsibilities: Tensor) -> None:
        self.components_ = self._new_components()
        self.components_.prepare(x)
        self._maximize(x, responsibilities)
        self.lower_bounds_: list[float] = []
        self.converged_ = False
        before = -torch.inf
        for iteration in range(1, self.max_iter + 1):
            self.n_iter_ = iteration
            weighted = self._weighted(x)
            norm = weighted.logsumexp(1)
            responsibilities = (weighted - norm.unsqueeze(1)).exp()
            bound = norm.sum() - stick_penalty(self.weight_concentration_, self._gamma)
            bound = bound - self.components_.penalty(responsibilities.sum(0))
            self.lower_bounds_.append(float(bound))
            self._maximize(x, responsibilities)
            change, before = self.lower_bounds_[-1] - before, self.lower_bounds_[-1]
            if abs(change) < self.tol * len(x):
                self.converged_ = True
                break

    def _maximize(self, x: Tensor, responsibilities: Tensor) -> None:
        count = responsibilities.sum(0)
        if self.components == "gaussian":
            # Same as in the Gaussian components, so that no component has zero weight.
            count = count + 10 * torch.finfo(x.dtype).eps
        self.weight_concentration_ = stick_posterior(count, self._gamma)
        self.components_.maximize(x, responsibilities)

    @property
    def _gamma(self) -> float:
        prior = self.weight_concentration_prior
        return 1 / self.n_components if prior is None else prior

    def _new_components(self) -> Any:
        if self.components == "dirichlet":
            return DirichletComponents()
        return GaussianComponents(self.covariance_type, self.mean_precision_prior, self.reg_covar)

    @property
    def weights_(self) -> Tensor:
        r"""Expected weights :math:`(K)`; they sum to one."""
        return expected_weights(self.weight_concentration_)

    # -- use -----------------------------------------------------------------------------------

    def score_samples(self, x: Tensor) -> Tensor:
        r"""Variational score of each row, :math:`(N)`, as in scikit-learn; it is not normalised.

        Raises:
            InputError: ``x`` has another number of columns than in :meth:`fit`, values that are not
                finite, or rows that are not proportions (Dirichlet components).
        """
        return self._weighted(self._check(x)).logsumexp(1)

    def log_density(self, x: Tensor) -> Tensor:
        r"""Log density of each row, :math:`(N)`, with the expected weights; integrates to one.

        Gaussian components use the Student-t posterior predictive. Differentiable in ``x``.

        Raises:
            InputError: Same as :meth:`score_samples`.
        """
        return self.unchecked_log_density(self._check(x))

    def unchecked_log_density(self, x: Tensor) -> Tensor:
        """:meth:`log_density` of checked float64 rows; does not synchronise the GPU."""
        weighted: Tensor = self.weights_.log() + self.components_.log_predictive(x)
        return weighted.logsumexp(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        r"""Responsibilities :math:`(N, K)`; rows sum to one.

        Raises:
            InputError: Same as :meth:`score_samples`.
        """
        return self._weighted(self._check(x)).softmax(1)

    def predict(self, x: Tensor) -> Tensor:
        r"""Component with the largest responsibility for each row, :math:`(N)`.

        Raises:
            InputError: Same as :meth:`score_samples`.
        """
        return self._weighted(self._check(x)).argmax(1)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        r"""Draws rows from the density of :meth:`log_density`.

        Args:
            n: Number of rows.
            generator: Random numbers, on the CPU for every device of the mixture. (default: one
                seeded with ``random_state``, so every call returns the same rows)

        Returns:
            Rows :math:`(n, D)` on the mixture's device, and their components :math:`(n)` on the
            CPU.
        """
        if generator is None:
            generator = torch.Generator().manual_seed(self.random_state)
        chosen = torch.multinomial(self.weights_.cpu(), n, replacement=True, generator=generator)
        return self.components_.sample(chosen, generator), chosen

    def _weighted(self, x: Tensor) -> Tensor:
        log_weights = expected_log_weights(self.weight_concentration_)
        weighted: Tensor = log_weights + self.components_.log_likelihood(x)
        return weighted

    def _check(self, x: Tensor) -> Tensor:
        """Checks rows; returns them in float64."""
        columns = self._size if hasattr(self, "components_") else None
        return checked_rows(x, columns, proportions=self.components == "dirichlet")

    @property
    def _size(self) -> int:
        name = "means" if self.components == "gaussian" else "concentrations"
        return int(getattr(self.components_, name).size(1))

    # -- state ---------------------------------------------------------------------------------

    @property
    def means_(self) -> Tensor:
        r"""Means :math:`(K, D)` of Gaussian components."""
        means: Tensor = self.components_.means
        return means

    @property
    def covariances_(self) -> Tensor:
        r"""Expected covariances of Gaussian components, :math:`(K, D, D)` or :math:`(K, D)`."""
        covariances: Tensor = self.components_.covariances
        return covariances

    def state_dict(self) -> dict[str, Any]:
        """Returns parameters and fitted tensors, as tensors, numbers and strings."""
        return {
            "parameters": self._parameters(),
            "sticks": torch.stack(self.weight_concentration_),
            "components": self.components_.state_dict(),
            "converged": self.converged_,
            "n_iter": self.n_iter_,
            "lower_bounds": list(self.lower_bounds_),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> DirichletProcessMixture:
        """Rebuilds a mixture from the result of :meth:`state_dict`."""
        self = cls(**state["parameters"])
        check_parameters(self._parameters())
        a, b = state["sticks"]
        self.weight_concentration_ = (a, b)
        self.components_ = self._new_components()
        self.components_.load_state_dict(state["components"])
        self.converged_, self.n_iter_ = state["converged"], state["n_iter"]
        self.lower_bounds_ = list(state["lower_bounds"])
        return self

    def to(self, device: torch.device | str) -> DirichletProcessMixture:
        """Moves a fitted mixture to a device; leaves an unfitted one as it is."""
        if not hasattr(self, "components_"):
            return self
        a, b = self.weight_concentration_
        self.weight_concentration_ = (a.to(device), b.to(device))
        state = self.components_.state_dict()
        self.components_.load_state_dict({name: value.to(device) for name, value in state.items()})
        return self
