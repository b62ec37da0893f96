"""Recognition of the joint order of poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gepc_geo.poses.skeleton import SKELETONS, Skeleton

#: OpenPose's two orders of 25 points, which its files do not distinguish.
ORDERS = (SKELETONS["body25"], SKELETONS["body25b"])

# Ratio of bone lengths that decides. In OpenPose's poses, the wrong order of BODY_25 and BODY_25B
# makes bones 2.5 times as long.
_MAX_RATIO = 0.75
# Share of bones that must be visible.
_MIN_BONES = 0.4


def nearest_order(values: np.ndarray, skeletons: Sequence[Skeleton]) -> Skeleton:
    """The skeleton with clearly the shortest bones in the poses; the first without a clear result.

    In a wrong order, bones run across the body.

    Args:
        values: :math:`[F, V, 3]`: x, y and score; joints of score 0 are ignored.
        skeletons: Skeletons of :math:`V` joints.
    """
    seen = values[..., 2] > 0
    lengths = []
    for skeleton in skeletons:
        a, b = np.array(skeleton.bones).T
        visible = seen[:, a] & seen[:, b]
        length = np.linalg.norm(values[:, a, :2] - values[:, b, :2], axis=-1)
        # A few bones are no evidence: those of the arm are equal in both orders.
        enough = visible.any(0).sum() >= _MIN_BONES * len(skeleton.bones)
        lengths.append(float(length[visible].mean()) if enough else np.inf)
    best = int(np.argmin(lengths))
    return skeletons[best if lengths[best] < _MAX_RATIO * lengths[0] else 0]
