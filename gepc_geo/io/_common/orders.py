"""Which of several orders of joints poses are in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gepc_geo.poses.skeleton import SKELETONS, Skeleton

#: OpenPose's two orders of 25 points, which its files do not tell apart.
ORDERS = (SKELETONS["body25"], SKELETONS["body25b"])

# Between BODY_25's and BODY_25B's joints; measured on OpenPose's poses, 2.5 times as long in the wrong one.
_CLEAR = 0.75
# The part of bones that have to be seen.
_ENOUGH = 0.4


def nearest_order(values: np.ndarray, skeletons: Sequence[Skeleton]) -> Skeleton:
    """The skeleton whose bones are by far the shortest in poses; the first where none is.

    In a wrong order bones run across the body.

    Args:
        values: :math:`[F, V, 3]`: x, y and score; joints of score 0 are not looked at.
        skeletons: Skeletons of :math:`V` joints.
    """
    seen = values[..., 2] > 0
    lengths = []
    for skeleton in skeletons:
        a, b = np.array(skeleton.bones).T
        both = seen[:, a] & seen[:, b]
        length = np.linalg.norm(values[:, a, :2] - values[:, b, :2], axis=-1)
        # A few bones say nothing: those of the arm are the same in a wrong order.
        enough = both.any(0).sum() >= _ENOUGH * len(skeleton.bones)
        lengths.append(float(length[both].mean()) if enough else np.inf)
    best = int(np.argmin(lengths))
    return skeletons[best if lengths[best] < _CLEAR * lengths[0] else 0]
