"""Projection of poses to a plane, upright."""

from __future__ import annotations

import numpy as np

from gepc_geo.poses.skeleton import Skeleton


def to_plane(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    r"""Projects poses to a plane with x to the right and y downwards.

    2D poses do not change. In 3D, the height is the axis along which shoulders and hips differ most
    (the second axis for skeletons without a torso). The horizontal axis is the one of the other two
    with the larger variance.

    Args:
        keypoints: Joints, :math:`[..., V, C]` with 2 or 3 coordinates.
        skeleton: Skeleton of the joints.

    Returns:
        Joints in the plane, :math:`[..., V, 2]`.
    """
    if keypoints.shape[-1] == 2:
        return keypoints
    poses = keypoints.reshape(-1, *keypoints.shape[-2:])
    up = np.array([0.0, -1.0, 0.0])
    if len(poses) and skeleton.shoulders and skeleton.hips:
        torso = poses[:, list(skeleton.shoulders)].mean(1) - poses[:, list(skeleton.hips)].mean(1)
        up = torso.mean(0)
    height = int(np.abs(up).argmax())
    others = [axis for axis in range(3) if axis != height]
    spread = poses.var(axis=1).mean(0)[others] if len(poses) else np.zeros(2)
    across = others[int(spread.argmax())]
    sign = -1.0 if up[height] > 0 else 1.0
    return np.stack([keypoints[..., across], sign * keypoints[..., height]], axis=-1)
