"""Soft assignments, targets and losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.density.kmeans import kmeans
from gepc_geo.errors import InputError
from gepc_geo.nn import (
    STGCAE,
    SoftAssignment,
    clustering_loss,
    reconstruction_loss,
    target_distribution,
)
from gepc_geo.poses.skeleton import SKELETONS


@pytest.mark.parametrize("form", ["softmax", "student"])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_start_agrees_with_k_means(form, offset):
    """Holds for latents far from the origin and of different norms; plain centroids fail there."""
    z = torch.randn(500, 12, generator=torch.Generator().manual_seed(0)) * 3 + offset
    layer = SoftAssignment(7, 12, form)
    scaled = layer.standardize(z)
    expected = (z - z.mean(0)) / (z - z.mean(0)).square().mean().sqrt()
    torch.testing.assert_close(scaled, expected)
    found = kmeans(scaled, 7, generator=torch.Generator().manual_seed(1))
    layer.start(scaled, found.centers, found.labels)
    assert torch.equal(layer(z).argmax(1), found.labels)
    p = layer.soft_assignment(z)
    torch.testing.assert_close(p.sum(1), torch.ones(500))
    if form == "softmax":
        top = layer(z).topk(2, dim=1).values
        assert (top[:, 0] - top[:, 1]).mean().item() == pytest.approx(2, rel=1e-3)


def test_the_softmax_assignment_is_equation_one():
    layer = SoftAssignment(3, 2)
    z = torch.randn(5, 2)
    augmented = torch.cat([(z - layer.mean) / layer.scale, torch.ones(5, 1)], 1)
    weights = torch.stack([torch.exp(augmented @ theta) for theta in layer.theta], 1)
    torch.testing.assert_close(layer.soft_assignment(z), weights / weights.sum(1, keepdim=True))


def test_the_student_assignment_is_the_student_kernel():
    layer = SoftAssignment(3, 2, "student")
    z = torch.randn(5, 2)
    kernel = 1 / (1 + torch.cdist(z, layer.theta).square())
    torch.testing.assert_close(layer.soft_assignment(z), kernel / kernel.sum(1, keepdim=True))


def test_unknown_forms_are_refused():
    with pytest.raises(InputError, match="assignment is 'hard'"):
        SoftAssignment(3, 2, "hard")
    with pytest.raises(InputError, match="num_clusters must be a whole number, got 2.5"):
        SoftAssignment(2.5, 3)
    with pytest.raises(InputError, match="target is 'hard'"):
        target_distribution(torch.zeros(2, 2), "hard")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 30), k=st.integers(2, 6))
def test_targets_equal_the_printed_formulas(seed, n, k):
    p = np.random.default_rng(seed).dirichlet(np.ones(k), size=n)
    log_p = torch.as_tensor(np.log(p))
    f = p.sum(0)
    for form, raw in (("paper", p / np.sqrt(f)), ("dec", p**2 / f)):
        expected = raw / raw.sum(1, keepdims=True)
        np.testing.assert_allclose(target_distribution(log_p, form), expected, rtol=1e-9)


def test_equal_frequencies_leave_the_papers_targets_alone():
    """Eq. 3 balances sizes only; the form of DEC also sharpens."""
    p = torch.tensor([[0.7, 0.3], [0.3, 0.7]])
    torch.testing.assert_close(target_distribution(p.log(), "paper"), p)
    assert target_distribution(p.log(), "dec").max() > 0.8


def test_losses_equal_hand_worked_values():
    p, q = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[1.0, 0.0], [0.9, 0.1]])
    assert clustering_loss(p.log(), q).item() == pytest.approx(np.log(2) / 2)
    x = torch.zeros(1, 1, 2, 2)
    y = torch.tensor([[[[1.0, 3.0], [10.0, 10.0]]]])
    assert reconstruction_loss(y, x).item() == pytest.approx((5 + 100) / 2)
    seen = torch.tensor([[[True, False]]])
    assert reconstruction_loss(y, x, seen).item() == pytest.approx(5)
    assert reconstruction_loss(y, x, ~seen & False).item() == 0


def test_each_part_learns_from_its_own_loss():
    """Section 3.5: cluster layer from L_cluster, decoder from L_rec, encoder from both."""
    skeleton = SKELETONS["box5"]
    net = STGCAE(3, 5, 12, adj=skeleton.adjacency(), hidden=1)
    layer = SoftAssignment(3, net.latent_dim)
    x = torch.randn(6, 12, 5, 3)
    reconstruction, z = net(x)
    q = target_distribution(layer(z).detach(), "dec")
    losses = {
        "rec": reconstruction_loss(reconstruction, x),
        "cluster": clustering_loss(layer(z), q),
    }
    parts = {
        "encoder": list(net.encoder.parameters()),
        "decoder": [*net.decoder.parameters(), *net.output.parameters()],
        "layer": [layer.theta],
    }
    for loss, touched in (("rec", {"encoder", "decoder"}), ("cluster", {"encoder", "layer"})):
        for part, parameters in parts.items():
            gradients = torch.autograd.grad(
                losses[loss], parameters, retain_graph=True, allow_unused=True
            )
            moved = any(g is not None and bool(g.any()) for g in gradients)
            assert moved == (part in touched), (loss, part)
