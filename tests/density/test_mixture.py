"""Dirichlet process mixture, compared with scikit-learn, SciPy, integrals and its bound."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import gammaln
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from torch.utils._python_dispatch import TorchDispatchMode

from gepc_geo.density.mixture import DirichletProcessMixture, ilr
from gepc_geo.errors import InputError


class Injected(BayesianGaussianMixture):
    """Scikit-learn's class, started from given responsibilities."""

    start: np.ndarray

    def _initialize_parameters(self, X, random_state, *args, **kwargs):
        self._initialize(X, self.start)


def blobs(seed: int, n: int = 300, dims: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=4, size=(3, dims))
    return centers[rng.integers(0, 3, n)] + rng.normal(size=(n, dims)) * rng.uniform(0.3, 2, dims)


@pytest.mark.parametrize("covariance", ["full", "diag"])
@pytest.mark.parametrize("iterations", [1, 7, 40])
@pytest.mark.parametrize(("seed", "dims"), [(0, 3), (1, 3), (0, 150)])
def test_equals_scikit_learn(covariance, iterations, seed, dims):
    x = blobs(seed, dims=dims)
    start = np.random.default_rng(seed).dirichlet(np.ones(6), size=len(x))
    theirs = Injected(
        n_components=6,
        covariance_type=covariance,
        weight_concentration_prior_type="dirichlet_process",
        tol=0,
        reg_covar=1e-6,
        max_iter=iterations,
    )
    theirs.start = start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x)
    ours = DirichletProcessMixture(
        6, covariance_type=covariance, tol=0, reg_covar=1e-6, max_iter=iterations
    ).fit(torch.as_tensor(x), responsibilities=torch.as_tensor(start))
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.weights_.numpy(), theirs.weights_, rtol=1e-6)
    np.testing.assert_allclose(ours.means_.numpy(), theirs.means_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        ours.covariances_.numpy(), theirs.covariances_, rtol=1e-6, atol=1e-12
    )
    far = x * 1.5
    np.testing.assert_allclose(
        ours.score_samples(torch.as_tensor(far)).numpy(), theirs.score_samples(far), rtol=1e-6
    )
    np.testing.assert_allclose(
        ours.predict_proba(torch.as_tensor(x)).numpy(), theirs.predict_proba(x), atol=1e-8
    )


def test_the_score_of_a_row_does_not_depend_on_its_place_in_the_table():
    """Scores of parts of a table equal those of the whole, to the last bit."""
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.normal(size=(512, 65)))
    components = DirichletProcessMixture(3, max_iter=2).fit(x).components_
    order = torch.as_tensor(rng.permutation(512))
    assert torch.equal(components._square(x[order]), components._square(x)[order])


def assert_never_falls(bounds: list[float]) -> None:
    bounds = np.array(bounds)
    falls = (bounds[:-1] - bounds[1:]) / np.abs(bounds[1:])
    assert (falls <= 1e-9).all(), f"the bound fell by {falls.max()}"


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    dims=st.integers(1, 5),
    k=st.integers(1, 6),
    covariance=st.sampled_from(["full", "diag"]),
    gamma=st.sampled_from([None, 0.01, 3.0]),
)
def test_bound_of_gaussians_never_falls(seed, dims, k, covariance, gamma):
    mixture = DirichletProcessMixture(
        k, covariance_type=covariance, weight_concentration_prior=gamma, tol=0, max_iter=60
    ).fit(torch.as_tensor(blobs(seed, 80, dims)))
    assert_never_falls(mixture.lower_bounds_)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    parts=st.integers(2, 6),
    k=st.integers(1, 5),
    scale=st.sampled_from([0.3, 1.0, 20.0]),
)
def test_bound_of_dirichlets_never_falls(seed, parts, k, scale):
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0.2, 3, size=(2, parts)) * scale
    x = np.concatenate([rng.dirichlet(a, size=60) for a in alpha])
    mixture = DirichletProcessMixture(k, components="dirichlet", tol=0, max_iter=60)
    mixture.fit(torch.as_tensor(x))
    assert_never_falls(mixture.lower_bounds_)
    assert (mixture.components_.concentrations > 0).all()


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_density_of_gaussians_integrates_to_one(covariance):
    mixture = DirichletProcessMixture(3, covariance_type=covariance)
    mixture.fit(torch.as_tensor(blobs(3, 200, 2)))
    # Substituting x = sinh(u) reaches far into the tails of the Student-t.
    u = torch.linspace(-9, 9, 1201, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(u.sinh(), u.sinh(), indexing="ij"), -1).view(-1, 2)
    volume = (u.cosh()[:, None] * u.cosh()[None, :]).view(-1) * (u[1] - u[0]) ** 2
    total = (mixture.log_density(grid).exp() * volume).sum()
    assert abs(float(total) - 1) < 2e-3


