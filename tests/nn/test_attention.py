"""Attention forms: the base class, and a custom form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from graphs import RAGGED, random_graphs
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.nn import (
    AdditiveAttention,
    Attention,
    DenseSpatialAttentionConv,
    DotProductAttention,
    ScaledDotProductAttention,
    SpatialAttentionConv,
)


class Activated(Attention):
    """Form of GATv2: an activation before the sum over channels."""

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        return F.leaky_relu(source + target, 0.2).sum((-2, -1))


FORMS = [DotProductAttention, ScaledDotProductAttention, AdditiveAttention, Activated]


@pytest.mark.parametrize("form", FORMS)
def test_all_pairs_are_scored_like_single_pairs(form):
    attention = form(3, 4, 2)
    source, target = (y.permute(0, 3, 2, 1, 4) for y in attention(torch.randn(2, 3, 5, 3)))
    pairs = attention.score_pairs(source, target)
    assert pairs.shape == (2, 2, 5, 5)
    for v in range(5):
        for w in range(5):
            one = attention.score(source[:, :, v], target[:, :, w])
            torch.testing.assert_close(pairs[:, :, v, w], one)


@pytest.mark.parametrize("scope", ["all", "edges"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_equal_sparse_and_dense_layers(form, scope):
    sparse = SpatialAttentionConv(
        3, 4, None, 2, ("inferred",), scope=scope, attention=form(3, 4, 2)
    )
    dense = DenseSpatialAttentionConv(
        3, 4, None, 2, ("inferred",), scope=scope, attention=form(3, 4, 2)
    )
    dense.load_state_dict(sparse.state_dict())
    sparse.double().eval(), dense.double().eval()
    g = random_graphs(RAGGED)
    out = dense(g.dense, g.adj, g.mask).transpose(1, 2)[g.mask]
    torch.testing.assert_close(sparse(*g.sparse), out, rtol=1e-10, atol=1e-10)


def test_scaled_logits_have_unit_spread_for_many_frames_and_channels():
    torch.manual_seed(0)
    source, target = torch.randn(2, 1000, 64, 16)
    assert 0.8 < ScaledDotProductAttention(3, 16, 1).score(source, target).std() < 1.2


def test_repr_shows_the_options_and_reset_draws_anew():
    attention = DotProductAttention(3, 4, 2)
    assert repr(attention) == "DotProductAttention(3, 4, num_relations=2)"
    before = attention.theta.weight.clone()
    attention.reset_parameters()
    assert not torch.equal(attention.theta.weight, before)


def test_unknown_or_unfitting_forms_are_refused():
    with pytest.raises(
        InputError,
        match="attention must be dot, scaled_dot, additive or an Attention, got 'cosine'",
    ):
        SpatialAttentionConv(3, 4, 5, attention="cosine")
    with pytest.raises(
        InputError, match="attention must have 3 channels and 3 relations, got 3 and 1"
    ):
        SpatialAttentionConv(3, 4, 5, attention=DotProductAttention(3, 4, 1))
