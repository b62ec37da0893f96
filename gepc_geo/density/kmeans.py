"""K-means on the device of its data: k-means++ start, Lloyd iterations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gepc_geo.errors import InputError

# Rows whose distances to all centres are held at once.
_CHUNK = 65_536


@dataclass
class KMeansResult:
    r"""What :func:`kmeans` found.

    Attributes:
        centers: :math:`(K, D)`.
        labels: Nearest centre of each row, :math:`(N)`.
        inertia: Sum of squared distances to the nearest centre.
        n_iter: Lloyd iterations of the best start.
    """

    centers: Tensor
    labels: Tensor
    inertia: float
    n_iter: int


def kmeans(
    x: Tensor,
    num_clusters: int,
    *,
    n_init: int = 4,
    max_iter: int = 100,
    tol: float = 1e-4,
    init: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> KMeansResult:
    r"""Clusters the rows of ``x``; of several starts the one with the lowest inertia is kept.

    Args:
        x: :math:`(N, D)`.
        num_clusters: :math:`K`.
        n_init: Number of k-means++ starts (Arthur and Vassilvitskii 2007). (default: :obj:`4`)
        max_iter: Most Lloyd iterations of a start. (default: :obj:`100`)
        tol: A start ends when the centres move, in squared distance, by no more than this share of
            the data's mean variance. (default: :obj:`1e-4`)
        init: Centres :math:`(K, D)` of a single start, in place of k-means++.
            (default: :obj:`None`)
        generator: Random numbers, on the CPU whatever the device of ``x``. (default: one seeded
            with 0)

    Raises:
        InputError: Fewer rows than clusters, or values that are not finite.
    """
    if len(x) < num_clusters:
        raise InputError(f"k-means got {len(x)} rows, expected at least {num_clusters} (clusters)")
    if not bool(x.isfinite().all()):
        raise InputError("k-means got NaN or infinite values, expected finite numbers")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    # Distances lose few digits when the data lies around zero.
    shift = x.mean(0)
    x = x - shift
    limit = tol * float(x.var(0, unbiased=False).mean())
    best: KMeansResult | None = None
    for _ in range(1 if init is not None else n_init):
        start = _plus_plus(x, num_clusters, generator) if init is None else init.to(x) - shift
        result = _lloyd(x, start, max_iter, limit)
        if best is None or result.inertia < best.inertia:
            best = result
    assert best is not None
    best.centers += shift
    return best


def _plus_plus(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """K-means++: each further centre is a row drawn by its squared distance to the chosen ones."""
    draws = torch.rand(count, generator=generator, dtype=torch.float64).to(x.device)
    # Rows are picked by tensors of one index: a number would have to be waited for on a GPU.
    first = (draws[:1] * len(x)).long().clamp(max=len(x) - 1)
    chosen = [x[first].squeeze(0)]
    nearest = (x - chosen[0]).square().sum(1).double()
    for k in range(1, count):
        cumulated = nearest.cumsum(0)
        # Where all rows stand on centres already every total is 0, and the last row is taken.
        pick = torch.searchsorted(cumulated, draws[k : k + 1] * cumulated[-1], right=True)
        chosen.append(x[pick.clamp(max=len(x) - 1)].squeeze(0))
        nearest = torch.minimum(nearest, (x - chosen[-1]).square().sum(1).double())
    return torch.stack(chosen)


def _assign(x: Tensor, square: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest centre and squared distance of each row, whose own squares are at hand."""
    labels, distances = [], []
    others = centers.square().sum(1)
    for part in x.split(_CHUNK):
        value, index = torch.addmm(others, part, centers.T, alpha=-2).min(1)
        labels.append(index)
        distances.append(value)
    return torch.cat(labels), (torch.cat(distances) + square).clamp(min=0)


def _totals(x: Tensor, labels: Tensor, count: int) -> Tensor:
    """The sum of each centre's rows, as a product: faster than adding row for row, and the same
    in every run on a GPU."""
    total = x.new_zeros(count, x.size(1))
    for part, index in zip(x.split(_CHUNK), labels.split(_CHUNK), strict=True):
        total.addmm_(torch.nn.functional.one_hot(index, count).to(x.dtype).T, part)
    return total


def _lloyd(x: Tensor, centers: Tensor, max_iter: int, limit: float) -> KMeansResult:
    count, square = len(centers), x.square().sum(1)
    labels, distance = _assign(x, square, centers)
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        size = torch.zeros_like(labels[:count]).index_add_(0, labels, torch.ones_like(labels))
        total = _totals(x, labels, count)
        moved = total / size.clamp(min=1).unsqueeze(1).to(x.dtype)
        # A centre that lost all its rows goes to the row farthest from its own.
        far = distance.topk(count).indices
        empty = size == 0
        spare = far[(empty.cumsum(0) - 1).clamp(min=0)]
        moved = torch.where(empty.unsqueeze(1), x[spare], moved)
        shift = float((moved - centers).square().sum())
        centers = moved
        before = labels
        labels, distance = _assign(x, square, centers)
        if shift <= limit or torch.equal(labels, before):
            break
    return KMeansResult(centers, labels, float(distance.double().sum()), n_iter)