def test_density_of_dirichlets_integrates_to_one():
    x = np.random.default_rng(0).dirichlet([3.0, 2.0, 4.0], size=200)
    mixture = DirichletProcessMixture(2, components="dirichlet").fit(torch.as_tensor(x))
    n = 400
    a, b = torch.meshgrid(*[(torch.arange(n, dtype=torch.float64) + 0.5) / n] * 2, indexing="ij")
    inside = a + b < 1 - 1e-9
    a, b = a[inside], b[inside]
    total = mixture.log_density(torch.stack([a, b, 1 - a - b], 1)).exp().sum() / n**2
    assert abs(float(total) - 1) < 1e-2


def test_one_dirichlet_component_is_the_map_estimate():
    """Compared with SciPy's optimiser on a second implementation of the objective."""
    x = np.random.default_rng(1).dirichlet([0.7, 2.0, 5.0, 1.0], size=500)
    mixture = DirichletProcessMixture(1, components="dirichlet").fit(torch.as_tensor(x))

    def loss(log_alpha: np.ndarray) -> float:
        a = np.exp(log_alpha)
        log_density = gammaln(a.sum()) - gammaln(a).sum() + (np.log(x) * (a - 1)).sum(1)
        return -(log_density.sum() + (np.log(a) - 0.02 * a).sum())

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-7})
    ours = mixture.components_.concentrations[0].numpy()
    np.testing.assert_allclose(ours, np.exp(best.x), rtol=1e-4)
    np.testing.assert_allclose(ours, [0.7, 2.0, 5.0, 1.0], rtol=0.2)


@pytest.mark.parametrize("components", ["gaussian", "dirichlet"])
def test_samples_follow_the_density(components):
    """The mean of -log density differs between two models, but not between equal models."""
    rng = np.random.default_rng(2)
    if components == "gaussian":
        x = blobs(2, 2000, 2)
    else:
        x = np.concatenate([rng.dirichlet([8, 2, 2], 1000), rng.dirichlet([2, 9, 3], 1000)])
    mixture = DirichletProcessMixture(4, components=components).fit(torch.as_tensor(x))
    drawn, component = mixture.sample(20_000)
    share = torch.bincount(component, minlength=4) / 20_000
    torch.testing.assert_close(share.double(), mixture.weights_, atol=0.02, rtol=0)
    # Same distribution: data and samples have the same mean log density, within its error.
    ours, theirs = mixture.log_density(drawn), mixture.log_density(torch.as_tensor(x))
    error = float((ours.var() / len(ours) + theirs.var() / len(theirs)).sqrt())
    assert abs(float(ours.mean() - theirs.mean())) < 5 * error
    again, _ = mixture.sample(20_000)
    assert torch.equal(drawn, again)


