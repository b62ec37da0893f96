"""The ordinary network and ours have equal outputs."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from gepc_geo.bench.reference import OrdinaryConv, OrdinarySTGCAE
from gepc_geo.nn import STGCAE, DenseSpatialAttentionConv
from gepc_geo.nn.spatial import BRANCHES
from gepc_geo.poses.skeleton import SKELETONS

SUBSETS = [c for n in (1, 2, 3) for c in combinations(BRANCHES, n)]


@pytest.mark.parametrize("channels", [2, 4, 6])
@pytest.mark.parametrize("branches", SUBSETS, ids="+".join)
def test_the_ordinary_layer_equals_ours(channels, branches):
    torch.manual_seed(0)
    for norm in (True, False):
        layer = DenseSpatialAttentionConv(4, channels, 5, branches=branches, norm=norm)
        ordinary = OrdinaryConv(layer).double()
        x, adj = torch.randn(3, 2, 5, 4).double(), torch.rand(3, 5, 5).double()
        expected = layer.double()(x, adj)
        out = ordinary(x.permute(0, 3, 1, 2), adj).permute(0, 2, 3, 1)
        torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("training", [True, False])
def test_the_ordinary_network_has_our_outputs_and_gradients(training):
    torch.manual_seed(0)
    skeleton = SKELETONS["coco18"]
    ours = STGCAE(3, 18, 12, adj=skeleton.adjacency(), hidden=2, dropout=0.0).double()
    for name, value in ours.state_dict().items():
        if "running_var" in name or name.endswith("adjacency"):
            value += 0.3 * torch.rand_like(value)
    theirs = OrdinarySTGCAE(ours.float()).double()
    ours.double()
    outputs, gradients = [], []
    x = torch.randn(4, 12, 18, 3, dtype=torch.float64)
    for model in (ours.train(training), theirs.train(training)):
        given = x.clone().requires_grad_()
        outputs.append(model(given))
        (gradient,) = torch.autograd.grad(outputs[-1][0].square().mean(), given)
        gradients.append(gradient)
    # Our up-sampling matrix has thirds in float32.
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-5)
