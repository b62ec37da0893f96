"""Blocks, the autoencoder and its parts."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gepc_geo.errors import InputError
from gepc_geo.nn import STGCAE, STBlock, count_flops
from gepc_geo.nn.attention import ATTENTIONS
from gepc_geo.nn.block import TemporalConv
from gepc_geo.nn.norm import ChannelNorm
from gepc_geo.poses.skeleton import SKELETONS


def model(name: str = "coco18", window: int = 12, channels: int = 3, **options) -> STGCAE:
    skeleton = SKELETONS[name]
    return STGCAE(channels, skeleton.num_joints, window, adj=skeleton.adjacency(), **options)


def test_default_sizes_are_near_those_of_the_public_implementation():
    """Latent of 1152; size close to the 793,431 parameters of the public implementation."""
    net = model()
    assert net.latent_dim == 1152
    assert 700_000 < sum(p.numel() for p in net.parameters()) < 900_000


@pytest.mark.parametrize("name", ["box5", "penn13", "kinect20"])
@pytest.mark.parametrize("window", [6, 12, 24])
def test_any_skeleton_and_window_gives_a_reconstruction_of_its_shape(name, window):
    net = model(name, window, 5, hidden=2, out_channels=4)
    x = torch.randn(3, window, SKELETONS[name].num_joints, 5)
    reconstruction, z = net(x)
    assert reconstruction.shape == (*x.shape[:3], 4)
    assert z.shape == (3, net.latent_dim)
    torch.testing.assert_close(net.eval().decode(net.encode(x)), net(x)[0])


def test_strides_decide_allowed_windows_and_upsampling():
    with pytest.raises(
        InputError, match="window must be a multiple of 6, the product of the strides, got 10"
    ):
        model(window=10)
    net = model("box5", 16, encoder_channels=[2, 2, 2], strides=[2, 2, 4], decoder_channels=[2, 2])
    assert stretches(net) == {"stretch_1": (16, 1)}
    assert net(torch.randn(2, 16, 5, 3))[0].shape == (2, 16, 5, 3)
    assert stretches(model("box5")) == {"stretch_1": (6, 2), "stretch_3": (12, 6)}


def stretches(net: nn.Module) -> dict[str, tuple[int, ...]]:
    buffers = {n: b for n, b in net.named_buffers() if n.startswith("stretch")}
    assert not set(buffers) & set(net.state_dict())
    return {name: tuple(matrix.shape) for name, matrix in buffers.items()}


def test_upsampling_is_linear_interpolation():
    net, x = model("box5"), torch.randn(2, 6, 5, 3)
    expected = F.interpolate(x.flatten(2).mT, scale_factor=2, mode="linear").mT.view(2, 12, 5, 3)
    ours = (net.stretch_3 @ x.flatten(2)).view(2, 12, 5, 3)
    torch.testing.assert_close(ours, expected)


def test_windows_do_not_leak_into_each_other():
    net = model("box5", hidden=2).eval()
    x = torch.randn(4, 12, 5, 3)
    alone = torch.cat([net.encode(one[None]) for one in x])
    torch.testing.assert_close(net.encode(x), alone, rtol=1e-4, atol=1e-5)


def test_every_parameter_learns():
    net = model("box5", hidden=2)
    reconstruction, _ = net(torch.randn(8, 12, 5, 3))
    reconstruction.square().sum().backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # In a softmax over sources, a bias of theta cancels because all sources share it.
    assert not [name for name in still if "phi.bias" not in name and "theta.bias" not in name]


@pytest.mark.parametrize("name", ATTENTIONS)
def test_every_layer_has_the_attention_that_is_asked_for(name):
    net = model("box5", hidden=1, branches=("inferred",), attention=name)
    layers = [*(block.spatial for block in [*net.encoder, *net.decoder]), net.output]
    assert {type(layer.attention) for layer in layers} == {ATTENTIONS[name]}
    net(torch.randn(8, 12, 5, 3))[0].square().sum().backward()
    assert all(layer.attention.theta.weight.grad.any() for layer in layers)


def test_adjacency_moves_and_is_saved_with_the_model():
    net = model("box5", hidden=1)
    assert "adj" in net.state_dict()
    assert net.double().adj.dtype == torch.float64
    torch.testing.assert_close(copy.deepcopy(net).adj, net.adj)


def test_reset_draws_new_parameters():
    torch.manual_seed(0)
    net = model("box5", hidden=1)
    before = copy.deepcopy(net.state_dict())
    net.reset_parameters()
    changed = [n for n, v in net.state_dict().items() if n.endswith("weight") and "norm" not in n]
    assert all(not torch.equal(before[name], net.state_dict()[name]) for name in changed)


def test_channel_norm_is_batch_norm_over_the_last_dimension():
    x = torch.randn(3, 4, 5, 6) * 2 + 1
    ours, theirs = ChannelNorm(6), nn.BatchNorm1d(6)
    torch.testing.assert_close(ours(x), theirs(x.reshape(-1, 6)).view(x.shape))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours(x[0]), ours(x[:1])[0])


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_temporal_convolution_sees_one_node_over_time(stride):
    layer = TemporalConv(3, 4, 5, stride)
    x = torch.randn(2, 12, 6, 3)
    out = layer(x)
    for node in range(6):
        expected = F.conv1d(x[:, :, node].mT, layer.weight[..., 0], layer.bias, stride, padding=2)
        torch.testing.assert_close(out[:, :, node], expected.mT, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_kernel_of_one_frame_keeps_every_strideth(stride):
    """An odd number of windows and two threads, which break a strided 1x1 convolution."""
    layer, threads = TemporalConv(2, 2, 1, stride), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(100):
            x = torch.randn(17, 12, 20, 2, requires_grad=True)
            out = layer(x)
            out.sum().backward()
    finally:
        torch.set_num_threads(threads)
    expected = F.linear(x[:, ::stride], layer.weight[..., 0, 0], layer.bias)
    torch.testing.assert_close(out, expected)
    kept = torch.zeros(12, dtype=torch.bool)
    kept[::stride] = True
    column = layer.weight.detach()[..., 0, 0].sum(0).expand(17, int(kept.sum()), 20, 2)
    torch.testing.assert_close(x.grad[:, kept], column)
    assert not x.grad[:, ~kept].any()


@pytest.mark.parametrize(("inside", "outside", "stride"), [(4, 4, 1), (4, 6, 1), (4, 4, 3)])
def test_a_block_equals_its_layers_in_order(inside, outside, stride):
    block = STBlock(inside, outside, 5, stride=stride).eval()
    x, adj = torch.randn(2, 6, 5, inside), SKELETONS["box5"].adjacency()
    y = block.temporal_norm(block.temporal(F.relu(block.spatial_norm(block.spatial(x, adj)))))
    short = x if block.shortcut is None else block.shortcut_norm(block.shortcut(x))
    torch.testing.assert_close(block(x, adj), F.relu(y + short))
    assert block(x, adj).shape == (2, 6 // stride, 5, outside)


def test_dropout_acts_before_the_residual_and_only_in_training():
    torch.manual_seed(0)
    block = STBlock(4, 4, 5, act=False, dropout=0.3)
    block.temporal_norm.weight.data.zero_()
    block.temporal_norm.bias.data.fill_(1)
    x, adj = torch.randn(500, 12, 5, 4), SKELETONS["box5"].adjacency()
    torch.manual_seed(1)
    out = block(x, adj) - x
    torch.manual_seed(1)
    assert torch.equal(block(x, adj) - x, out)
    assert abs(float((out.abs() < 1e-6).float().mean()) - 0.3) < 0.01
    assert abs(float(out.mean()) - 1) < 0.01
    torch.testing.assert_close(block.eval()(x, adj) - x, torch.ones_like(x))


def test_flops_are_near_the_published_count():
    """The ordinary network takes 84 MFLOP a window to encode and 571 to train."""
    flops = count_flops(model())
    assert 60e6 < flops["encode"] < 110e6
    assert 400e6 < flops["train"] < 800e6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"strides": (2, 3)},
            "strides must have 9 numbers, one for each of encoder_channels, got 2",
        ),
        ({"decoder_channels": ()}, "decoder_channels must have at least one block"),
        (
            {"attention": "cosine"},
            "attention must be dot, scaled_dot, additive or an Attention, got 'cosine'",
        ),
        ({"kernel_size": 8}, "kernel_size must be an odd number, got 8"),
        ({"encoder_channels": (4.5,) * 9}, "encoder_channels must be a whole number, got 4.5"),
        ({"strides": (0,) * 9}, "strides must be at least 1, got 0"),
        ({"kernel_size": 3.0}, "kernel_size must be a whole number, got 3.0"),
        ({"out_channels": 2.5}, "out_channels must be a whole number, got 2.5"),
        ({"dropout": 1.0}, "dropout must be at least 0 and less than 1, got 1.0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        model("box5", hidden=1, **options)


@pytest.mark.parametrize("shape", [(2, 18, 5, 3), (2, 13, 5, 3), (2, 12, 6, 3), (2, 12, 5, 4)])
def test_windows_of_another_shape_are_refused(shape):
    """Unchecked, two windows of 18 frames would decode to three windows of 12."""
    with pytest.raises(InputError, match=r"windows must be \(12, 5, 3\)"):
        model("box5", hidden=1)(torch.randn(shape))
