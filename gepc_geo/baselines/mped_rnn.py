r"""The network of Morais et al. (CVPR 2019): skeletons in two components, two recurrent branches.

*Learning Regularity in Skeleton Trajectories for Anomaly Detection in Videos*; equation and section
numbers in this module are that paper's.
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

    The box is that of the joints that were seen (of all where none was), which so lie within
    :math:`\pm 1/2` in it. The others are put to its edge where they lie outside: of a box of two
    joints they would else be any number of widths away. Along an axis in which the box has no extent
    the joints seen lie at 0.

    Args:
        keypoints: :math:`[..., V, 2]`.
        seen: :math:`[..., V]` bool.
    """
    known = (seen | ~seen.any(-1, keepdim=True))[..., None]
    low = torch.where(known, keypoints, torch.inf).amin(-2, keepdim=True)
    high = torch.where(known, keypoints, -torch.inf).amax(-2, keepdim=True)
    center, size = (low + high) / 2, high - low
    local = (keypoints - center) / size.clamp(min=torch.finfo(size.dtype).tiny)
    return Skeletons(
        box=torch.cat([center, size], dim=-1).squeeze(-2),
        local=local.clamp(-0.5, 0.5).flatten(-2),
        image=keypoints.flatten(-2),
    )


class MessagePassingGRU(nn.Module):
    r"""One time step of two GRUs, each of which reads the other's last state (eq. 4 to 11).

    A branch's input is the message :math:`\sigma(W h + b)` of the other branch's state :math:`h`, as
    wide as that, behind the branch's own input if it has one.

    Args:
        inputs: Channels of the global and of the local branch's own input; 0 of decoders.
        hidden: Channels of their states, :math:`H_g` and :math:`H_l`.
    """

    def __init__(self, inputs: tuple[int, int], hidden: tuple[int, int]) -> None:
        super().__init__()
        self.from_global = nn.Linear(hidden[0], hidden[0])
        self.from_local = nn.Linear(hidden[1], hidden[1])
        self.global_cell = nn.GRUCell(inputs[0] + hidden[1], hidden[0])
        self.local_cell = nn.GRUCell(inputs[1] + hidden[0], hidden[1])

    def forward(self, state: State, inputs: State | None = None) -> State:
        """The next state of both branches."""
        to_local = self.from_global(state[0]).sigmoid()
        to_global = self.from_local(state[1]).sigmoid()
        if inputs is not None:
            to_global = torch.cat([inputs[0], to_global], dim=1)
            to_local = torch.cat([inputs[1], to_local], dim=1)
        return self.global_cell(to_global, state[0]), self.local_cell(to_local, state[1])


class _Decoder(nn.Module):
    """Unrolls a state; a skeleton is read off every step's state (section 3.2)."""

    def __init__(self, joints: int, hidden: tuple[int, int]) -> None:
        super().__init__()
        self.gru = MessagePassingGRU((0, 0), hidden)
        self.box = nn.Linear(hidden[0], 4)
        self.local = nn.Linear(hidden[1], 2 * joints)
        # The way back into the image is learned too, not computed by eq. 1 to 3.
        self.image = nn.Linear(4 + 2 * joints, 2 * joints)

    def unroll(self, state: State, steps: int) -> list[State]:
        states = [state]
        for _ in range(steps):
            states.append(self.gru(states[-1]))
        return states

    def forward(self, states: list[State]) -> Skeletons:
        """The skeletons of :math:`T` states, :math:`[B, T, ...]`."""
        of_global, of_local = (torch.stack(branch, dim=1) for branch in zip(*states, strict=True))
        box, local = self.box(of_global), self.local(of_local)
        return Skeletons(box, local, self.image(torch.cat([box, local], dim=-1)))


class MPEDRNN(nn.Module):
    r"""Message-passing encoder-decoder network (section 3.2).

    An encoder reads the input segment; from its last state one decoder goes back through the segment,
    last frame first, another goes on into the frames that follow.

    Args:
        joints: Joints of a skeleton, :math:`V`.
        predicted: Frames to predict, :math:`P`.
        hidden: Channels of the global and of the local branch. (default: :obj:`(8, 16)`, those of the
            published model)

    Shapes:
        - **input:** ``box`` :math:`(B, T, 4)`, ``local`` :math:`(B, T, 2 V)`
        - **output:** :class:`Skeletons` of :math:`(B, T + P)` frames in the order of time: the
          reconstruction, then the prediction
    """

    def __init__(self, joints: int, predicted: int, hidden: tuple[int, int] = (8, 16)) -> None:
        super().__init__()
        self.predicted, self.hidden = predicted, hidden
        self.encoder = MessagePassingGRU((4, 2 * joints), hidden)
        self.reconstruction = _Decoder(joints, hidden)
        self.prediction = _Decoder(joints, hidden)

    def forward(self, box: Tensor, local: Tensor) -> Skeletons:
        size, frames = box.shape[:2]
        state: State = (box.new_zeros(size, self.hidden[0]), box.new_zeros(size, self.hidden[1]))
        for inputs in zip(box.unbind(1), local.unbind(1), strict=True):
            state = self.encoder(state, inputs)
        # The encoder's last state is the last frame's already (eq. 8: it leads to the one before).
        back = self.reconstruction.unroll(state, frames - 1)[::-1]
        ahead = self.prediction.unroll(state, self.predicted)[1:]
        parts = zip(self.reconstruction(back), self.prediction(ahead), strict=True)
        return Skeletons(*(torch.cat(part, dim=1) for part in parts))
