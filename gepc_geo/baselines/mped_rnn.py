r"""Network of Morais et al. (CVPR 2019): two components of skeletons, two recurrent branches.

The paper is *Learning Regularity in Skeleton Trajectories for Anomaly Detection in Videos*.
Equation and section numbers in this module refer to it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

#: State of the global and of the local branch, :math:`[B, H_g]` and :math:`[B, H_l]`.
State = tuple[Tensor, Tensor]


class Skeletons(NamedTuple):
    r"""Skeletons of :math:`V` joints in the three frames of reference of section 3.1.

    Attributes:
        box: Global component, :math:`[..., 4]`: centre, width and height of the bounding box.
        local: Local component, :math:`[..., 2 V]`: the joints within the box, x before y.
        image: The joints in the image, :math:`[..., 2 V]`.
    """

    box: Tensor
    local: Tensor
    image: Tensor


def decompose(keypoints: Tensor, seen: Tensor) -> Skeletons:
    r"""Splits skeletons into the global and the local component (eq. 1 to 3).

    The box bounds the detected joints (all joints if none is detected), so their local coordinates
    are within :math:`\pm 1/2`. Other joints are clamped to the edge of the box: a box of two joints
    can be many times smaller than the skeleton. Along an axis without extent, local coordinates of
    detected joints are 0.

    Args:
        keypoints: Joints in the image, :math:`[..., V, 2]`.
        seen: True for detected joints, :math:`[..., V]` bool.

    Returns:
        The skeletons in all three frames of reference.
    """
    bounding = (seen | ~seen.any(-1, keepdim=True))[..., None]
    low = torch.where(bounding, keypoints, torch.inf).amin(-2, keepdim=True)
    high = torch.where(bounding, keypoints, -torch.inf).amax(-2, keepdim=True)
    center, size = (low + high) / 2, high - low
    local = (keypoints - center) / size.clamp(min=torch.finfo(size.dtype).tiny)
    return Skeletons(
        box=torch.cat([center, size], dim=-1).squeeze(-2),
        local=local.clamp(-0.5, 0.5).flatten(-2),
        image=keypoints.flatten(-2),
    )


class MessagePassingGRU(nn.Module):
    r"""One time step of two GRUs that exchange messages (eq. 4 to 11).

    The input of a branch is its component (in encoders) and the message :math:`\sigma(W h + b)`
    of the state :math:`h` of the other branch, which has the size of that state.

    Args:
        inputs: Channels of the components of the global and the local branch; 0 in decoders.
        hidden: Channels of both states, :math:`H_g` and :math:`H_l`.
    """

    def __init__(self, inputs: tuple[int, int], hidden: tuple[int, int]) -> None:
        super().__init__()
        self.from_global = nn.Linear(hidden[0], hidden[0])
        self.from_local = nn.Linear(hidden[1], hidden[1])
        self.global_cell = nn.GRUCell(inputs[0] + hidden[1], hidden[0])
        self.local_cell = nn.GRUCell(inputs[1] + hidden[0], hidden[1])

    def forward(self, state: State, inputs: State | None = None) -> State:
        """Returns the next state of both branches."""
        to_local = self.from_global(state[0]).sigmoid()
        to_global = self.from_local(state[1]).sigmoid()
        if inputs is not None:
            to_global = torch.cat([inputs[0], to_global], dim=1)
            to_local = torch.cat([inputs[1], to_local], dim=1)
        return self.global_cell(to_global, state[0]), self.local_cell(to_local, state[1])


class _Decoder(nn.Module):
    """Unrolls a state and maps the state of each step to a skeleton (section 3.2)."""

    def __init__(self, joints: int, hidden: tuple[int, int]) -> None:
        super().__init__()
        self.gru = MessagePassingGRU((0, 0), hidden)
        self.box = nn.Linear(hidden[0], 4)
        self.local = nn.Linear(hidden[1], 2 * joints)
        # The map back to the image is learned, not computed by eq. 1 to 3.
        self.image = nn.Linear(4 + 2 * joints, 2 * joints)

    def unroll(self, state: State, steps: int) -> list[State]:
        """Returns the state and the states of the next ``steps`` steps."""
        states = [state]
        for _ in range(steps):
            states.append(self.gru(states[-1]))
        return states

    def forward(self, states: list[State]) -> Skeletons:
        """Maps :math:`T` states to skeletons, :math:`[B, T, ...]`."""
        global_state, local_state = (
            torch.stack(branch, dim=1) for branch in zip(*states, strict=True)
        )
        box, local = self.box(global_state), self.local(local_state)
        return Skeletons(box, local, self.image(torch.cat([box, local], dim=-1)))


class MPEDRNN(nn.Module):
    r"""Message-passing encoder-decoder network (section 3.2).

    An encoder reads the input segment. From its last state, one decoder reconstructs the segment
    backwards, and another decoder predicts the following frames.

    Args:
        joints: Number of joints, :math:`V`.
        predicted: Frames to predict, :math:`P`.
        hidden: Channels of the global and of the local branch. (default: :obj:`(8, 16)`, as
            published)

    Shapes:
        - **input:** ``box`` :math:`(B, T, 4)`, ``local`` :math:`(B, T, 2 V)`
        - **output:** :class:`Skeletons` of :math:`(B, T + P)` frames in order of time:
          reconstruction, then prediction
    """

    def __init__(self, joints: int, predicted: int, hidden: tuple[int, int] = (8, 16)) -> None:
        super().__init__()
        self.predicted, self.hidden = predicted, hidden
        self.encoder = MessagePassingGRU((4, 2 * joints), hidden)
        self.reconstruction = _Decoder(joints, hidden)
        self.prediction = _Decoder(joints, hidden)

    def forward(self, box: Tensor, local: Tensor) -> Skeletons:
        """Reconstructs the segment and predicts the frames after it."""
        size, frames = box.shape[:2]
        state: State = (box.new_zeros(size, self.hidden[0]), box.new_zeros(size, self.hidden[1]))
        for inputs in zip(box.unbind(1), local.unbind(1), strict=True):
            state = self.encoder(state, inputs)
        # The last state of the encoder gives the last frame; each step goes one frame back (eq. 8).
        back = self.reconstruction.unroll(state, frames - 1)[::-1]
        ahead = self.prediction.unroll(state, self.predicted)[1:]
        pairs = zip(self.reconstruction(back), self.prediction(ahead), strict=True)
        return Skeletons(*(torch.cat(pair, dim=1) for pair in pairs))
