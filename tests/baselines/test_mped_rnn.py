"""The network of the skeleton-trajectory model: components, message passing, decoders."""

from __future__ import annotations

import math

import numpy as np
import torch
from helpers import NoReading
from hypothesis import given
from hypothesis import strategies as st

from gepc_geo.baselines.mped_rnn import MPEDRNN, MessagePassingGRU, decompose


def skeletons(draw_seed: int, joints: int, on_a_line: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Random skeletons [4, V, 2] and masks of detected joints; the last has none."""
    generator = torch.Generator().manual_seed(draw_seed)
    keypoints = 100 * torch.randn(4, joints, 2, generator=generator, dtype=torch.float64)
    keypoints[..., 0] *= not on_a_line
    seen = torch.rand(4, joints, generator=generator) < 0.6
    seen[3] = False
    return keypoints, seen


@given(st.integers(0, 2**31), st.integers(1, 20), st.booleans())
def test_recomposition_inverts_decomposition(seed, joints, on_a_line):
    keypoints, seen = skeletons(seed, joints, on_a_line)
    parts = decompose(keypoints, seen)
    center, size = parts.box.split(2, dim=-1)
    recomposed = center[:, None] + parts.local.unflatten(-1, (joints, 2)) * size[:, None]
    known = seen | ~seen.any(1, keepdim=True)
    torch.testing.assert_close(recomposed[known], keypoints[known], rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(parts.image, keypoints.flatten(1))
    assert parts.local.abs().max() <= 0.5 + 1e-12


@given(st.integers(0, 2**31), st.integers(2, 20))
def test_the_box_is_around_detected_joints(seed, joints):
    keypoints, seen = skeletons(seed, joints, False)
    box = decompose(keypoints, seen).box
    for one, known, found in zip(keypoints.numpy(), seen.numpy(), box.numpy(), strict=True):
        points = one[known] if known.any() else one
        low, high = points.min(0), points.max(0)
        np.testing.assert_allclose(found, [*(low + high) / 2, *(high - low)], rtol=1e-12)


def test_components_of_a_hand_worked_skeleton():
    keypoints = torch.tensor([[[1.0, 10.0], [3.0, 30.0], [2.0, 14.0], [9.0, -50.0]]])
    seen = torch.tensor([[True, True, True, False]])
    parts = decompose(keypoints, seen)
    assert parts.box.tolist() == [[2, 20, 2, 20]]
    inside = [[-0.5, -0.5], [0.5, 0.5], [0, -0.3], [0.5, -0.5]]
    torch.testing.assert_close(parts.local.view(4, 2), torch.tensor(inside))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def affine(layer: dict[str, np.ndarray], kind: str, x: list[float]) -> list[float]:
    """``W x + b`` with loops."""
    weight, bias = layer[f"weight{kind}"], layer[f"bias{kind}"]
    return [
        sum(w * value for w, value in zip(row, x, strict=True)) + b
        for row, b in zip(weight, bias, strict=True)
    ]


def gru(cell: dict[str, np.ndarray], x: list[float], h: list[float]) -> list[float]:
    """A gated recurrent unit: reset and update gate, candidate; unit by unit."""
    given_x, given_h = affine(cell, "_ih", x), affine(cell, "_hh", h)
    size = len(h)
    result = []
    for u in range(size):
        reset = sigmoid(given_x[u] + given_h[u])
        update = sigmoid(given_x[size + u] + given_h[size + u])
        new = math.tanh(given_x[2 * size + u] + reset * given_h[2 * size + u])
        result.append((1 - update) * new + update * h[u])
    return result


def by_hand(step: MessagePassingGRU, state: list, inputs: list | None) -> list:
    """Eq. 4 to 11 for one skeleton: the next states of the global and the local branch."""
    part = {
        name: {key: value.detach().numpy() for key, value in module.state_dict().items()}
        for name, module in step.named_children()
    }
    to_local = [sigmoid(value) for value in affine(part["from_global"], "", state[0])]
    to_global = [sigmoid(value) for value in affine(part["from_local"], "", state[1])]
    own = ([], []) if inputs is None else inputs
    return [
        gru(part["global_cell"], [*own[0], *to_global], state[0]),
        gru(part["local_cell"], [*own[1], *to_local], state[1]),
    ]


def test_a_recurrent_step_equals_the_formulas():
    torch.manual_seed(0)
    state = (torch.randn(3, 2).double(), torch.randn(3, 5).double())
    inputs = (torch.randn(3, 4).double(), torch.randn(3, 6).double())
    for channels, given_inputs in (((4, 6), inputs), ((0, 0), None)):
        step = MessagePassingGRU(channels, (2, 5)).double()
        found = step(state, given_inputs)
        for row in range(3):
            own = None if given_inputs is None else [one[row].tolist() for one in given_inputs]
            expected = by_hand(step, [one[row].tolist() for one in state], own)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one[row].tolist(), other, rtol=1e-10)


def test_the_segment_is_decoded_backwards_and_the_future_forwards():
    """Compared with loops over single windows, in the order of eq. 8 to 11."""
    torch.manual_seed(0)
    joints, frames, predicted = 3, 4, 2
    model = MPEDRNN(joints, predicted, hidden=(2, 3)).double()
    box, local = torch.randn(2, frames, 4).double(), torch.randn(2, frames, 6).double()
    found = model(box, local)
    for row in range(2):
        state = [[0.0] * 2, [0.0] * 3]
        for t in range(frames):
            state = by_hand(model.encoder, state, [box[row, t].tolist(), local[row, t].tolist()])
        states: dict[int, tuple] = {}
        back, ahead = state, state
        for t in range(frames - 1, -1, -1):
            states[t] = (model.reconstruction, back)
            back = by_hand(model.reconstruction.gru, back, None)
        for t in range(frames, frames + predicted):
            ahead = by_hand(model.prediction.gru, ahead, None)
            states[t] = (model.prediction, ahead)
        for t, (decoder, (of_global, of_local)) in states.items():
            a_box = affine(numbers(decoder.box), "", of_global)
            a_local = affine(numbers(decoder.local), "", of_local)
            image = affine(numbers(decoder.image), "", [*a_box, *a_local])
            for part, expected in zip(found, (a_box, a_local, image), strict=True):
                assert part.shape[:2] == (2, frames + predicted)
                np.testing.assert_allclose(part[row, t].tolist(), expected, rtol=1e-9, atol=1e-12)


def numbers(layer: torch.nn.Linear) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy() for key, value in layer.state_dict().items()}


def test_nothing_is_read_back_from_the_device():
    model = MPEDRNN(4, 2)
    with NoReading():
        sum(part.sum() for part in model(torch.randn(3, 4, 4), torch.randn(3, 4, 8))).backward()
    assert all(value.grad is not None for value in model.encoder.parameters())
