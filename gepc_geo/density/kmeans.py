"""K-means on the device of the data: k-means++ start, Lloyd iterations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gepc_geo.errors import InputError

# Rows of one block of distances to all centres.
_CHUNK = 65_536


@dataclass
class KMeansResult:
    r"""Result of :func:`kmeans`.

    Attributes:
        centers: Centres, :math:`(K, D)`.
        labels: Index of the nearest centre of each row, :math:`(N)`.
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
    r"""Clusters the rows of ``x``; returns the start with the lowest inertia.

    Args:
        x: Rows, :math:`(N, D)`.
        num_clusters: Number of clusters, :math:`K`.
        n_init: Number of k-means++ starts (Arthur and Vassilvitskii 2007). (default: :obj:`4`)
        max_iter: Largest number of Lloyd iterations of a start. (default: :obj:`100`)
        tol: A start ends when the summed squared movement of the centres is at most this share of
            the mean variance of a column. (default: :obj:`1e-4`)
        init: Initial centres :math:`(K, D)` of a single start, in place of k-means++.
            (default: :obj:`None`)
        generator: Random numbers, on the CPU for every device of ``x``. (default: one seeded with
            0)

    Returns:
        Centres, labels, inertia and iterations of the best start.

    Raises:
        InputError: There are fewer rows than clusters, or values that are not finite.
    """
    if len(x) < num_clusters:
        raise InputError(f"k-means needs at least {num_clusters} rows, got {len(x)}")
    if not bool(x.isfinite().all()):
        raise InputError("values of k-means must be finite, got NaN or infinity")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    # Centred data loses fewer digits in distances.
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
    """K-means++: draws each centre by the squared distance of rows to the centres before."""
    draws = torch.rand(count, generator=generator, dtype=torch.float64).to(x.device)
    # Indices stay tensors: a Python number would synchronise the GPU.
    first = (draws[:1] * len(x)).long().clamp(max=len(x) - 1)
    chosen = [x[first].squeeze(0)]
    nearest = (x - chosen[0]).square().sum(1).double()
    for k in range(1, count):
        cumulated = nearest.cumsum(0)
        # If every row equals a centre, all sums are 0 and the last row is the next centre.
        pick = torch.searchsorted(cumulated, draws[k : k + 1] * cumulated[-1], right=True)
        chosen.append(x[pick.clamp(max=len(x) - 1)].squeeze(0))
        nearest = torch.minimum(nearest, (x - chosen[-1]).square().sum(1).double())
    return torch.stack(chosen)


def _assign(x: Tensor, square: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest centre and squared distance of each row; ``square`` is its squared norm."""
    labels, distances = [], []
    norms = centers.square().sum(1)
    for block in x.split(_CHUNK):
        distance, label = torch.addmm(norms, block, centers.T, alpha=-2).min(1)
        labels.append(label)
        distances.append(distance)
    return torch.cat(labels), (torch.cat(distances) + square).clamp(min=0)


def _totals(x: Tensor, labels: Tensor, count: int) -> Tensor:
    """Sum of the rows of each centre.

    A matrix product is faster than index addition, and deterministic on a GPU.
    """
    total = x.new_zeros(count, x.size(1))
    for block, label in zip(x.split(_CHUNK), labels.split(_CHUNK), strict=True):
        total.addmm_(torch.nn.functional.one_hot(label, count).to(x.dtype).T, block)
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
        # A centre without rows moves to the row farthest from its centre.
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
