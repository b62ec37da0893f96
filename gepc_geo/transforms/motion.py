"""The motion of the whole person as additional channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform

from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.transforms.base import PoseTransform, join_channels
from gepc_geo.transforms.body_size import body_size, check_size

# Added to speeds (body sizes a frame) before the logarithm: the noise level of standing still.
_SPEED_FLOOR = 0.01


@functional_transform("pose_add_motion")
class AddMotion(PoseTransform):
    r"""Appends the body's movement through the scene, which centring removes, as channels.

    All joints of a frame get the same values: the velocity of the body's centre in body sizes a
    frame (``dims`` channels; central differences, one-sided at the ends), the logarithm of the
    speed plus 0.01, and the logarithm of the frame's body size minus its mean over the window
    (approach to the camera). No value depends on the person's place or size. Apply it to the
    coordinates, before :class:`Center` and :class:`ScaleByBody`.

    The centre is the plain mean of all joints, interpolated ones included: weighted by
    confidence it would jump whenever a joint appears or vanishes.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        by: The size of the body, as in :class:`ScaleByBody`.

    Raises:
        InputError: An unknown ``by``, or a torso that the skeleton does not have.
    """

    def __init__(self, skeleton: Skeleton, dims: int, by: str = "rms") -> None:
        super().__init__(skeleton, dims)
        check_size(skeleton, by)
        self.by = by

    def forward(self, data: Data) -> Data:
        """Appends the channels to ``x``."""
        coordinates, confidence = self._split(data)
        size, sizes = body_size(self.skeleton, coordinates, confidence, self.by)
        center = coordinates.mean(dim=1)
        velocity = _differences(center) / size[:, None, None]
        speed = (velocity.norm(dim=-1, keepdim=True) + _SPEED_FLOOR).log()
        growth = sizes.log()
        growth = (growth - growth.mean(dim=1, keepdim=True))[..., None]
        motion = torch.cat([velocity, speed, growth], dim=-1)
        joints = self.skeleton.num_joints
        motion = motion[:, None].expand(-1, joints, -1, -1).flatten(0, 1)
        data.x = join_channels(data.x, motion)
        return data

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "by": self.by}


def _differences(x: Tensor) -> Tensor:
    """Differences of [B, T, C] over frames: central, one-sided at the ends; 0 for a single frame.

    Equal to ``torch.gradient``, which cannot be exported for a dynamic batch size.
    """
    if x.size(1) < 2:
        return torch.zeros_like(x)
    inner = (x[:, 2:] - x[:, :-2]) / 2
    return torch.cat([x[:, 1:2] - x[:, :1], inner, x[:, -1:] - x[:, -2:-1]], dim=1)
