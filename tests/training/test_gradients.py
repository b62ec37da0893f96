"""Each loss clips its own gradient."""

from __future__ import annotations

import torch

from gepc_geo.training.gradients import clipped_gradients


def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.tensor(value)) for value in (1.0, 2.0, 3.0, 4.0)]


def test_gradients_equal_a_hand_worked_case():
    """Encoder, decoder, clusters: gradients (3, 4, -) and (12, -, 5), and one that none reaches."""
    encoder, decoder, clusters, other = parameters()
    hidden = 2 * encoder
    losses = [1.5 * hidden + 4 * decoder, 6 * hidden + 5 * clusters]
    clipped_gradients(losses, [encoder, decoder, clusters, other])
    # The first has norm 5, the second 13.
    expected = torch.tensor([3 / 5 + 12 / 13, 4 / 5, 5 / 13])
    found = torch.stack([encoder.grad, decoder.grad, clusters.grad])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert other.grad is None


def test_a_large_loss_does_not_shrink_gradients_of_another():
    for factor in (1.0, 1e6):
        encoder, decoder, clusters, _ = parameters()
        hidden = encoder.square()
        clipped_gradients(
            [0.1 * (hidden - decoder), factor * (hidden - clusters)],
            [encoder, decoder, clusters],
        )
        torch.testing.assert_close(decoder.grad, torch.tensor(-0.1))


def test_small_gradients_are_not_clipped_and_old_ones_are_replaced():
    encoder, decoder, _, _ = parameters()
    encoder.grad = torch.tensor(99.0)
    clipped_gradients([0.1 * encoder], [encoder, decoder])
    torch.testing.assert_close(encoder.grad, torch.tensor(0.1))
    clipped_gradients([0.1 * encoder, 0.2 * encoder], [encoder])
    torch.testing.assert_close(encoder.grad, torch.tensor(0.3))
