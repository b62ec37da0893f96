"""ST-GCN block, compared with a channels-first block written from the paper."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.errors import InputError
from gepc_geo.nn import STGCAE, DenseSpatialAttentionConv, STBlock, STGCNBlock
from gepc_geo.poses.skeleton import SKELETONS


class Reference(nn.Module):
    """Block of Yan et al. on [B, C, T, V]."""

    def __init__(self, inside: int, outside: int, subsets: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.spatial = nn.Conv2d(inside, subsets * outside, 1)
        self.spatial_norm = nn.BatchNorm2d(outside)
        self.temporal = nn.Conv2d(
            outside, outside, (kernel, 1), (stride, 1), padding=(kernel // 2, 0)
        )
        self.temporal_norm = nn.BatchNorm2d(outside)
        self.residual = nn.Sequential()
        if inside != outside or stride != 1:
            self.residual = nn.Sequential(
                nn.Conv2d(inside, outside, 1, (stride, 1)), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        y = self.spatial(x).unflatten(1, (self.subsets, -1))
        y = torch.einsum("bsctv,svw->bctw", y, adj)
        y = self.temporal_norm(self.temporal(F.relu(self.spatial_norm(y))))
        return F.relu(y + self.residual(x))


#: Names of the reference's parts by ours.
PARTS = {
    "spatial.mix": "spatial",
    "spatial_norm": "spatial_norm",
    "temporal": "temporal",
    "temporal_norm": "temporal_norm",
    "shortcut": "residual.0",
    "shortcut_norm": "residual.1",
}
SIZES = [(4, 4, 1), (4, 6, 1), (6, 4, 1), (4, 4, 2), (4, 6, 2)]


def pair(inside: int, outside: int, stride: int, dropout: float) -> tuple[STGCNBlock, Reference]:
    """Our block and the reference with the same random weights and statistics."""
    torch.manual_seed(0)
    block = STGCNBlock(inside, outside, 3, 5, stride, dropout).double()
    for name, value in block.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + (0.5 if name.endswith("var") else -0.5))
    reference = Reference(inside, outside, 3, 5, stride).double()
    theirs = reference.state_dict()
    for name, value in block.state_dict().items():
        part, what = name.rsplit(".", 1)
        theirs[f"{PARTS[part]}.{what}"].copy_(value.view_as(theirs[f"{PARTS[part]}.{what}"]))
    assert len(theirs) == len(block.state_dict())
    return block, reference


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("inside", "outside", "stride"), SIZES)
def test_equals_the_block_of_the_paper(inside, outside, stride, training):
    # Random masks differ, so blocks are compared without dropout.
    block, reference = pair(inside, outside, stride, dropout=0.0 if training else 0.5)
    block.train(training), reference.train(training)
    adj = torch.rand(3, 5, 5, dtype=torch.float64)
    x = torch.randn(7, 6, 5, inside, dtype=torch.float64, requires_grad=True)
    y = x.detach().permute(0, 3, 1, 2).contiguous().requires_grad_()
    ours, theirs = block(x, adj), reference(y, adj)
    assert ours.shape == (7, 6 // stride, 5, outside)
    close(ours, theirs.permute(0, 2, 3, 1))
    weight = torch.randn_like(ours)
    (ours * weight).sum().backward()
    (theirs * weight.permute(0, 3, 1, 2)).sum().backward()
    close(x.grad, y.grad.permute(0, 2, 3, 1))
    parameters = dict(reference.named_parameters())
    for name, value in block.named_parameters():
        part, what = name.rsplit(".", 1)
        close(value.grad, parameters[f"{PARTS[part]}.{what}"].grad.view_as(value))
    buffers = dict(reference.named_buffers())
    for name, value in block.named_buffers():
        part, what = name.rsplit(".", 1)
        close(value, buffers[f"{PARTS[part]}.{what}"])


def test_without_the_last_activation_outputs_may_be_negative():
    block, x = STGCNBlock(3, 4), torch.randn(2, 6, 5, 3)
    adj = SKELETONS["box5"].adjacency()
    plain = STGCNBlock(3, 4, act=False)
    plain.load_state_dict(block.state_dict())
    torch.testing.assert_close(F.relu(plain(x, adj)), block(x, adj))
    assert (plain(x, adj) < 0).any()


def test_reset_draws_new_parameters():
    block = STGCNBlock(3, 4)
    before = block.spatial.mix.weight.clone()
    block.reset_parameters()
    assert not torch.equal(block.spatial.mix.weight, before)
    assert repr(block.spatial) == "SpatialConv(3, 4, num_relations=3)"


@pytest.mark.parametrize("branches", [["static"], ("static",)])
def test_an_autoencoder_of_static_adjacencies_consists_of_this_block(branches):
    """Model of the paper for Kinetics; the output layer is one graph convolution."""
    skeleton = SKELETONS["box5"]
    net = STGCAE(3, 5, 12, adj=skeleton.adjacency(), hidden=2, branches=branches, kernel_size=3)
    blocks = [*net.encoder, *net.decoder]
    assert all(type(block) is STGCNBlock for block in blocks)
    assert all(block.temporal.kernel_size == (3, 1) for block in blocks)
    assert [block.dropout for block in net.encoder] == [0.3] * 8 + [0.0]
    assert [block.act for block in net.encoder] == [True] * 8 + [False]
    assert type(net.output) is DenseSpatialAttentionConv
    assert net.output.norms is None and not net.output.residual
    reconstruction, z = net(torch.randn(8, 12, 5, 3))
    assert reconstruction.shape == (8, 12, 5, 3) and z.shape == (8, net.latent_dim)
    reconstruction.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_an_autoencoder_of_other_adjacencies_has_other_blocks():
    adj = SKELETONS["box5"].adjacency()
    net = STGCAE(3, 5, 12, adj=adj, hidden=1, branches=("static", "global"))
    assert all(type(block) is STBlock for block in [*net.encoder, *net.decoder])


@pytest.mark.parametrize(
    ("x", "adj", "message"),
    [
        ((2, 6, 5, 4), (3, 5, 5), r"x must be \[B, T, V, C\] with C = 3, got \[2, 6, 5, 4\]"),
        ((6, 5, 3), (3, 5, 5), r"x must be \[B, T, V, C\] with C = 3, got \[6, 5, 3\]"),
        ((2, 6, 5, 3), (2, 5, 5), r"adj must be \[3, 5, 5\] \(S, V, V\), got \[2, 5, 5\]"),
        ((2, 6, 5, 3), (3, 4, 4), r"adj must be \[3, 5, 5\] \(S, V, V\), got \[3, 4, 4\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, adj, message):
    with pytest.raises(InputError, match=message):
        STGCNBlock(3, 4)(torch.randn(x), torch.randn(adj))


def test_wrong_sizes_are_refused():
    with pytest.raises(InputError, match="out_channels must be at least 1, got 0"):
        STGCNBlock(3, 0)
    with pytest.raises(InputError, match=r"num_relations must be a whole number, got 3\.0"):
        STGCNBlock(3, 4, num_relations=3.0)
