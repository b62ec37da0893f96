"""K-means, compared with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from gepc_geo.density.kmeans import kmeans
from gepc_geo.errors import InputError


@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn_from_the_same_start(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 5)) + 50
    start = x[rng.choice(len(x), 6, replace=False)]
    theirs = KMeans(6, init=start, n_init=1, max_iter=500, tol=0, algorithm="lloyd").fit(x)
    ours = kmeans(torch.as_tensor(x), 6, init=torch.as_tensor(start), max_iter=500, tol=0)
    np.testing.assert_allclose(ours.centers.numpy(), theirs.cluster_centers_, atol=1e-8)
    np.testing.assert_array_equal(ours.labels.numpy(), theirs.labels_)
    np.testing.assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-9)


def test_finds_well_separated_blobs():
    x, truth = make_blobs(600, centers=8, n_features=4, cluster_std=0.4, random_state=3)
    result = kmeans(torch.as_tensor(x), 8)
    assert adjusted_rand_score(truth, result.labels.numpy()) == 1.0


def test_own_starts_are_as_good_as_those_of_scikit_learn():
    x = np.random.default_rng(0).normal(size=(800, 6))
    ours = kmeans(torch.as_tensor(x), 10, n_init=8, max_iter=300).inertia
    theirs = KMeans(10, n_init=8, random_state=0).fit(x).inertia_
    assert ours < 1.02 * theirs


def test_labels_are_the_nearest_centres():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    result = kmeans(x, 5)
    distance = torch.cdist(x.double(), result.centers.double())
    assert torch.equal(distance.argmin(1), result.labels)
    assert result.inertia == pytest.approx(float(distance.min(1).values.square().sum()), rel=1e-5)


def test_same_seed_same_answer_and_other_seeds_differ():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(1))
    runs = [
        kmeans(x, 7, n_init=1, generator=torch.Generator().manual_seed(s)).centers
        for s in (5, 5, 6)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_fewer_distinct_rows_than_clusters_are_handled():
    x = torch.tensor([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 5)
    result = kmeans(x, 4)
    assert result.inertia == 0
    assert result.centers.isfinite().all()


def test_an_empty_cluster_gets_new_rows():
    x = torch.cat([torch.zeros(10, 2), torch.ones(10, 2) * 5, torch.ones(10, 2) * 10])
    start = torch.tensor([[0.0, 0.0], [5.0, 5.0], [1000.0, 1000.0]])
    assert kmeans(x, 3, init=start).inertia == pytest.approx(0)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="at least 4 rows, got 3"):
        kmeans(torch.zeros(3, 2), 4)
    with pytest.raises(InputError, match="got NaN or infinity"):
        kmeans(torch.full((5, 2), torch.nan), 2)


def test_near_clusters_far_from_the_origin_are_all_found():
    """Starts resolve differences of a thousandth of the distance from the mean."""
    places = torch.tensor([[-1000.0, 0.0], [-1000.0, 0.8], [1000.0, 0.0], [1000.0, 0.8]]).double()
    generator = torch.Generator().manual_seed(0)
    x = places.repeat_interleave(50, dim=0)
    x = x + 0.02 * torch.randn(200, 2, generator=generator, dtype=torch.float64)
    for seed in range(5):
        result = kmeans(x, 4, n_init=1, generator=torch.Generator().manual_seed(seed))
        assert result.inertia < 1
