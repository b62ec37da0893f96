"""Which of several orders of joints poses are in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gepc_geo.skeleton import Skeleton

# Between BODY_25's and BODY_25B's joints; measured on OpenPose's poses, 2.5 times as long in the wrong one.
_CLEAR = 0.75


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
        lengths.append(float(length[both].mean()) if both.any() else 0.0)
    best = int(np.argmin(lengths))
    return skeletons[best if lengths[best] < _CLEAR * lengths[0] else 0]
