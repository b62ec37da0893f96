"""Poses as they are drawn: in a plane, upright."""

from __future__ import annotations

import numpy as np

from gepc_geo.poses.skeleton import Skeleton


def to_plane(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    r"""Poses as seen by somebody: to the right and, as in an image, downwards.

    Image coordinates stay as they are. Of three coordinates the one along which shoulders and hips
    lie apart is the height (the second where the skeleton has no torso), and of the others the one
    that varies more is kept.

    Args:
        keypoints: :math:`[..., V, C]`, ``C`` 2 or 3.
        skeleton: The joints.

    Returns:
        :math:`[..., V, 2]`.
    """
    if keypoints.shape[-1] == 2:
        return keypoints
    every = keypoints.reshape(-1, *keypoints.shape[-2:])
    up = np.array([0.0, -1.0, 0.0])
    if len(every) and skeleton.shoulders and skeleton.hips:
        torso = every[:, list(skeleton.shoulders)].mean(1) - every[:, list(skeleton.hips)].mean(1)
        up = torso.mean(0)
    height = int(np.abs(up).argmax())
    others = [axis for axis in range(3) if axis != height]
    spread = every.var(axis=1).mean(0)[others] if len(every) else np.zeros(2)
    across = others[int(spread.argmax())]
    sign = -1.0 if up[height] > 0 else 1.0
    return np.stack([keypoints[..., across], sign * keypoints[..., height]], axis=-1)
