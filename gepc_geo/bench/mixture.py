"""Benchmark of the Dirichlet process mixture against scikit-learn, at equal iterations."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from gepc_geo.bench.measure import milliseconds
from gepc_geo.density.mixture import DirichletProcessMixture


def run(
    device: torch.device, *, sizes: tuple[tuple[int, int], ...] = ((100_000, 20), (100_000, 128))
) -> list[dict[str, Any]]:
    """Measures 5 iterations with 20 components and full covariances, including k-means.

    ``difference`` is the largest difference of the means of both mixtures from the same start.

    Args:
        device: Device of the library's mixture; scikit-learn runs on the CPU.
        sizes: Rows and columns of each data set.
    """
    return [_row(rows, dims, device) for rows, dims in sizes]


def _row(rows: int, dims: int, device: torch.device) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.randn(20, dims, generator=generator, dtype=torch.float64)
    component = torch.randint(20, (rows,), generator=generator)
    x = centres[component] + torch.randn(rows, dims, generator=generator, dtype=torch.float64)
    tensor, array = x.to(device), x.numpy()
    common: dict[str, Any] = {"n_components": 20, "tol": 0.0, "max_iter": 5, "random_state": 0}
    kind = "dirichlet_process"

    def ours() -> DirichletProcessMixture:
        return DirichletProcessMixture(**common).fit(tensor)

    def theirs() -> BayesianGaussianMixture:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return BayesianGaussianMixture(**common, weight_concentration_prior_type=kind).fit(
                array
            )

    mine, reference = milliseconds(ours, theirs, seconds=1.0, device=device)
    # The k-means start of scikit-learn's mixture, from the same random numbers.
    state = np.random.RandomState(0)
    labels = KMeans(20, n_init=1, random_state=state).fit(array).labels_
    start = torch.nn.functional.one_hot(torch.as_tensor(labels).long(), 20)
    same = DirichletProcessMixture(**common).fit(tensor, responsibilities=start)
    return {
        "suite": "mixture",
        "where": f"{rows:,} x {dims}",
        "name": "DirichletProcessMixture over scikit-learn",
        "ours": mine / 1e3,
        "theirs": reference / 1e3,
        "unit": "s",
        "ratio": reference / mine,
        "goal": ">= 2" if device.type == "cpu" else ">= 30",
        "difference": float((same.means_.cpu() - torch.as_tensor(theirs().means_)).abs().max()),
    }
