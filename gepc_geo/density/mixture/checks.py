"""Checks of a mixture's parameters and rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gepc_geo.errors import InputError


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Checks arguments of :class:`~gepc_geo.density.mixture.DirichletProcessMixture`.

    Args:
        parameters: The arguments by name.

    Raises:
        InputError: An argument that is not allowed.
    """
    for name, allowed in (
        ("components", ("gaussian", "dirichlet")),
        ("covariance_type", ("full", "diag")),
    ):
        if parameters[name] not in allowed:
            raise InputError(f"{name} must be {' or '.join(allowed)}, got {parameters[name]!r}")
    for name in ("n_components", "max_iter", "n_init"):
        if parameters[name] < 1:
            raise InputError(f"{name} must be at least 1, got {parameters[name]}")
    for name in ("reg_covar", "tol"):
        if not parameters[name] >= 0:
            raise InputError(f"{name} must be at least 0, got {parameters[name]}")
    gamma = parameters["weight_concentration_prior"]
    for name, value in (
        ("mean_precision_prior", parameters["mean_precision_prior"]),
        ("weight_concentration_prior", 1.0 if gamma is None else gamma),
    ):
        if not value > 0:
            raise InputError(f"{name} must be more than 0, got {value}")


def checked_rows(x: Tensor, columns: int | None, *, proportions: bool) -> Tensor:
    """Checks rows with one read from the device; returns them in float64.

    Args:
        x: The rows.
        columns: Their number of columns; ``None``: any.
        proportions: Whether rows must be proportions.

    Raises:
        InputError: Another shape, values that are not finite, or rows that are not proportions.
    """
    if x.dim() != 2:
        raise InputError(f"x must have 2 dimensions (rows, columns), got {x.dim()}")
    if columns is not None and x.size(1) != columns:
        raise InputError(f"x must have {columns} columns, got {x.size(1)}")
    x = x.double()
    rows = x.detach()
    checks = [rows.isfinite().all()]
    if proportions:
        checks.append(((rows.sum(1) - 1).abs() <= 1e-4).all() & (rows >= 0).all())
    finite, *proper = torch.stack(checks).tolist()
    if not finite:
        raise InputError("x must be finite, got NaN or infinity")
    if not all(proper):
        raise InputError(
            "rows of x must be proportions (at least 0, sum 1) with components dirichlet"
        )
    return x
