"""Masked statistics are those of the present nodes."""

from __future__ import annotations

import torch

from gepc_geo.nn.norm import ChannelNorm


def test_statistics_leave_masked_nodes_out():
    torch.manual_seed(0)
    x, mask = torch.randn(4, 3, 5, 2), torch.rand(4, 5) < 0.6
    masked, plain = ChannelNorm(2), ChannelNorm(2)
    nodes = x.transpose(1, 2)[mask]
    for _ in range(2):
        out = masked(x, mask).transpose(1, 2)[mask]
        torch.testing.assert_close(out, plain(nodes))
    for a, b in zip(masked.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_single_value_is_normalised_by_running_statistics():
    norm = ChannelNorm(2)
    norm.running_mean.fill_(1.0)
    x, mask = torch.full((2, 1, 3, 2), 3.0), torch.zeros(2, 3, dtype=torch.bool)
    mask[0, 1] = True
    for out in (norm(x, mask), norm(x[:1, :, 0])):
        torch.testing.assert_close(out, torch.full_like(out, 2.0))
    assert int(norm.num_batches_tracked) == 0


def test_half_precision_keeps_its_dtype():
    norm = ChannelNorm(2)
    x, mask = torch.randn(4, 3, 5, 2).bfloat16(), torch.ones(4, 5, dtype=torch.bool)
    out = norm(x, mask)
    assert out.dtype == torch.bfloat16 and norm.running_mean.dtype == torch.float32
    assert out.float().mean().abs() < 0.05


def test_a_norm_folded_into_a_linear_map_gives_the_same_output():
    torch.manual_seed(0)
    norm = ChannelNorm(4).double()
    norm(torch.randn(5, 3, 2, 4, dtype=torch.float64) * 3 + 1)
    norm.eval()
    with torch.no_grad():
        norm.weight.uniform_()
        norm.bias.normal_()
    x, weight, bias = (torch.randn(*size).double() for size in ((6, 3), (3, 4), (4,)))
    for given in (None, bias):
        folded, shift = norm.fold(weight, given)
        plain = x @ weight + (0 if given is None else given)
        torch.testing.assert_close(x @ folded + shift, norm(plain.view(1, 1, 6, 4)).view(6, 4))


def test_without_momentum_all_batches_weigh_the_same():
    """A momentum of None, as torch.optim.swa_utils.update_bn sets it."""
    torch.manual_seed(0)
    masked, plain = ChannelNorm(2), ChannelNorm(2)
    masked.momentum = plain.momentum = None
    for _ in range(3):
        x, mask = torch.randn(4, 3, 5, 2), torch.ones(4, 5, dtype=torch.bool)
        masked(x, mask)
        plain(x)
    for a, b in zip(masked.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(a, b)