class HostReads(TorchDispatchMode):
    """Counts reads of tensor values, each of which synchronises a GPU."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("components", ["gaussian", "dirichlet"])
def test_host_reads_of_fitting_and_scoring(components):
    rng = np.random.default_rng(0)
    x = torch.as_tensor(np.concatenate([rng.dirichlet(a, 40) for a in ([8, 2, 2], [2, 9, 3])]))
    start = torch.as_tensor(rng.dirichlet(np.ones(3), size=len(x)))
    reads = []
    for iterations in (4, 12):
        mixture = DirichletProcessMixture(3, components=components, tol=0, max_iter=iterations)
        with HostReads() as counted:
            mixture.fit(x, responsibilities=start)
        assert mixture.n_iter_ == iterations
        reads.append(counted.count)
    assert reads[1] - reads[0] == 12 - 4, "the bound, once an iteration"
    for name in ("log_density", "score_samples", "predict_proba", "predict"):
        with HostReads() as counted:
            getattr(mixture, name)(x)
        assert counted.count <= 1, "whether the rows are sound"
    # The meta device has no values, so a read raises an error.
    mixture.to("meta")
    assert mixture.unchecked_log_density(x.to("meta")).shape == (len(x),)


@pytest.mark.parametrize("components", ["gaussian", "dirichlet"])
def test_samples_come_from_the_given_generator_alone(components, monkeypatch):
    x = torch.as_tensor(np.random.default_rng(0).dirichlet([2, 3, 4], size=100))
    mixture = DirichletProcessMixture(3, components=components).fit(x)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(drawn))
        before = torch.get_rng_state()
        with monkeypatch.context() as patch:
            # It also seeds the generators of all GPUs.
            patch.setattr(torch, "manual_seed", lambda seed: pytest.fail("torch was reseeded"))
            drawn.append(mixture.sample(50, torch.Generator().manual_seed(seed))[0])
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn[0], drawn[1])
    assert not (drawn[0] == drawn[2]).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("components", ["gaussian", "dirichlet"])
def test_sampling_on_cuda_leaves_its_generator_alone(components):
    x = torch.as_tensor(np.random.default_rng(0).dirichlet([2, 3, 4], size=100))
    mixture = DirichletProcessMixture(3, components=components).fit(x)
    expected, _ = mixture.sample(50)
    before = torch.cuda.get_rng_state()
    there, _ = mixture.to("cuda").sample(50)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    torch.testing.assert_close(there.cpu(), expected)


def test_more_components_than_needed_stay_empty():
    x = np.concatenate([blobs(0, 400, 2)[:200], np.random.default_rng(0).normal(size=(200, 2))])
    mixture = DirichletProcessMixture(12, max_iter=500).fit(torch.as_tensor(x))
    assert (mixture.weights_ > 0.02).sum() < 9
    torch.testing.assert_close(mixture.weights_.sum().item(), 1.0)


def test_convergence_flag():
    x = torch.as_tensor(blobs(0))
    assert DirichletProcessMixture(3, max_iter=500).fit(x).converged_
    assert not DirichletProcessMixture(3, max_iter=1).fit(x).converged_


def test_more_starts_never_lower_the_bound():
    x = torch.as_tensor(blobs(5, 300, 2))
    one = DirichletProcessMixture(5, n_init=1, tol=1e-6, max_iter=500).fit(x)
    many = DirichletProcessMixture(5, n_init=6, tol=1e-6, max_iter=500).fit(x)
    assert many.lower_bounds_[-1] >= one.lower_bounds_[-1]


@pytest.mark.parametrize("components", ["gaussian", "dirichlet"])
def test_state_survives_a_file_and_refitting(components, tmp_path):
    x = torch.as_tensor(np.random.default_rng(0).dirichlet([2, 3, 4], size=100))
    mixture = DirichletProcessMixture(3, components=components, random_state=4).fit(x)
    torch.save(mixture.state_dict(), tmp_path / "m.pt")
    state = torch.load(tmp_path / "m.pt", weights_only=True)
    loaded = DirichletProcessMixture.from_state_dict(state)
    assert torch.equal(loaded.log_density(x), mixture.log_density(x))
    assert loaded.converged_ == mixture.converged_
    # A second fit may have another number of columns.
    loaded.fit(torch.as_tensor(np.random.default_rng(0).dirichlet([2, 3], size=50)))


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_constant_columns_and_repeated_rows(covariance):
    x = torch.as_tensor(blobs(1, 60, 3))
    x[:, 1] = 2.5
    x = torch.cat([x, x[:1].repeat(40, 1)])
    mixture = DirichletProcessMixture(4, covariance_type=covariance).fit(x)
    assert mixture.log_density(x).isfinite().all()
    moved = x.clone()
    moved[:, 1] += 1
    assert (mixture.log_density(moved) < mixture.log_density(x)).all()


def test_columns_that_depend_on_one_another():
    rng = np.random.default_rng(1)
    part = rng.normal(size=(400, 4)) * [9, 7, 5, 3]
    x = torch.as_tensor(np.c_[part, part @ rng.normal(size=4)])
    # With too many components, some have the covariance of the prior.
    mixture = DirichletProcessMixture(20).fit(x)
    assert mixture.weights_.min() < 1e-6
    away = x.clone()
    away[:, 4] += 1
    assert (mixture.log_density(away) < mixture.log_density(x)).all()


def test_log_density_has_gradients():
    x = torch.as_tensor(blobs(0, 50, 2))
    mixture = DirichletProcessMixture(2).fit(x)
    y = x[:4].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(mixture.log_density, (y,))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((5, 2), torch.nan), "x must be finite, got NaN or infinity"),
        (torch.zeros(2, 2), r"rows of the mixture must be at least 3 \(n_components\), got 2"),
        (torch.zeros(5), r"2 dimensions \(rows, columns\), got 1"),
    ],
)
def test_data_that_cannot_be_fitted_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        DirichletProcessMixture(3).fit(x)


def test_wrong_parameters_and_columns_are_refused():
    x = torch.as_tensor(blobs(0, 30, 2))
    for name, value in {
        "components": "student",
        "covariance_type": "tied",
        "n_init": 0,
        "tol": -1.0,
        "reg_covar": float("nan"),
        "weight_concentration_prior": 0.0,
    }.items():
        with pytest.raises(InputError, match=name):
            DirichletProcessMixture(**{name: value}).fit(x)
    mixture = DirichletProcessMixture(2).fit(x)
    with pytest.raises(InputError, match="2 columns, got 3"):
        mixture.score_samples(torch.zeros(4, 3))
    with pytest.raises(InputError, match="rows of x must be proportions"):
        DirichletProcessMixture(2, components="dirichlet").fit(x)


def test_ilr_is_an_isometry_of_centred_log_ratios():
    rng = np.random.default_rng(0)
    log_p = torch.as_tensor(np.log(rng.dirichlet(np.ones(5), size=20)))
    centred = log_p - log_p.mean(1, keepdim=True)
    torch.testing.assert_close(torch.cdist(ilr(log_p), ilr(log_p)), torch.cdist(centred, centred))
    # Adding a constant to the logs (another total) changes nothing.
    torch.testing.assert_close(ilr(log_p - 3), ilr(log_p))
    assert ilr(torch.tensor([[0.0, -torch.inf]])).isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu():
    x = torch.as_tensor(blobs(0))
    cpu = DirichletProcessMixture(4).fit(x)
    cuda = DirichletProcessMixture(4).fit(x.cuda())
    torch.testing.assert_close(cuda.log_density(x.cuda()).cpu(), cpu.log_density(x))
